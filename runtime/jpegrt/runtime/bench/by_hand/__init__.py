"""Engines driven by hand: the vendor's API alone, on the tensors that a restore hands to the engine.

What a restore takes longer than this is what jpegrt adds to the network. A file for each vendor, with
a function `load`; the vendor's package is imported there only.
"""

from collections.abc import Callable, Mapping
from importlib import import_module

import numpy as np
from numpy.typing import NDArray

Arrays = Mapping[str, NDArray[np.float32]]
Run = Callable[[], Arrays]
Load = Callable[[Arrays], Run]

_MODULES = {"onnxruntime": "onnx_runtime", "openvino": "open_vino"}


def load(engine: str, graph: bytes, threads: int, device: str = "cpu") -> Load | None:
    """Of an ONNX graph that is loaded, a function that takes inputs, and returns one that runs it
    once and gives its outputs on the host, by name.

    None for an engine that nobody drives by hand here, or that is not installed for the device.
    """
    if engine not in _MODULES:
        return None
    module = import_module(f"{__name__}.{_MODULES[engine]}")
    loaded: Load | None = module.load(graph, threads, device)
    return loaded
