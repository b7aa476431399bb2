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

# Both halves of the tests at once, which on two cores takes not much more than half the time.
pytest_in_halves() {
  local -r folders=(tests/export tests/scripts tests/training) log=$(mktemp)
  local other status=0
  export OMP_WAIT_POLICY=PASSIVE # threads that spin would take the other half's time
  set -m # a group of its own, which Ctrl-C reaches by way of the trap alone
  python -m pytest "${folders[@]}" >"$log" 2>&1 &
  other=$!
  # shellcheck disable=SC2064 # now: at the exit these variables are gone
  trap "kill -- -$other 2>/dev/null; rm -f '$log'" EXIT
  set +m
  python -m pytest "${folders[@]/#/--ignore=}" || status=1
  wait "$other" || status=1
  cat "$log"
  trap - EXIT
  rm -f "$log"
  return "$status"
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
else
  check "pytest" pytest_in_halves
fi
