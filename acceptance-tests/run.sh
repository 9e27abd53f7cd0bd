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
# What it prints where it cannot make one says why.
python=$("$here/python.sh" acceptance) || { code=$?; echo "$python"; exit "$code"; }

if [ -z "${SOURCE_ASANA:-}" ] || [ -z "${ASANA_SIMULATOR:-}" ]; then
    (cd "$root" && cargo build --quiet --workspace --bins)
    export SOURCE_ASANA=${SOURCE_ASANA:-$target/debug/source-asana}
    export ASANA_SIMULATOR=${ASANA_SIMULATOR:-$target/debug/asana-simulator}
fi
exec "$python" "$here/run.py" "$@"
