#!/usr/bin/env bash
# The connector under software that others wrote. See README.md here.
#
#     acceptance-tests/run.sh                     every suite
#     acceptance-tests/run.sh protocol platform   these suites
#     acceptance-tests/run.sh --prove             every suite against every sabotage: each has to turn red
#
# SOURCE_ASANA and ASANA_SIMULATOR name the built programs; without them those under target/debug are built.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(dirname "$here")
target=${CARGO_TARGET_DIR:-$root/target}
environment=$target/acceptance/venv

python=
for candidate in python3.11 python3.12 python3.10 python3; do
    if "$candidate" -c 'import sys, venv, ensurepip; sys.exit(not (3, 10) <= sys.version_info[:2] < (3, 13))' 2>/dev/null; then
        python=$candidate
        break
    fi
done
if [ -z "$python" ]; then
    echo "SKIPPED acceptance tests: PyAirbyte and Airbyte's CDK need Python 3.10, 3.11 or 3.12 with venv"
    exit 0
fi

# The environment is made once, and again when what it consists of changes.
wanted=$(cat "$here/requirements.txt" "$here/constraints.txt" | sha256sum)
if [ "$(cat "$environment/made-from" 2>/dev/null || true)" != "$wanted" ]; then
    echo "Making the Python environment $environment (a minute or more, once)"
    rm -rf "$environment"
    mkdir -p "$(dirname "$environment")"
    "$python" -m venv "$environment"
    if ! "$environment/bin/pip" install --quiet --disable-pip-version-check \
        --requirement "$here/requirements.txt" --constraint "$here/constraints.txt"; then
        if ! "$environment/bin/pip" download --quiet --no-deps --dest "$environment" six >/dev/null 2>&1; then
            echo "SKIPPED acceptance tests: there is no way to PyPI from here"
            exit 0
        fi
        echo "The Python packages of acceptance-tests/requirements.txt cannot be installed" >&2
        exit 1
    fi
    printf '%s' "$wanted" >"$environment/made-from"
fi

if [ -z "${SOURCE_ASANA:-}" ]; then
    (cd "$root" && cargo build --quiet --bin source-asana)
    export SOURCE_ASANA=$target/debug/source-asana
fi
if [ -z "${ASANA_SIMULATOR:-}" ]; then
    (cd "$root" && cargo build --quiet --package asana-simulator --bin asana-simulator)
    export ASANA_SIMULATOR=$target/debug/asana-simulator
fi
exec "$environment/bin/python" "$here/run.py" "$@"
