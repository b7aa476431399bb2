"""Lets tests share helper modules: `from tests.kernels.images import ...`."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
