#!/usr/bin/env bash
# Makes .venv in the repository with jpegrt installed editable, and what that needs of the system.
#
# usage: scripts/setup.sh EXTRA...      (cpu openvino train export rtx ncnn dev; see pyproject.toml)
#
# Extras that .venv already has are kept. When neither the package's description nor the native
# sources have changed since, nothing is downloaded or built. PYTHON names the interpreter to use.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

readonly venv=.venv
readonly stamp=$venv/set-up # the checksum of what was installed, then the extras

# Training and its tests are known to pass with this version.
readonly torch=torch==2.13.0

fail() {
  echo "set-up: $*" >&2
  exit 1
}

say() { echo "set-up: $* (${SECONDS} s)"; }

# Where the repository stands is part of it: an editable install points there.
checksum() {
  {
    pwd
    sha256sum pyproject.toml CMakeLists.txt scripts/setup.sh
    find kernels runtime/engine_modules -type f ! -path 'kernels/jpegrt/*' -print0 |
      LC_ALL=C sort -z | xargs -0 sha256sum
  } | sha256sum | cut -d' ' -f1
}

find_python() {
  local candidate
  for candidate in ${PYTHON:-python3 python3.13 python3.12 python3.11}; do
    if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
      echo "$candidate"
      return
    fi
  done
}

# The Debian packages that are missing, one a line.
missing_packages() {
  [[ -n $python ]] || printf '%s\n' python3 python3-venv
  if [[ -n $python ]] && ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
    if [[ $python == python3 ]]; then echo python3-venv; else echo "$python-venv"; fi
  fi
  if ! command -v c++ >/dev/null || ! command -v cc >/dev/null; then echo g++; fi
  if ! command -v cc >/dev/null ||
    ! printf '#include <stdio.h>\n#include <jpeglib.h>\n' | cc -E - >/dev/null 2>&1; then
    echo libjpeg-dev
  fi
  if [[ " $extras " == *" dev "* ]]; then # tests build the core again, for C programs, and fuzz it
    local tool
    for tool in cmake make git pkg-config; do command -v "$tool" >/dev/null || echo "$tool"; done
    command -v exiftool >/dev/null || echo libimage-exiftool-perl # an independent reader
    missing_browser
    command -v valgrind >/dev/null || printf '%s\n' valgrind libc6-dbg # it names ld.so's functions
    missing_for_headers
    missing_for_fuzzing
  fi
}

# Tests look at a page in it. Ubuntu has it as a snap only, and there they are skipped.
missing_browser() {
  local name
  for name in chromium-headless-shell chromium chromium-browser google-chrome; do
    if command -v "$name" >/dev/null; then return 0; fi
  done
  if (. /etc/os-release && [[ $ID == debian ]]) 2>/dev/null; then echo chromium-headless-shell; fi
}

# scripts/fetch_onnxruntime_headers.sh verifies what it downloads with Debian's keys.
missing_for_headers() {
  [[ -e /usr/include/onnxruntime/onnxruntime_c_api.h ||
    -e /usr/share/keyrings/debian-archive-keyring.gpg ]] || echo debian-archive-keyring
}

# libFuzzer comes in a package of clang's version, which is known once clang is there.
missing_for_fuzzing() {
  if ! command -v clang++ >/dev/null; then
    echo clang
  elif ! echo 'extern "C" int LLVMFuzzerTestOneInput(const char*, unsigned long) { return 0; }' |
    clang++ -xc++ -fsanitize=fuzzer,address - -o /dev/null 2>/dev/null; then
    echo "libclang-rt-$(clang++ -dumpversion | cut -d. -f1)-dev"
  fi
}

install_packages() {
  local packages
  mapfile -t packages < <(missing_packages)
  ((${#packages[@]})) || return 0
  if ! command -v apt-get >/dev/null; then
    fail "install what Debian calls ${packages[*]}, then run this again"
  elif ((EUID != 0)); then
    echo "set-up: system packages are missing; run this line, then try again:" >&2
    echo "  sudo apt-get update && sudo apt-get install -y ${packages[*]}" >&2
    exit 1
  fi
  say "installing the system packages ${packages[*]}"
  export DEBIAN_FRONTEND=noninteractive
  apt-get -qq update </dev/null
  apt-get -qq install -y --no-install-recommends "${packages[@]}" </dev/null >/dev/null
}

fetch_headers() {
  [[ " $extras " == *" dev "* ]] || return 0
  say "fetching ONNX Runtime's C header"
  scripts/fetch_onnxruntime_headers.sh
}

make_venv() {
  if ! "$venv/bin/python" -m pip --version >/dev/null 2>&1; then
    say "making $venv with $("$python" --version)"
    "$python" -m venv --clear "$venv"
  fi
}

install_package() {
  local requirements=(--editable ".[${extras// /,}]")
  if [[ " $extras " == *" train "* || " $extras " == *" export "* ]]; then
    requirements+=("$torch")
  fi
  say "installing jpegrt with [${extras// /,}]: downloads packages and compiles the native core"
  "$venv/bin/python" -m pip install --quiet --disable-pip-version-check "${requirements[@]}"
}

current=$(checksum)
installed=$(sed -n 2p "$stamp" 2>/dev/null || true)
extras=$(printf '%s\n' $installed "$@" | sort -u | xargs)
if [[ $(cat "$stamp" 2>/dev/null) == "$current"$'\n'"$extras" ]] && "$venv/bin/python" -c '' 2>&-; then
  exit 0
fi

say "preparing $venv; the first time takes some minutes"
rm -f "$stamp"
python=$(find_python)
[[ -n $python || -z ${PYTHON:-} ]] || fail "$PYTHON is not Python 3.11 or newer"
install_packages
install_packages # what is known to be missing only now
python=$(find_python)
[[ -n $python ]] || fail "Python 3.11 or newer is needed; PYTHON=... names one to use"
fetch_headers
make_venv
install_package
printf '%s\n%s\n' "$current" "$extras" >"$stamp"
say "done"
