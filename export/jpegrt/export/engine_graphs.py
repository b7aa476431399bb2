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

# precision of an engine -> that of the bundle's graphs it is built of
_BUNDLE_PRECISIONS = {"fp32": "fp32", "fp16": "fp16", "int8": "int8-symmetric"}
PRECISIONS = tuple(_BUNDLE_PRECISIONS)
# precision of a bundle -> that which it can be derived from, and how
_DERIVATIONS = {"fp16": ("fp32", to_half), "int8-symmetric": ("int8", to_symmetric)}
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
    wanted = _BUNDLE_PRECISIONS[precision]
    folder = scratch / precision
    folder.mkdir()
    if wanted in bundle.precisions:
        listed = wanted
        for graph in bundle.spec.graphs:
            (folder / f"{graph.name}.onnx").write_bytes(bundle.read_graph(graph.name, wanted))
    else:
        listed = derivable_from(bundle, wanted)
        report(f"deriving {wanted} from {listed}")
        _verify(bundle, derived_bundle(bundle, wanted, folder), wanted)
    files = bundle.manifest["precisions"][listed]["files"]
    return [
        EngineGraph(
            graph.name,
            precision,
            files[graph.name],
            bundle.manifest["files"][files[graph.name]]["sha256"],
            folder / f"{graph.name}.onnx",
        )
        for graph in bundle.spec.graphs
    ]


def derivable_from(bundle: Bundle, precision: str) -> str:
    """The bundle's precision that one it lacks is derived from. Raises UsageError if it lacks both,
    or the one it lacks cannot be derived."""
    origin, _ = _DERIVATIONS.get(precision, (precision, None))
    return bundle.choose_precision(origin)


def derived_bundle(bundle: Bundle, precision: str, folder: Path) -> Bundle:
    """A bundle's graphs in a precision that it lacks, in `folder`, not verified, as a bundle of them
    alone; without a manifest in the folder. Raises UsageError as `derivable_from` does."""
    origin = derivable_from(bundle, precision)
    _, derive = _DERIVATIONS[precision]
    files, facts = {}, {}
    for graph in bundle.spec.graphs:
        model = derive(onnx.load_from_string(bundle.read_graph(graph.name, origin)))
        content = model.SerializeToString()
        files[graph.name] = file = f"{graph.name}.onnx"
        facts[file] = {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}
        (folder / file).write_bytes(content)
    manifest = {**bundle.manifest, "precisions": {precision: {"files": files}}, "files": facts}
    manifest.pop("weights", None)  # these have theirs inside
    return Bundle(folder, manifest)


def _verify(bundle: Bundle, derived: Bundle, precision: str) -> None:
    """Compares derived graphs, with float16 rounded, with the bundle's fp32."""
    result = verify(
        bundle.spec,
        OnnxRuntimeEngine(bundle, "fp32", threads=1),
        HalfEmulation(derived, precision, threads=1),
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
