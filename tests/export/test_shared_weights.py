"""Weights that graphs have in common are stored once, and every reader finds them."""

import hashlib
import json
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from tests.export.fake_tensorrt import FakeTensorRt

from jpegrt.export.build import BuildRequest, build
from jpegrt.export.graphs import example_inputs
from jpegrt.export.profiles import DEFAULT_PROFILES
from jpegrt.export.shared_weights import share_weights
from jpegrt.kernels import Tensors
from jpegrt.runtime.bundle import MANIFEST, Bundle, find_bundle, list_bundles, open_bundle
from jpegrt.runtime.engines import create_engine

SHARING = [bundle.name for bundle in list_bundles() if "weights" in bundle.manifest]


def graph_of(*tensors: np.ndarray) -> onnx.ModelProto:
    weights = [numpy_helper.from_array(array, f"w{i}") for i, array in enumerate(tensors)]
    node = helper.make_node("Sum", [weight.name for weight in weights], ["y"])
    output = helper.make_tensor_value_info("y", TensorProto.FLOAT, None)
    return helper.make_model(helper.make_graph([node], "g", [], [output], weights))


def write_graphs(folder: Path, graphs: dict[str, onnx.ModelProto]) -> dict[str, Any]:
    """Without weights of their own; the manifest's part that sharing looks at."""
    folder.mkdir()
    manifest: dict[str, Any] = {"format": 1, "precisions": {}, "files": {}}
    for name, graph in graphs.items():
        content = graph.SerializeToString()
        (folder / name).write_bytes(content)
        manifest["files"][name] = {"sha256": hashlib.sha256(content).hexdigest()}
        manifest["precisions"][name] = {"files": {"grey": name}}
    return manifest


def random_tensor(seed: int, size: int = 200) -> np.ndarray:
    return np.random.default_rng(seed).random(size, np.float32)


def test_what_two_graphs_have_is_stored_once(tmp_path: Path) -> None:
    common, own = random_tensor(0), random_tensor(1)
    small = random_tensor(2, 127)  # 508 bytes
    graphs = {"a": graph_of(common, own, small), "b": graph_of(small, common, common[::-1].copy())}
    manifest = write_graphs(tmp_path / "bundle", graphs)
    share_weights({tmp_path / "bundle": manifest})
    file = manifest["weights"]
    weights = (tmp_path / "bundle" / file).read_bytes()
    assert manifest["format"] == 2
    assert weights == common.tobytes()
    assert file == f"weights-{hashlib.sha256(weights).hexdigest()[:16]}.bin"
    assert manifest["files"][file] == {
        "sha256": hashlib.sha256(weights).hexdigest(),
        "bytes": len(weights),
    }
    bundle = Bundle(tmp_path / "bundle", manifest)
    for name, graph in graphs.items():
        assert bundle.read_graph("grey", name) == graph.SerializeToString()
        stored = onnx.load(tmp_path / "bundle" / name)  # as other tools do
        for found, tensor in zip(stored.graph.initializer, graph.graph.initializer, strict=True):
            np.testing.assert_array_equal(
                numpy_helper.to_array(found), numpy_helper.to_array(tensor)
            )
        assert common.tobytes() not in (tmp_path / "bundle" / name).read_bytes()


def test_bundles_share_what_they_have_in_common(tmp_path: Path) -> None:
    common = random_tensor(0)
    graphs = {name: graph_of(common, random_tensor(ord(name))) for name in "abc"}
    bundles = {tmp_path / n: write_graphs(tmp_path / n, {n: g}) for n, g in graphs.items()}
    share_weights(bundles)
    (file,) = {manifest["weights"] for manifest in bundles.values()}
    for folder, manifest in bundles.items():
        name = folder.name
        assert (folder / file).read_bytes() == common.tobytes()
        assert (folder / file).is_symlink() == (name != "a")
        assert (folder / name).stat().st_size < 2 * common.nbytes
        bundle = Bundle(folder, manifest)
        assert bundle.read_graph("grey", name) == graphs[name].SerializeToString()
    # And once more, what they share already.
    before = {folder: dict(manifest) for folder, manifest in bundles.items()}
    share_weights(bundles)
    assert bundles == before
    # Wherever the folders go.
    moved = tmp_path.rename(tmp_path.with_name(f"{tmp_path.name}-moved"))
    assert (moved / "b" / file).read_bytes() == common.tobytes()


def test_types_and_shapes_may_differ(tmp_path: Path) -> None:
    common = random_tensor(0)
    graphs = {"a": graph_of(common), "b": graph_of(common.view(np.int8).reshape(4, 200))}
    manifest = write_graphs(tmp_path / "bundle", graphs)
    share_weights({tmp_path / "bundle": manifest})
    assert (tmp_path / "bundle" / manifest["weights"]).stat().st_size == common.nbytes


def test_tensors_may_say_that_they_are_inside(tmp_path: Path) -> None:
    """As ONNX Runtime's quantiser does."""
    graph = graph_of(random_tensor(0))
    before = graph.SerializeToString()
    graph.graph.initializer[0].data_location = TensorProto.DEFAULT
    manifest = write_graphs(tmp_path / "bundle", {"a": graph, "b": graph})
    share_weights({tmp_path / "bundle": manifest})
    assert Bundle(tmp_path / "bundle", manifest).read_graph("grey", "a") == before


def test_tensors_are_aligned(tmp_path: Path) -> None:
    tensors = [random_tensor(seed, 129 + seed) for seed in range(4)]
    manifest = write_graphs(tmp_path / "bundle", {n: graph_of(*tensors) for n in ("a", "b")})
    share_weights({tmp_path / "bundle": manifest})
    stored = onnx.load(tmp_path / "bundle" / "a", load_external_data=False)
    offsets = [
        int({entry.key: entry.value for entry in tensor.external_data}["offset"])
        for tensor in stored.graph.initializer
    ]
    assert offsets == [0, 576, 1152, 1728]


def test_without_anything_in_common_nothing_changes(tmp_path: Path) -> None:
    graphs = {"a": graph_of(random_tensor(0)), "b": graph_of(random_tensor(1))}
    manifest = write_graphs(tmp_path / "bundle", graphs)
    before = json.dumps(manifest)
    share_weights({tmp_path / "bundle": manifest})
    assert json.dumps(manifest) == before
    assert {path.name for path in (tmp_path / "bundle").iterdir()} == set(graphs)


def test_other_weights_are_another_graph(tmp_path: Path) -> None:
    """Engines are stale if the SHA-256 of the graph that they were built from changes."""
    hashes = set()
    for seed in (0, 1):
        folder = tmp_path / str(seed)
        manifest = write_graphs(folder, dict.fromkeys("ab", graph_of(random_tensor(seed))))
        share_weights({folder: manifest})
        hashes.add(manifest["files"]["a"]["sha256"])
    assert len(hashes) == 2


def test_shipped_models_of_several_graphs_share() -> None:
    assert {"cellnet", "cellnet-large"} <= set(SHARING)


@pytest.mark.parametrize("name", SHARING)
def test_shipped_graphs_repeat_no_large_tensor(name: str) -> None:
    bundle = find_bundle(name)
    inside: Counter[bytes] = Counter()
    for file in bundle.manifest["files"]:
        if file.endswith(".onnx"):
            stored = onnx.load(bundle.folder / file, load_external_data=False)
            inside.update(t.raw_data for t in stored.graph.initializer if len(t.raw_data) >= 512)
    assert max(inside.values(), default=1) == 1


def unshared(bundle: Bundle, folder: Path) -> Bundle:
    """The bundle as it was before weights were shared."""
    folder.mkdir()
    manifest = {**bundle.manifest, "format": 1, "files": {}}
    del manifest["weights"]
    for precision, entry in bundle.manifest["precisions"].items():
        for graph, file in entry["files"].items():
            content = bundle.read_graph(graph, precision)
            (folder / file).write_bytes(content)
            manifest["files"][file] = {"sha256": hashlib.sha256(content).hexdigest()}
    (folder / MANIFEST).write_text(json.dumps(manifest))
    return open_bundle(folder)


def inputs_and_outputs(bundle: Bundle, graph: str) -> tuple[Tensors, Tensors]:
    (spec,) = [spec for spec in bundle.spec.graphs if spec.name == graph]
    inputs = [t.numpy() for t in example_inputs(spec, bundle.spec.cell_px, rows=12, columns=9)]
    names = ["luma", "steps"] if spec.components == 1 else ["luma", "chroma", "steps"]
    outputs = {"luma_restored": np.zeros((1, 4, 12, 9), np.float32)}
    if spec.components == 3:
        outputs["chroma_restored"] = np.zeros((1, 8, 12, 9), np.float32)
    return dict(zip(names, inputs, strict=True)), outputs


@pytest.mark.parametrize("precision", ["fp32", "int8"])
@pytest.mark.parametrize("engine", ["onnxruntime", "openvino"])
def test_answers_are_the_same_bits(tmp_path: Path, engine: str, precision: str) -> None:
    shared = find_bundle("cellnet")
    engines = [
        create_engine(engine, bundle, precision, threads=1)
        for bundle in (shared, unshared(shared, tmp_path / "before"))
    ]
    for spec in shared.spec.graphs:
        inputs, outputs = inputs_and_outputs(shared, spec.name)
        answers = []
        for candidate in engines:
            found = {name: np.zeros_like(array) for name, array in outputs.items()}
            candidate.run(spec.name, inputs, found)
            answers.append({name: array.tobytes() for name, array in found.items()})
        assert answers[0] == answers[1]
        assert any(bytes(len(answer)) != answer for answer in answers[0].values())


def test_builders_get_graphs_with_their_weights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "tensorrt_rtx", FakeTensorRt("rtx"))
    bundle = find_bundle("cellnet")
    request = BuildRequest(bundle, tmp_path, ["sm86"], ["fp32"], DEFAULT_PROFILES, "rtx", ["420"])
    (built,) = build(request, lambda line: None)
    assert built.facts is not None
    content = bundle.read_graph("420", "fp32")
    assert built.facts.onnx_sha256 == hashlib.sha256(content).hexdigest()
    assert all(
        not tensor.external_data for tensor in onnx.load_from_string(content).graph.initializer
    )
