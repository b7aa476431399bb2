"""Stock libjpeg through its C API, compiled for this run, for benchmarks to compare with."""

import ctypes
import os
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any


def coefficient_reader() -> Callable[[bytes], None]:
    """Reads a JPEG's coefficients, into memory of libjpeg's that it frees."""
    function = _function("read_coefficients")
    function.argtypes = [ctypes.c_char_p, ctypes.c_ulong]

    def read(jpeg: bytes) -> None:
        if function(jpeg, len(jpeg)):
            raise RuntimeError("libjpeg could not read the image")

    return read


def _function(name: str) -> Any:
    source = Path(__file__).with_suffix(".c")
    with tempfile.TemporaryDirectory() as folder:
        library = Path(folder) / "stock_libjpeg.so"
        compiler = os.environ.get("CC", "cc")
        command = [compiler, "-O2", "-shared", "-fPIC", str(source), "-o", str(library), "-ljpeg"]
        subprocess.run(command, check=True)
        return getattr(ctypes.CDLL(str(library)), name)
