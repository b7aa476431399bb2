"""The graphs that engines are built of: a bundle's own, or derived from them and verified."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import onnx

from jpegrt.export.half_emulation import HalfEmulation
from jpegrt.export.half_precision import to_half
from jpegrt.export.symmetric import integer_layers, to_symmetric
from jpegrt.runtime.bundle import Bundle
from jpegrt.runtime.engines.onnx_runtime import OnnxRuntimeEngine
from jpegrt.runtime.errors import RestoreError
from jpegrt.runtime.verification import Verification, shipped_original, verify

# precision of an engine -> that of the bundle's graphs it is built of
_BUNDLE_PRECISIONS = {"fp32": "fp32", "fp16": "fp16", "int8": "int8-symmetric"}
PRECISIONS = tuple(_BUNDLE_PRECISIONS)
# precision of a bundle -> that which it can be derived from
_ORIGINS = {"fp16": "fp32", "int8-symmetric": "int8"}
_QUALITIES = (10, 40)
# On the one photograph that ships, which is smooth: such lose twice what a set loses in the mean.
_TOLERANCE_DB = {"fp16": 0.01, "int8-symmetric": 0.15}
# How many layers are tried in half where int8 throughout loses too much, and the largest share of
# them. The last: nothing behind them evens out what their rounding does (jscnn-x2 lost 0.16 dB, and
# 0.007 with two of 30 in half).
_IN_HALF = (1, 2, 4, 8)
_LARGEST_SHARE = 1 / 4


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
        _, result = derive(bundle, wanted, folder, report)
        if not result.passed:
            raise DerivationError(
                f"{wanted} cannot be derived for {bundle.name}: it would lose "
                f"{result.loss_db:.3f} dB of {result.tolerance_db:g} allowed, and move a component "
                f"by {result.largest_bias:.3f} levels of {result.bias_levels:g}; export the model "
                f"with --precision {wanted}"
            )
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
    return bundle.choose_precision(_ORIGINS.get(precision, precision))


def derive(
    bundle: Bundle, precision: str, folder: Path, report: Callable[[str], None]
) -> tuple[Bundle, Verification]:
    """A bundle's graphs in a precision that it lacks, in `folder`, as a bundle of them alone, without
    a manifest in the folder; and whether they are good enough.

    Of int8 the last layers are in half, if that is what it takes, and none if it does not help.
    Raises UsageError as `derivable_from` does.
    """
    derived = _derived_bundle(bundle, precision, folder)
    result = whole = _verify(bundle, derived, precision)
    for count in _IN_HALF:
        if result.passed or precision != "int8-symmetric":
            return derived, result
        report(f"int8 loses {result.loss_db:.3f} dB: the last {count} of its layers in fp16")
        derived = _derived_bundle(bundle, precision, folder, count)
        result = _verify(bundle, derived, precision)
    if result.passed:
        return derived, result
    return _derived_bundle(bundle, precision, folder), whole


def _derived_bundle(bundle: Bundle, precision: str, folder: Path, in_half: int = 0) -> Bundle:
    """in_half: how many layers of int8, of each graph."""
    origin = derivable_from(bundle, precision)
    files, facts = {}, {}
    for graph in bundle.spec.graphs:
        model = onnx.load_from_string(bundle.read_graph(graph.name, origin))
        if precision == "fp16":
            model = to_half(model)
        else:
            layers = integer_layers(model)
            count = min(in_half, int(_LARGEST_SHARE * len(layers)))
            model = to_symmetric(model, layers[len(layers) - count :])
        content = model.SerializeToString()
        files[graph.name] = file = f"{graph.name}.onnx"
        facts[file] = {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}
        (folder / file).write_bytes(content)
    manifest = {**bundle.manifest, "precisions": {precision: {"files": files}}, "files": facts}
    manifest.pop("weights", None)  # these have theirs inside
    return Bundle(folder, manifest)


def _verify(bundle: Bundle, derived: Bundle, precision: str) -> Verification:
    """Compares derived graphs, with float16 rounded, with the bundle's fp32."""
    return verify(
        bundle.spec,
        OnnxRuntimeEngine(bundle, "fp32", threads=1),
        HalfEmulation(derived, precision, threads=1),
        [shipped_original()],
        _QUALITIES,
        _TOLERANCE_DB[precision],
    )
