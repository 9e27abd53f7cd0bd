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
# What it prints where it cannot make one says why.
python=$("$here/python.sh" acceptance) || { code=$?; echo "$python"; exit "$code"; }

if [ -z "${SOURCE_ASANA:-}" ] || [ -z "${ASANA_SIMULATOR:-}" ]; then
    programs=$(bash "$here/programs.sh")
    export SOURCE_ASANA=${SOURCE_ASANA:-$programs/source-asana}
    export ASANA_SIMULATOR=${ASANA_SIMULATOR:-$programs/asana-simulator}
fi
exec "$python" "$here/run.py" "$@"
