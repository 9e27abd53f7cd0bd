#!/usr/bin/env bash
# Reads what the destination wrote with PyIceberg and DuckDB. The Python environment is made on the first run.
#   run.sh [tiny|small|medium]           the whole account through the pipe, three syncs, crashes, nesting, S3
#   run.sh filters [filters] [seed]      filtered scans of files with several row groups, beside unfiltered ones
#   run.sh deletions [medium|big]        nothing is left that hung on deleted tasks, however little the state remembers
#   run.sh cost                          what many small syncs cost: time, files, bytes, requests to S3
#   run.sh benchmark [records]           the destination beside PyIceberg; wants a release build, which it makes
#   run.sh memory [kind …]               peak memory and files where there is a lot of one thing; fails above 200 MB
#   run.sh catalogs                      REST catalogs and verifiers of signatures that are not ours
#   run.sh stores                        emulators of Google Cloud Storage and of Azure, which npm brings
#   run.sh rows <warehouse> [milliseconds]   the rows of each table, and what changed since then
set -euo pipefail
here="$(cd "$(dirname "$0")" && pwd)"
root="$here/../../.."
verb="${1:-small}"
environment=(readers)
case "$verb" in
    catalogs | stores) environment=(catalogs "$here/requirements-catalogs.txt") ;;
esac
# What it prints where it cannot make one says why.
python=$("$root/acceptance-tests/python.sh" "${environment[@]}") || { code=$?; echo "$python"; exit "$code"; }
# DuckDB takes the time zone of its timestamps from here.
export TZ=UTC
build() { programs=$(bash "$root/acceptance-tests/programs.sh"); }
case "$verb" in
    rows)
        exec "$python" "$here/rows.py" "${@:2}"
        ;;
    filters | deletions | cost)
        build
        exec "$python" "$here/$verb.py" "$programs" "${@:2}"
        ;;
    memory)
        (cd "$root" && cargo build --quiet --release --package destination-iceberg)
        exec "$python" "$here/memory.py" "$root/target/release/destination-iceberg" "${@:2}"
        ;;
    benchmark)
        (cd "$root" && cargo build --quiet --release --workspace --bins)
        exec "$python" "$here/benchmark.py" "${CARGO_TARGET_DIR:-$root/target}/release/destination-iceberg" "${@:2}"
        ;;
    catalogs | stores)
        if [ "$verb" = stores ]; then
            azurite="${CARGO_TARGET_DIR:-$root/target}/azurite"
            if ! npm install --silent --no-audit --no-fund --prefix "$azurite" azurite@3.37.0 >&2; then
                echo "SKIPPED Azurite is not installed: there is no npm, or no way to its registry"
                exit 75
            fi
            export AZURITE="$azurite/node_modules/.bin/azurite-blob"
        fi
        build
        exec "$python" "$here/$verb.py" "$programs"
        ;;
    *)
        build
        "$python" "$here/filters.py" "$programs"
        "$python" "$here/deletions.py" "$programs" medium
        exec "$python" "$here/verify.py" "$programs" "$verb"
        ;;
esac
