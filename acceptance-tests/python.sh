#!/usr/bin/env bash
# Makes a Python environment, once, and prints the path of its python.
#
#     acceptance-tests/python.sh [acceptance]   Airbyte's models, CDK and PyAirbyte, and the runners on PyPI
#     acceptance-tests/python.sh readers        PyIceberg and DuckDB
#     acceptance-tests/python.sh NAME FILE      any other: NAME, of what the requirements file FILE says
#
# An environment is kept in target/python/NAME and made again when its requirements change. Exit code 75, with a line
# `SKIPPED reason`, where this machine cannot have it: no Python from 3.10 to 3.12, or no way to PyPI.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(dirname "$here")
name=${1:-acceptance}
case $name in
acceptance) pip=(--requirement "$here/requirements.txt" --constraint "$here/constraints.txt") ;;
readers) pip=(--requirement "$root/crates/destination-iceberg/verification/requirements.txt") ;;
*) pip=(--requirement "${2:?a requirements file is needed}") ;;
esac
environment=${CARGO_TARGET_DIR:-$root/target}/python/$name

python=
for candidate in python3.11 python3.12 python3.10 python3; do
    if "$candidate" -c 'import sys, venv, ensurepip; sys.exit(not (3, 10) <= sys.version_info[:2] < (3, 13))' 2>/dev/null; then
        python=$candidate
        break
    fi
done
if [ -z "$python" ]; then
    echo "SKIPPED this needs Python 3.10, 3.11 or 3.12 with venv"
    exit 75
fi

# uv resolves in seconds what takes pip minutes. The version is that of constraints.txt, which PyAirbyte uses too.
folder=$(dirname "$environment")
uv=$folder/uv-$(sed -n 's/^uv==//p' "$here/constraints.txt")
mkdir -p "$folder"
exec 8>"$folder/uv.lock"
flock 8
if [ ! -x "$uv/bin/uv" ]; then
    rm -rf "$uv"
    "$python" -m venv "$uv"
    if ! "$uv/bin/pip" install --quiet --disable-pip-version-check "uv==${uv##*-}" >&2; then
        echo "SKIPPED there is no way to PyPI from here"
        exit 75
    fi
fi
flock --unlock 8
# It trusts the authorities that the machine trusts, and finds packages where pip does.
index=${PIP_INDEX_URL:-$("$uv/bin/pip" config get global.index-url 2>/dev/null || true)}
export UV_NATIVE_TLS=1 UV_CACHE_DIR="$folder/cache" ${index:+UV_DEFAULT_INDEX="$index"}

# Two suites may want the same one at once.
exec 9>"$environment.lock"
flock 9
# The requirements, and the files that they name.
requirements() {
    local part other
    for part in "${pip[@]}"; do
        [ -f "$part" ] || continue
        cat "$part"
        sed -n 's/^\(-r\|--constraint\) //p' "$part" | while read -r other; do cat "$(dirname "$part")/$other"; done
    done
}
wanted=$({ "$python" --version; requirements; } | sha256sum)
if [ "$(cat "$environment/made-from" 2>/dev/null || true)" != "$wanted" ]; then
    echo "Making the Python environment $environment (a minute or more, once)" >&2
    rm -rf "$environment"
    "$uv/bin/uv" venv --quiet --python "$python" "$environment"
    if ! "$uv/bin/uv" pip install --quiet --python "$environment/bin/python" "${pip[@]}" >&2; then
        if ! "$uv/bin/pip" download --quiet --no-deps --dest "$environment" six >/dev/null 2>&1; then
            echo "SKIPPED there is no way to PyPI from here"
            exit 75
        fi
        echo "The Python packages of $name cannot be installed: see the messages above" >&2
        exit 1
    fi
    printf '%s' "$wanted" >"$environment/made-from"
fi
echo "$environment/bin/python"
