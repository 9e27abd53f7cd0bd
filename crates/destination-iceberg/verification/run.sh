#!/usr/bin/env bash
# Reads what the destination wrote with PyIceberg and DuckDB. Makes its own Python environment on the first run.
#   run.sh [tiny|small|medium]           the whole account through the pipe, three syncs, crashes, nesting, S3
#   run.sh benchmark [records]           the destination beside PyIceberg; wants a release build, which it makes
#   run.sh rows <warehouse> [milliseconds]   the rows of each table, and what changed since then
set -euo pipefail
here="$(cd "$(dirname "$0")" && pwd)"
root="$here/../../.."
environment="${DESTINATION_VENV:-$here/.venv}"
# The list is copied in last, so that an installation that broke off is not taken for a whole one.
if ! cmp --silent "$here/requirements.txt" "$environment/requirements.txt"; then
    python3 -m venv --clear "$environment"
    if ! "$environment/bin/pip" install --quiet --disable-pip-version-check --requirement "$here/requirements.txt"; then
        if ! "$environment/bin/pip" download --quiet --no-deps --dest "$environment" six >/dev/null 2>&1; then
            echo "SKIPPED tables read by other engines: there is no way to PyPI from here"
            exit 0
        fi
        echo "The Python packages of $here/requirements.txt cannot be installed" >&2
        exit 1
    fi
    cp "$here/requirements.txt" "$environment/requirements.txt"
fi
# DuckDB takes the time zone of its timestamps from here.
export TZ=UTC
python="$environment/bin/python"
verb="${1:-small}"
case "$verb" in
    rows)
        exec "$python" "$here/rows.py" "${@:2}"
        ;;
    benchmark)
        (cd "$root" && cargo build --quiet --release --package destination-iceberg)
        exec "$python" "$here/benchmark.py" "$root/target/release/destination-iceberg" "${@:2}"
        ;;
    *)
        (cd "$root" && cargo build --quiet --workspace --bins)
        exec "$python" "$here/verify.py" "$root/target/debug" "$verb"
        ;;
esac
