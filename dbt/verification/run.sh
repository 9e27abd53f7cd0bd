#!/usr/bin/env bash
# Builds the dbt package over tables that the connector filled, and compares every model with the simulated account.
# Makes its own Python environment on the first run, and the binaries that it runs.
#   run.sh             everything
#   run.sh NAME...     some of: demo small medium missing typed snowflake (see verify.py)
#   run.sh pictures    draws docs/images/dbt/*.svg from the demo's warehouse
set -euo pipefail
here="$(cd "$(dirname "$0")" && pwd)"
root="$(cd "$here/../.." && pwd)"
environment="${DBT_VENV:-$root/target/python-dbt}"
# The list is copied in last, so that an installation that broke off is not taken for a whole one.
if ! cmp --silent "$here/requirements.txt" "$environment/requirements.txt"; then
    mkdir -p "$(dirname "$environment")"
    python3 -m venv --clear "$environment"
    if ! "$environment/bin/pip" install --quiet --disable-pip-version-check --requirement "$here/requirements.txt"; then
        if ! "$environment/bin/pip" download --quiet --no-deps --dest "$environment" six >/dev/null 2>&1; then
            echo "SKIPPED the dbt package: there is no way to PyPI from here"
            exit 75
        fi
        echo "The Python packages of $here/requirements.txt cannot be installed" >&2
        exit 1
    fi
    cp "$here/requirements.txt" "$environment/requirements.txt"
fi
# All at once, since features of shared dependencies, built for one package alone, differ from those built for all.
(cd "$root" && cargo build --quiet --workspace --bins)
# DuckDB takes the time zone of its sessions from here: another than UTC, so that a result that depends on it differs.
export TZ=America/New_York
export DBT_SEND_ANONYMOUS_USAGE_STATS=false
exec "$environment/bin/python" "$here/verify.py" "$root" "$@"
