#!/usr/bin/env bash
# Reads what the destination wrote with PyIceberg and DuckDB. Makes its own Python environment on the first run.
#   run.sh [small|medium]   the whole account through the pipe, three syncs, nesting, S3
#   run.sh benchmark        the destination beside PyIceberg; wants a release build, which it makes
set -euo pipefail
cd "$(dirname "$0")"
environment="${DESTINATION_VENV:-.venv}"
if [ ! -x "$environment/bin/python" ]; then
    python3 -m venv "$environment"
    "$environment/bin/pip" install --quiet --requirement requirements.txt
fi
# DuckDB takes the time zone of its timestamps from here.
export TZ=UTC
root=../../..
if [ "${1:-small}" = benchmark ]; then
    (cd "$root" && cargo build --quiet --release --package destination-iceberg)
    exec "$environment/bin/python" benchmark.py "$root/target/release/destination-iceberg" "${@:2}"
fi
(cd "$root" && cargo build --quiet --bins --package source-asana --package asana-simulator --package destination-iceberg)
exec "$environment/bin/python" verify.py "$root/target/debug" "${1:-small}"
