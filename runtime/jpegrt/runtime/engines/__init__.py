"""Engines: what runs a bundle's graphs. Each file wraps one vendor package, imported on use."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jpegrt.runtime.errors import UsageError, one_line

if TYPE_CHECKING:
    from jpegrt.kernels import Engine
    from jpegrt.runtime.bundle import Bundle


@dataclass(frozen=True)
class _Kind:
    """module, name: of its class here; package: what it needs; extra: what installs it.

    on_gpu: it runs there, on device tensors or the host's; is_built: it runs what `jpegrt build`
    makes; arguments: of its class, beside those that all have.
    """

    module: str
    name: str
    package: str
    extra: str
    on_gpu: bool = False
    is_built: bool = False
    arguments: Mapping[str, Any] = field(default_factory=dict)


def _onnx_runtime(provider: str) -> _Kind:
    arguments = {"provider": provider}
    return _Kind(
        "onnx_runtime", "OnnxRuntimeEngine", "onnxruntime", "gpu", on_gpu=True, arguments=arguments
    )


def _tensor_rt(flavour: str, package: str) -> _Kind:
    arguments = {"flavour": flavour}
    return _Kind(
        "tensor_rt",
        "TensorRtEngine",
        package,
        flavour,
        on_gpu=True,
        is_built=True,
        arguments=arguments,
    )


_ON_CPU = {  # in the order in which "auto" looks: OpenVINO runs our int8 files a third faster
    "openvino": _Kind("open_vino", "OpenVinoEngine", "openvino", "openvino"),
    "onnxruntime": _Kind("onnx_runtime", "OnnxRuntimeEngine", "onnxruntime", "cpu"),
}
_ENGINES = _ON_CPU | {
    "onnxruntime-cuda": _onnx_runtime("CUDA"),
    "onnxruntime-tensorrt": _onnx_runtime("TensorRT"),
    "tensorrt": _tensor_rt("tensorrt", "tensorrt"),
    "tensorrt-lean": _tensor_rt("lean", "tensorrt_lean"),
    "rtx": _tensor_rt("rtx", "tensorrt_rtx_bindings"),
}
ENGINE_NAMES = ("auto", *_ENGINES)
_BUILT_PRECISIONS = ("fp32", "fp16", "int8")


def resolve_engine(name: str) -> str:
    """The engine to use for a name of ENGINE_NAMES: one that is installed and can be imported.

    "auto" is one that runs on the CPU. Raises UsageError if there is none.
    """
    if name not in ENGINE_NAMES:
        raise UsageError(f"unknown engine {name}: choose one of {', '.join(ENGINE_NAMES)}")
    candidates = list(_ON_CPU) if name == "auto" else [name]
    broken = ""
    for candidate in candidates:
        kind = _ENGINES[candidate]
        if find_spec(kind.package) is None:
            continue
        try:
            import_module(f"{__name__}.{kind.module}")
        except ImportError as error:
            broken = f"engine {candidate} cannot be imported: {one_line(error)}"
        else:
            return candidate
    if broken:
        raise UsageError(broken)
    if name == "auto":
        raise UsageError("no engine is installed: run pip install 'jpegrt[cpu]'")
    raise UsageError(
        f"engine {name} is not installed: run pip install 'jpegrt[{_ENGINES[name].extra}]'"
    )


def runs_on_gpu(name: str) -> bool:
    """Whether an engine of a resolved name takes device tensors."""
    return _ENGINES[name].on_gpu


def runs_own_graphs(name: str) -> bool:
    """Whether an engine of a resolved name runs a bundle's graphs, not what was built of them."""
    return not _ENGINES[name].is_built


def check_options(name: str, device: int | None, folder: Path | None) -> None:
    """Refuses what an engine of a resolved name would ignore. Raises UsageError.

    device, folder: as of `create_engine`, None if they were not named.
    """
    kind = _ENGINES[name]
    if device is not None and not kind.on_gpu:
        raise UsageError(f"engine {name} runs on the CPU: name no device")
    if folder is not None and not kind.is_built:
        raise UsageError(f"engine {name} runs a model's own graphs: name no folder of engines")


def choose_precision(name: str, bundle: "Bundle", precision: str | None) -> str:
    """The precision to run a bundle in, on an engine of a resolved name; None is its default.

    TensorRT's are those that engines are built in, fp16 unless named. Raises UsageError.
    """
    if not _ENGINES[name].is_built:
        return bundle.choose_precision(precision)
    chosen = precision or "fp16"
    if chosen not in _BUILT_PRECISIONS:
        raise UsageError(
            f"engine {name} has no precision {chosen}: choose one of {', '.join(_BUILT_PRECISIONS)}"
        )
    return chosen


def create_engine(
    name: str,
    bundle: "Bundle",
    precision: str,
    threads: int,
    *,
    device: int = 0,
    folder: Path | None = None,
) -> "Engine":
    """An engine of a resolved name. Of those that run on a GPU it is a CudaEngine too.

    threads: at least 1; device: the ordinal of the GPU, for those that run on one; folder: where
    TensorRT's engines are, None for the bundle's own and the user's cache.
    """
    kind = _ENGINES[name]
    arguments = dict(kind.arguments)
    if kind.on_gpu:
        arguments["device"] = device
    if kind.is_built:
        arguments["folder"] = folder
    engine_class = getattr(import_module(f"{__name__}.{kind.module}"), kind.name)
    engine: Engine = engine_class(bundle, precision, threads, **arguments)
    return engine
