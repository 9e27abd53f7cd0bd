#!/usr/bin/env bash
# Builds the dbt package over tables that the connector filled, and compares every model with the simulated account.
# Makes its own Python environment on the first run, and the binaries that it runs.
#   run.sh             everything
#   run.sh NAME...     some of: demo small medium missing typed snowflake (see verify.py)
#   run.sh pictures    draws docs/images/dbt/*.svg from the demo's warehouse
set -euo pipefail
here="$(cd "$(dirname "$0")" && pwd)"
root="$(cd "$here/../.." && pwd)"
# What it prints where it cannot make one says why.
python=$("$root/acceptance-tests/python.sh" dbt "$here/requirements.txt") || { code=$?; echo "$python"; exit "$code"; }
bash "$root/acceptance-tests/programs.sh" >/dev/null
# DuckDB takes the time zone of its sessions from here: another than UTC, so that a result that depends on it differs.
export TZ=America/New_York
export DBT_SEND_ANONYMOUS_USAGE_STATS=false
exec "$python" "$here/verify.py" "$root" "$@"
