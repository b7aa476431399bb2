"""The graphs that engines are built of: a bundle's own, or derived from them and verified."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import onnx

from jpegrt.export.half_emulation import HalfEmulation
from jpegrt.export.half_precision import to_half
from jpegrt.export.symmetric import to_symmetric
from jpegrt.runtime.bundle import Bundle
from jpegrt.runtime.engines.onnx_runtime import OnnxRuntimeEngine
from jpegrt.runtime.errors import RestoreError
from jpegrt.runtime.verification import shipped_original, verify

# precision of an engine -> (that of the bundle which is it, that which it can be derived from, how)
_ORIGINS = {
    "fp32": ("fp32", "fp32", None),
    "fp16": ("fp16", "fp32", to_half),
    "int8": ("int8-symmetric", "int8", to_symmetric),
}
PRECISIONS = tuple(_ORIGINS)
_QUALITIES = (10, 40)
# On the one photograph that ships, which is smooth: such lose twice what a set loses in the mean.
_TOLERANCE_DB = {"fp16": 0.01, "int8-symmetric": 0.15}


@dataclass(frozen=True)
class EngineGraph:
    """One graph in one precision. source: the bundle's file that it is, or is derived from."""

    name: str
    precision: str
    source: str
    source_sha256: str
    onnx: Path


class DerivationError(RestoreError):
    """A derived precision loses too much; no engine was built."""


def engine_graphs(
    bundle: Bundle, precision: str, scratch: Path, report: Callable[[str], None]
) -> list[EngineGraph]:
    """A bundle's graphs as TensorRT takes them, in files: derived ones are written into `scratch`.

    Raises UsageError if the bundle has nothing to make them of, and DerivationError.
    """
    own, origin, derive = _ORIGINS[precision]
    listed = own if own in bundle.precisions else bundle.choose_precision(origin)
    names = [graph.name for graph in bundle.spec.graphs]
    folder = scratch / precision
    folder.mkdir()
    for name in names:
        content = bundle.read_graph(name, listed)
        if listed != own and derive is not None:
            content = derive(onnx.load_from_string(content)).SerializeToString()
        (folder / f"{name}.onnx").write_bytes(content)
    if listed != own:
        report(f"deriving {own} from {listed}")
        _verify(bundle, own, folder)
    files = bundle.manifest["precisions"][listed]["files"]
    return [
        EngineGraph(
            name,
            precision,
            files[name],
            bundle.manifest["files"][files[name]]["sha256"],
            folder / f"{name}.onnx",
        )
        for name in names
    ]


def _verify(bundle: Bundle, precision: str, folder: Path) -> None:
    """Compares derived graphs, with float16 rounded, with the bundle's fp32."""
    files = {graph.name: f"{graph.name}.onnx" for graph in bundle.spec.graphs}
    hashes = {
        name: {"sha256": hashlib.sha256((folder / name).read_bytes()).hexdigest()}
        for name in files.values()
    }
    manifest = {**bundle.manifest, "precisions": {precision: {"files": files}}, "files": hashes}
    manifest.pop("weights", None)  # these have theirs inside
    result = verify(
        bundle.spec,
        OnnxRuntimeEngine(bundle, "fp32", threads=1),
        HalfEmulation(Bundle(folder, manifest), precision, threads=1),
        [shipped_original()],
        _QUALITIES,
        _TOLERANCE_DB[precision],
    )
    if not result.passed:
        raise DerivationError(
            f"{precision} cannot be derived for {bundle.name}: it would lose {result.loss_db:.3f} dB "
            f"of {result.tolerance_db:g} allowed, and move a component by {result.largest_bias:.3f} "
            f"levels of {result.bias_levels:g}; export the model with --precision {precision}"
        )
