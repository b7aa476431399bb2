#!/usr/bin/env bash
# Every check there is: style, types, layers, then all tests.
#
# usage: scripts/test.sh [PYTEST ARGUMENT ...]
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

check() {
  printf '\n== %s\n' "$1"
  shift
  "$@" || {
    echo "scripts/test.sh: failed: $*" >&2
    exit 1
  }
}

clang_format() {
  find kernels runtime tests scripts -type f \
    \( -name '*.c' -o -name '*.cpp' -o -name '*.cu' -o -name '*.h' \) -print0 |
    xargs -0 clang-format --dry-run -Werror
}

scripts/setup.sh cpu openvino train export rtx ncnn dev
export PATH="$PWD/.venv/bin:$PATH"

check "ruff check" ruff check
check "ruff format" ruff format --check
check "clang-format" clang_format
check "mypy" mypy
check "import-linter" lint-imports
if (($#)); then
  check "pytest" python -m pytest "$@"
  exit
fi
# A process for each part: what one loads, such as TensorRT's builder, cannot disturb another.
for folder in $(find tests -name 'test_*.py' -printf '%h\n' | sort -u); do
  check "pytest $folder" python -m pytest "$folder"
done
