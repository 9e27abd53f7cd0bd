#!/usr/bin/env bash
# Lints the workflow files: actionlint for what does not work, zizmor for what is not safe.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# What it prints where it cannot make the environment says why.
python=$("$here/python.sh" workflows "$here/workflows.txt") || { code=$?; echo "$python"; exit "$code"; }
programs=$(dirname "$python")
cd "$here/.."
"$programs/actionlint" -no-color .github/workflows/*.yml
"$programs/zizmor" --offline --no-progress --strict-collection --persona pedantic .github/workflows
