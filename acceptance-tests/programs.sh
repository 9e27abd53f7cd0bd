#!/usr/bin/env bash
# Builds every program of the workspace and prints the folder that they are in. Built for one package alone, shared
# dependencies would have other features and be compiled again. `cargo xtask verify` has built them before its suites
# start, and sets PROGRAMS_ARE_BUILT: cargo would wait for the lock that another suite's cargo holds.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
[ -n "${PROGRAMS_ARE_BUILT:-}" ] || cargo build --quiet --workspace --bins
echo "${CARGO_TARGET_DIR:-$PWD/target}/debug"
