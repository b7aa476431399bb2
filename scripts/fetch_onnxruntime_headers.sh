#!/usr/bin/env bash
# Fetches ONNX Runtime's C header, which no Python wheel has, and unpacks it into build/onnxruntime,
# where CMake looks for it: the engine module for C programs is built with it. Does nothing where it
# is installed already.
#
# usage: scripts/fetch_onnxruntime_headers.sh
#
# The header is Debian's package libonnxruntime-dev, of the release that has it. apt downloads it
# and verifies it as any package, from the archive's signature to the file's checksum, with lists of
# its own: the system's sources and packages stay as they are, and no root is needed.
# DEBIAN_MIRROR names another mirror.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

readonly release=trixie
readonly package=libonnxruntime-dev
readonly keyring=/usr/share/keyrings/debian-archive-keyring.gpg
readonly target=$PWD/build/onnxruntime
readonly header=usr/include/onnxruntime/onnxruntime_c_api.h

fail() {
  echo "fetch_onnxruntime_headers: $*" >&2
  exit 1
}

[[ ! -e $target/$header && ! -e /$header ]] || exit 0
command -v apt-get >/dev/null ||
  fail "there is no apt-get: install ONNX Runtime's C headers, and name their folder to CMake with -DJPEGRT_ONNXRUNTIME_INCLUDE=..."
[[ -e $keyring ]] || fail "$keyring is missing: install debian-archive-keyring"

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
chmod 755 "$scratch" # apt reads its lists as a user of its own
mkdir -p "$scratch"/{lists/partial,archives/partial,unpacked}
cat >"$scratch/sources.list" <<END
deb [signed-by=$keyring] ${DEBIAN_MIRROR:-http://deb.debian.org/debian} $release main
END
apt=(apt-get -qq
  -o Dir::Etc::SourceList="$scratch/sources.list" -o Dir::Etc::SourceParts=/dev/null
  -o Dir::State::Lists="$scratch/lists" -o Dir::Cache="$scratch"
  -o Acquire::Languages=none -o APT::Sandbox::User="$(id -un)"
  -o APT::Get::AllowUnauthenticated=false -o Acquire::AllowInsecureRepositories=false)
"${apt[@]}" update </dev/null
(cd "$scratch" && "${apt[@]}" download "$package" </dev/null)
dpkg-deb --extract "$scratch/$package"_*.deb "$scratch/unpacked"
[[ -e $scratch/unpacked/$header ]] || fail "$package has no $header"
mkdir -p "$(dirname "$target")"
rm -rf "$target"
mv "$scratch/unpacked" "$target"
echo "fetch_onnxruntime_headers: $target/$header"
