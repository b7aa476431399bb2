#!/usr/bin/env bash
# Runs the GPU tests under each of compute-sanitizer's tools.
#
# usage: scripts/compute_sanitizer.sh [PYTEST ARGUMENT ...]
#
# Needs a CUDA device, compute-sanitizer of the CUDA toolkit, and an environment that can run the
# tests (scripts/setup.sh cpu train export dev). COMPUTE_SANITIZER names another compute-sanitizer.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

readonly sanitizer=${COMPUTE_SANITIZER:-compute-sanitizer}
command -v "$sanitizer" >/dev/null || {
  echo "compute_sanitizer.sh: no $sanitizer: install the CUDA toolkit's, or set COMPUTE_SANITIZER" >&2
  exit 2
}
if [[ -x .venv/bin/python ]]; then export PATH="$PWD/.venv/bin:$PATH"; fi
export JPEGRT_REQUIRE_GPU=1

for tool in memcheck racecheck initcheck synccheck; do
  printf '\n== %s\n' "$tool"
  "$sanitizer" --tool "$tool" --error-exitcode 1 --target-processes all \
    python -m pytest -q -m gpu -p no:cacheprovider tests/kernels "$@"
done
