"""Engines: what runs a bundle's graphs. Each file wraps one vendor package, imported on use."""

from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING

from jpegrt.runtime.errors import UsageError, one_line

if TYPE_CHECKING:
    from jpegrt.kernels import Engine
    from jpegrt.runtime.bundle import Bundle

# name -> (module and class here, the package it needs, the extra that installs it); in the order
# in which "auto" looks for one: OpenVINO runs our int8 files about a third faster.
_ENGINES = {
    "openvino": ("open_vino", "OpenVinoEngine", "openvino", "openvino"),
    "onnxruntime": ("onnx_runtime", "OnnxRuntimeEngine", "onnxruntime", "cpu"),
}
ENGINE_NAMES = ("auto", *_ENGINES)


def resolve_engine(name: str) -> str:
    """The engine to use for a name of ENGINE_NAMES: one that is installed and can be imported.

    Raises UsageError if there is none.
    """
    if name not in ENGINE_NAMES:
        raise UsageError(f"unknown engine {name}: choose one of {', '.join(ENGINE_NAMES)}")
    candidates = list(_ENGINES) if name == "auto" else [name]
    broken = ""
    for candidate in candidates:
        module, _, package, _ = _ENGINES[candidate]
        if find_spec(package) is None:
            continue
        try:
            import_module(f"{__name__}.{module}")
        except ImportError as error:
            broken = f"engine {candidate} cannot be imported: {one_line(error)}"
        else:
            return candidate
    if broken:
        raise UsageError(broken)
    if name == "auto":
        raise UsageError("no engine is installed: run pip install 'jpegrt[cpu]'")
    raise UsageError(
        f"engine {name} is not installed: run pip install 'jpegrt[{_ENGINES[name][3]}]'"
    )


def create_engine(name: str, bundle: "Bundle", precision: str, threads: int) -> "Engine":
    """An engine of a resolved name. threads: at least 1."""
    module, kind, _, _ = _ENGINES[name]
    engine_class = getattr(import_module(f"{__name__}.{module}"), kind)
    engine: Engine = engine_class(bundle, precision, threads)
    return engine
