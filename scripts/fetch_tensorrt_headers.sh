#!/usr/bin/env bash
# Fetches TensorRT's C++ headers, which no Python wheel has, into build/tensorrt, where CMake looks
# for them: the engine module for TensorRT is built with them. Does nothing where these are already.
#
# usage: scripts/fetch_tensorrt_headers.sh [11.1|10.16]
#
# They are those of NVIDIA's open-source repository (Apache License 2.0), of that release's commit.
# A module runs with every TensorRT of its headers' major version. They include the CUDA toolkit's
# cuda_runtime_api.h, which has to be there. TENSORRT_REPOSITORY names another copy of the repository.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

readonly version=${1:-11.1}
readonly repository=${TENSORRT_REPOSITORY:-https://github.com/NVIDIA/TensorRT}
readonly target=$PWD/build/tensorrt

fail() {
  echo "fetch_tensorrt_headers: $*" >&2
  exit 1
}

case $version in
11.1) readonly commit=82d1dca801c8318a5605399d5240780d0679e4e1 ;;
10.16) readonly commit=52399f555c2f80cb690a4a558b604e1a5f227e7c ;;
*) fail "the headers of TensorRT $version are not known here: choose 11.1 or 10.16" ;;
esac

[[ $(cat "$target/commit" 2>/dev/null) != "$commit" ]] || exit 0
command -v git >/dev/null || fail "there is no git: install it"

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
git clone --quiet --depth 1 --filter=blob:none --sparse --branch "v$version" -c advice.detachedHead=false \
  "$repository" "$scratch/clone" ||
  fail "$repository cannot be cloned: name a copy of it in TENSORRT_REPOSITORY, or install NVIDIA's TensorRT packages, which have the headers"
git -C "$scratch/clone" sparse-checkout set include
found=$(git -C "$scratch/clone" rev-parse HEAD)
[[ $found == "$commit" ]] || fail "v$version of $repository is commit $found, and not $commit"
[[ -e $scratch/clone/include/NvInferRuntime.h ]] || fail "v$version has no include/NvInferRuntime.h"
rm -rf "$target"
mkdir -p "$target"
mv "$scratch/clone/include" "$target/include"
echo "$commit" >"$target/commit"
echo "fetch_tensorrt_headers: $target/include, of TensorRT $version"
