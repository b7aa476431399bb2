"""Engines on the shipped models: each gives the same answers, and fails in words."""

import hashlib
import json
import re
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from tests.kernels.c_programs import Libjpeg
from tests.kernels.images import synthetic

from jpegrt.kernels import Engine, Pipeline, Tensors
from jpegrt.runtime import engines
from jpegrt.runtime.bundle import MANIFEST, Bundle, list_bundles, open_bundle
from jpegrt.runtime.engines import create_engine, resolve_engine
from jpegrt.runtime.errors import RestoreError, UsageError

ENGINES = ("onnxruntime", "openvino")
MODELS = {bundle.name: bundle for bundle in list_bundles()}

# Graph -> how stock libjpeg is asked for such a file.
FILES = {
    "grey": "1x1",
    "420": "2x2,1x1,1x1",
    "422": "2x1,1x1,1x1",
    "440": "1x2,1x1,1x1",
    "444": "1x1,1x1,1x1",
}

PLAIN = ("grey", "420")

# Largest and mean difference between two engines, of full range. In int8 they round differently at
# some nodes, and the head's own step is 0.36 levels at quality 10.
BOUNDS = {"fp32": (1e-4, 1e-5), "int8": (6 / 255, 0.5 / 255)}


@cache
def engine_of(name: str, model: str, precision: str) -> Engine:
    """Compiled once for all tests: OpenVINO takes its time."""
    return create_engine(name, MODELS[model], precision, threads=1)


class Comparing:
    """Runs several engines on the same inputs and keeps their outputs."""

    def __init__(self, *compared: Engine) -> None:
        self._compared = compared
        self.graphs: list[str] = []
        self.results: list[list[dict[str, NDArray[np.float32]]]] = []

    def run(self, graph: str, inputs: Tensors, outputs: Tensors) -> None:
        results = []
        for engine in self._compared:
            for tensor in outputs.values():
                tensor[:] = np.nan  # so that what an engine leaves unwritten is seen
            engine.run(graph, inputs, outputs)
            results.append({name: tensor.copy() for name, tensor in outputs.items()})
        self.graphs.append(graph)
        self.results.append(results)


def restore(pipeline: Pipeline, jpeg: bytes) -> NDArray[np.uint8]:
    pixels = np.empty(pipeline.read(jpeg), np.uint8)
    pipeline.restore(pixels)
    return pixels


def photograph(libjpeg: Libjpeg, graph: str, height: int, width: int, quality: int = 20) -> bytes:
    pixels = synthetic(height, width, 1 if graph == "grey" else 3)
    return libjpeg.encode(pixels, FILES[graph], quality=quality)


def takes_cells(bundle: Bundle) -> bool:
    return bundle.spec.domain == "cells"


@pytest.mark.parametrize(
    ("model", "graph"),
    [
        (name, graph)
        for name, bundle in MODELS.items()
        for graph in FILES
        # To networks that take no cells all samplings of colour are the same.
        if graph in ({each.name for each in bundle.spec.graphs} if takes_cells(bundle) else PLAIN)
    ],
)
@pytest.mark.parametrize("precision", BOUNDS)
def test_engines_agree(libjpeg: Libjpeg, model: str, precision: str, graph: str) -> None:
    bundle = MODELS[model]
    if precision not in bundle.precisions:
        pytest.skip(f"{model} has no {precision}: it failed its verification")
    both = Comparing(*(engine_of(name, model, precision) for name in ENGINES))
    pipeline = Pipeline(bundle.spec, both, threads=1)
    for quality in (10, 90):
        restore(pipeline, photograph(libjpeg, graph, 56, 72, quality))
    if bundle.spec.unfoldings:
        turn = ["arm_guide", "arm", "rem_guide", "rem"]
        assert both.graphs == 2 * bundle.spec.unfoldings * turn
    else:
        assert both.graphs == 2 * [graph if takes_cells(bundle) else bundle.spec.graphs[0].name]
    largest, mean = BOUNDS[precision]
    for one, other in both.results:
        assert set(one) == set(other)
        if takes_cells(bundle):
            assert len(one) == (1 if graph == "grey" else 2)
        for name in one:
            difference = np.abs(one[name] - other[name])
            assert difference.max() <= largest, name
            assert difference.mean() <= mean, name


@pytest.mark.parametrize("engine", ENGINES)
def test_sizes_one_after_another(libjpeg: Libjpeg, engine: str) -> None:
    bundle = MODELS["cellnet"]
    precision = bundle.default_precision
    pipeline = Pipeline(bundle.spec, engine_of(engine, "cellnet", precision), threads=1)
    jpegs = [photograph(libjpeg, "grey", *size) for size in [(40, 24), (8, 8), (24, 72), (40, 24)]]
    shown = [restore(pipeline, jpeg) for jpeg in jpegs]
    np.testing.assert_array_equal(shown[0], shown[3])
    alone = Pipeline(bundle.spec, create_engine(engine, bundle, precision, 1), threads=1)
    np.testing.assert_array_equal(shown[2], restore(alone, jpegs[2]))
    np.testing.assert_array_equal(shown[1], restore(alone, jpegs[1]))


@pytest.mark.parametrize("engine", ENGINES)
def test_a_graph_that_fails_is_named(engine: str, capfd: pytest.CaptureFixture[str]) -> None:
    wrong = {"luma": np.zeros((1, 3, 8, 8), np.float32), "steps": np.ones((1, 64), np.float32)}
    outputs = {"luma_restored": np.zeros((1, 4, 8, 8), np.float32)}
    with pytest.raises(RestoreError, match="failed on graph grey"):
        engine_of(engine, "cellnet", "fp32").run("grey", wrong, outputs)
    assert capfd.readouterr() == ("", "")  # the exception says it all


def listing(folder: Path, file: str, content: bytes) -> Bundle:
    """The bundle with other content in one of its files, properly listed."""
    (folder / file).write_bytes(content)
    manifest = json.loads((folder / MANIFEST).read_text())
    manifest["files"][file]["sha256"] = hashlib.sha256(content).hexdigest()
    (folder / MANIFEST).write_text(json.dumps(manifest))
    return open_bundle(folder)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(
    ("content", "said"),
    [(b"", "cannot load graph grey: "), (b"not ONNX at all", "grey.fp32.onnx is not ONNX; export")],
)
def test_a_file_that_is_no_graph_is_named(
    bundle_folder: Path, libjpeg: Libjpeg, engine: str, content: bytes, said: str
) -> None:
    bundle = listing(bundle_folder, "grey.fp32.onnx", content)
    pipeline = Pipeline(bundle.spec, create_engine(engine, bundle, "fp32", 1))
    with pytest.raises(RestoreError, match=said):
        restore(pipeline, photograph(libjpeg, "grey", 16, 16))


def test_installed_engines_are_found() -> None:
    assert resolve_engine("auto") == "openvino"  # the faster of the two
    assert [resolve_engine(name) for name in ENGINES] == list(ENGINES)


@pytest.mark.parametrize(
    ("missing", "asked", "command"),
    [
        ({"openvino"}, "openvino", "pip install 'jpegrt[openvino]'"),
        ({"onnxruntime"}, "onnxruntime", "pip install 'jpegrt[cpu]'"),
        ({"openvino", "onnxruntime"}, "auto", "pip install 'jpegrt[cpu]'"),
    ],
)
def test_a_missing_package_is_named_with_its_command(
    monkeypatch: pytest.MonkeyPatch, missing: set[str], asked: str, command: str
) -> None:
    monkeypatch.setattr(engines, "find_spec", lambda name: None if name in missing else name)
    with pytest.raises(UsageError, match=f"installed: run {re.escape(command)}$"):
        resolve_engine(asked)


def test_auto_takes_what_there_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engines, "find_spec", lambda name: None if name == "openvino" else name)
    assert resolve_engine("auto") == "onnxruntime"


def test_auto_passes_over_what_cannot_be_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(name: str) -> object:
        if name.endswith("open_vino"):
            raise ImportError("libopenvino.so:\n cannot open shared object file")
        return None

    monkeypatch.setattr(engines, "import_module", broken)
    assert resolve_engine("auto") == "onnxruntime"
    reason = "openvino cannot be imported: libopenvino.so: cannot open shared object file$"
    with pytest.raises(UsageError, match=reason):
        resolve_engine("openvino")


def test_openvino_copies_no_outputs() -> None:
    class Request:
        shared = False

        def set_tensor(self, name: str, tensor: object) -> None:
            pass

        def infer(self, *, share_outputs: bool = False) -> None:
            self.shared = share_outputs

    engine, request = create_engine("openvino", MODELS["cellnet"], "fp32", threads=1), Request()
    engine._requests["grey"] = request  # type: ignore[attr-defined]
    engine.run("grey", {}, {})
    assert request.shared


def test_an_unknown_engine_is_refused() -> None:
    with pytest.raises(UsageError, match="choose one of auto, openvino, onnxruntime"):
        resolve_engine("tensorflow")
