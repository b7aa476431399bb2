"""Engines driven by hand: the vendor's API alone, on the tensors that a restore hands to the engine.

What a restore takes longer than this is what jpegrt adds to the network. A file for each vendor, with
a function `prepare`; the vendor's package is imported there only.
"""

from collections.abc import Callable, Mapping
from importlib import import_module

import numpy as np
from numpy.typing import NDArray

Arrays = Mapping[str, NDArray[np.float32]]
Run = Callable[[], Arrays]

_MODULES = {"onnxruntime": "onnx_runtime", "openvino": "open_vino"}


def prepare(engine: str, graph: bytes, inputs: Arrays, threads: int) -> Run | None:
    """A function that runs an ONNX graph once and returns its outputs by name; None for an engine
    that nobody drives by hand here."""
    if engine not in _MODULES:
        return None
    run: Run = import_module(f"{__name__}.{_MODULES[engine]}").prepare(graph, inputs, threads)
    return run
