#!/usr/bin/env bash
# Restores JPEGs and shows what changed; without any, the one in scripts/example. See demo.py.
#
# usage: scripts/demo.sh [FILE.jpg ...]
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

"$root/scripts/setup.sh" cpu openvino
exec "$root/.venv/bin/python" "$root/scripts/demo.py" "$@"
