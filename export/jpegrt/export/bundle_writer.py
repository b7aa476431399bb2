"""Writes a bundle: graphs exported, quantised, verified, and listed in a manifest."""

import hashlib
import json
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import onnx

from jpegrt.export.half_emulation import HalfEmulation
from jpegrt.export.half_precision import to_half
from jpegrt.export.half_storage import round_weights, store_in_half
from jpegrt.export.model import Example, Model
from jpegrt.export.sensitivity import quantise_within_bounds
from jpegrt.export.shared_weights import share_weights
from jpegrt.export.symmetric import to_symmetric
from jpegrt.export.verify import Verification, verify
from jpegrt.kernels import Engine, GraphSpec
from jpegrt.runtime.bundle import MANIFEST, Bundle, open_bundle
from jpegrt.runtime.engines import ENGINE_NAMES, create_engine, resolve_engine, runs_on_gpu
from jpegrt.runtime.errors import RestoreError, UsageError

CALIBRATION_QUALITIES = (5, 10, 20, 30, 40, 50, 60, 75, 85, 90, 95)
VERIFICATION_QUALITIES = (10, 40, 90)
# Spread over the held-out ones. Few, because every precision is verified on every engine; of four the
# shifts of cjpgsr's int8 happened to cancel.
VERIFICATION_IMAGES = 8
# What float16 graphs are verified on besides: engines on CPUs compute them in float32.
HALF_EMULATION = "float16 emulation"


@dataclass(frozen=True)
class BundleRequest:
    """What to write, and the images (none of a test set) to calibrate and to verify with.

    rounds_weights: to float16, which half the bytes hold; what that costs is verified with the rest.
    """

    name: str
    model: Model
    precisions: Sequence[str]
    calibration_files: Sequence[Path]
    verification_files: Sequence[Path]
    description: dict[str, Any]  # goes into the manifest as it is: summary, licence, training
    rounds_weights: bool = False


class VerificationError(RestoreError):
    """A graph's answers are too far from PyTorch's; nothing was written."""


def write_bundle(request: BundleRequest, folder: Path, report: Callable[[str], None]) -> Bundle:
    """Writes or replaces the bundle `folder`, whole or not at all.

    A precision that fails its verification is left out, and the manifest says so; fp32 has to
    pass. Raises VerificationError, and UsageError if `folder` holds something else than a bundle.
    """
    _check_replaceable(folder)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".bundle-") as scratch:
        bundle = _write(request, Path(scratch) / "bundle", report)
        replaced = Path(scratch) / "replaced"
        if folder.exists():
            # What people wrote beside the manifest (the model card) stays.
            for file in folder.glob("*.md"):
                shutil.copy2(file, bundle.folder)
            folder.rename(replaced)  # deleted only once the new one is there
        try:
            bundle.folder.rename(folder)
        except OSError:
            if replaced.exists():
                replaced.rename(folder)
            raise
    return open_bundle(folder)


def _check_replaceable(folder: Path) -> None:
    """Raises UsageError if replacing `folder` would delete something else than a bundle."""
    if not folder.exists() or (folder / MANIFEST).exists():
        return
    if not folder.is_dir() or any(folder.iterdir()):
        raise UsageError(f"{folder} is not a bundle, and would be deleted: choose another output")


def _write(request: BundleRequest, folder: Path, report: Callable[[str], None]) -> Bundle:
    folder.mkdir()
    request.model.network.eval()
    specs = request.model.specs
    models = {}
    for spec in specs:
        report(f"exporting {spec.name}")
        model = request.model.export(spec)
        models[spec.name] = round_weights(model) if request.rounds_weights else model

    manifest: dict[str, Any] = {
        "format": 1,
        "model": request.name,
        "task": "restoration",
        **request.model.manifest(),
        **request.description,
        "default_precision": "fp32",
        "precisions": {},
        "rejected_precisions": {},
        "files": {},
    }
    int8: dict[str, onnx.ModelProto] = {}  # by graph; finding what stays in float takes minutes
    for precision in request.precisions:
        for spec in specs:
            report(f"writing {spec.name} in {precision}")
            model = models[spec.name]
            if precision in ("int8", "int8-symmetric"):
                if spec.name not in int8:
                    int8[spec.name] = _quantise(request, model, spec, report)
                model = int8[spec.name]
            if precision == "int8-symmetric":
                model = to_symmetric(model)
            if precision == "fp16":
                model = to_half(model)
            onnx.save(store_in_half(model), folder / f"{spec.name}.{precision}.onnx")
        _admit(request, folder, manifest, precision, specs, report)
    if "int8" in manifest["precisions"]:
        manifest["default_precision"] = "int8"
    share_weights({folder: manifest})
    _write_manifest(manifest, folder)
    return open_bundle(folder)


def _quantise(
    request: BundleRequest, model: onnx.ModelProto, spec: GraphSpec, report: Callable[[str], None]
) -> onnx.ModelProto:
    module = request.model.module(spec).eval()

    def verify_on(engine: Engine) -> Verification:
        data = _verification_examples(request, spec)
        return verify(engine, spec.name, module, request.model.output_names(spec), data)

    data = request.model.examples(request.calibration_files, spec, CALIBRATION_QUALITIES)
    calibration = (example.inputs for example in data)
    return quantise_within_bounds(model, calibration, verify_on, report)


def _verification_examples(request: BundleRequest, spec: GraphSpec) -> Iterator[Example]:
    files = request.verification_files
    files = files[:: max(1, len(files) // VERIFICATION_IMAGES)]
    return request.model.examples_of_each_quality(files, spec, VERIFICATION_QUALITIES)


def _admit(
    request: BundleRequest,
    folder: Path,
    manifest: dict[str, Any],
    precision: str,
    specs: Sequence[GraphSpec],
    report: Callable[[str], None],
) -> None:
    """Verifies a precision's files on every engine here and lists them, or removes them."""
    names = {spec.name: f"{spec.name}.{precision}.onnx" for spec in specs}
    listed = {name: _describe(folder / name) for name in names.values()}
    candidate = {**manifest, "precisions": {precision: {"files": names}}, "files": listed}
    results: dict[str, dict[str, Verification]] = {}  # engine -> graph -> figures
    engine_names = _installed_engines()
    if precision in ("fp16", "int8-symmetric"):
        engine_names.append(HALF_EMULATION)
    for engine_name in engine_names:
        engine = _create(engine_name, Bundle(folder, candidate), precision)
        results[engine_name] = {}
        for spec in specs:
            module = request.model.module(spec).eval()
            outputs = request.model.output_names(spec)
            data = _verification_examples(request, spec)
            result = verify(engine, spec.name, module, outputs, data)
            results[engine_name][spec.name] = result
            report(f"{spec.name} in {precision} on {engine_name}: {result}")
    verification = {
        engine_name: {graph: result.to_json() for graph, result in graphs.items()}
        for engine_name, graphs in results.items()
    }
    if all(r.acceptable(precision) for graphs in results.values() for r in graphs.values()):
        manifest["precisions"][precision] = {"files": names, "verification": verification}
        manifest["files"].update(listed)
        return
    if precision == "fp32":
        raise VerificationError(f"fp32 differs too much from PyTorch: {verification}")
    manifest["rejected_precisions"][precision] = {"verification": verification}
    for name in names.values():
        (folder / name).unlink()


def _create(engine_name: str, bundle: Bundle, precision: str) -> Engine:
    if engine_name == HALF_EMULATION:
        return HalfEmulation(bundle, precision, threads=2)
    return create_engine(engine_name, bundle, precision, threads=2)


def _installed_engines() -> list[str]:
    """All that run on CPUs, since a user's may be any: each rounds int8 graphs in its own way."""
    installed = []
    for name in ENGINE_NAMES:
        if name != "auto" and not runs_on_gpu(name):
            with suppress(UsageError):
                installed.append(resolve_engine(name))
    return installed


def _describe(file: Path) -> dict[str, Any]:
    content = file.read_bytes()
    return {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}


def _write_manifest(manifest: dict[str, Any], folder: Path) -> None:
    (folder / MANIFEST).write_text(json.dumps(manifest, indent=1) + "\n")
