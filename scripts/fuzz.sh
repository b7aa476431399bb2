#!/usr/bin/env bash
# Fuzzes the native core with libFuzzer, under the address and undefined-behaviour sanitizers: every
# target in tests/fuzz, one after another.
#
# usage: scripts/fuzz.sh [SECONDS [TARGET ...]]      (of each target, 30; session, manifest, ...)
#
# A target begins with tests/fuzz/seeds/TARGET, with the attacks in tests/fuzz/corpus/TARGET, and
# with what it found before, which is kept in build/fuzz/corpus. An input that fails is kept in build/fuzz/crashes; once fixed it belongs into
# tests/fuzz/corpus, with a test. CLANG names the compiler to use.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

readonly seconds=${1:-30}
readonly build=build/fuzz

fail() {
  echo "fuzz: $*" >&2
  exit 1
}

[[ $seconds =~ ^[1-9][0-9]*$ ]] || fail "usage: scripts/fuzz.sh [SECONDS [TARGET ...]]"

find_clang() {
  local candidate candidates=(clang clang-{22..14})
  [[ -z ${CLANG:-} ]] || candidates=("$CLANG")
  for candidate in "${candidates[@]}"; do
    if command -v "$candidate" >/dev/null; then
      echo "$candidate"
      return
    fi
  done
}

# Small JPEGs of every kind, of pixels as they come.
make_session_inputs() {
  local folder=$1 options
  local pixels=scripts/example/example.jpg
  local -i i=0
  for options in "" "sampling=2x2,1x1,1x1" "sampling=2x1,1x1,1x1 restart=1" "progressive" \
    "arithmetic" "rgb" "sampling=2x2,1x1,1x1 progressive arithmetic"; do
    # shellcheck disable=SC2086 # several options
    { printf 'P6 17 11 255\n' && head -c $((17 * 11 * 3)) "$pixels"; } |
      "$build/encode_jpeg" quality=60 $options >"$folder/seed_$((i += 1)).jpg"
  done
  for options in "" "ycck" "ycck sampling=2x2,1x1,1x1,2x2"; do
    # shellcheck disable=SC2086 # several options
    { printf 'P8 17 11 255\n' && head -c $((17 * 11 * 4)) "$pixels"; } |
      "$build/encode_jpeg" quality=60 $options >"$folder/seed_$((i += 1)).jpg"
  done
  { printf 'P5 19 9 255\n' && head -c $((19 * 9)) "$pixels"; } |
    "$build/encode_jpeg" quality=30 >"$folder/seed_grey.jpg"
}

clang=$(find_clang)
[[ -n $clang ]] || fail "clang is needed: install what Debian calls clang and libclang-rt-*-dev"
rm -f "$build/CMakeCache.txt" # which is bound to one compiler
cmake -S . -B "$build" -DJPEGRT_FUZZ=ON -DCMAKE_BUILD_TYPE=RelWithDebInfo \
  -DCMAKE_C_COMPILER="$clang" -DCMAKE_CXX_COMPILER="${clang/clang/clang++}" >/dev/null
cmake --build "$build" --target fuzz_targets --parallel "$(nproc)" >"$build/log" || fail "see $build/log"

targets=("${@:2}")
if ((!${#targets[@]})); then
  for source in tests/fuzz/fuzz_*.cpp; do
    source=${source##*/fuzz_}
    targets+=("${source%.cpp}")
  done
fi

failed=()
mkdir -p "$build/crashes"
for target in "${targets[@]}"; do
  [[ -x $build/fuzz_$target ]] || fail "there is no tests/fuzz/fuzz_$target.cpp"
  corpus=$build/corpus/$target
  mkdir -p "$corpus"
  [[ $target != session ]] || make_session_inputs "$corpus"
  begin=()
  for folder in tests/fuzz/{seeds,corpus}/"$target"; do
    [[ ! -d $folder ]] || begin+=("$folder")
  done
  dictionary=tests/fuzz/seeds/$target.dict
  [[ ! -e $dictionary ]] || begin+=("-dict=$dictionary")
  if "$build/fuzz_$target" -max_total_time="$seconds" -max_len=65536 -timeout=10 -rss_limit_mb=4096 \
    -print_final_stats=1 -artifact_prefix="$build/crashes/$target-" \
    "$corpus" "${begin[@]}" >"$build/$target.log" 2>&1; then
    inputs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$build/$target.log")
    echo "fuzz: $target: $inputs inputs in $seconds s, nothing found"
  else
    tail -n 60 "$build/$target.log" >&2
    failed+=("$target")
  fi
done
((!${#failed[@]})) || fail "failed: ${failed[*]}; the inputs are in $build/crashes"
