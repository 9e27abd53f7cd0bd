#!/usr/bin/env bash
# What a person sees at a terminal: stderr is a pseudo-terminal, and pyte draws what is written to it.
#
# SOURCE_ASANA and ASANA_SIMULATOR name the built programs; without them those under target/debug are built.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)
# What it prints where it cannot make one says why.
python=$("$root/acceptance-tests/python.sh" terminal "$here/requirements.txt") || { code=$?; echo "$python"; exit "$code"; }

if [ -z "${SOURCE_ASANA:-}" ] || [ -z "${ASANA_SIMULATOR:-}" ]; then
    programs=$(bash "$root/acceptance-tests/programs.sh")
    export SOURCE_ASANA=${SOURCE_ASANA:-$programs/source-asana}
    export ASANA_SIMULATOR=${ASANA_SIMULATOR:-$programs/asana-simulator}
fi
export PYTHONPATH=$root/acceptance-tests PYTHONDONTWRITEBYTECODE=1
exec "$python" "$here/verify.py"
