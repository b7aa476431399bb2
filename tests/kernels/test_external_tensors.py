"""Graphs whose tensors are in the bundle's weights: both readers put them back, and no others."""

import hashlib
import json
import random
from collections.abc import Callable
from pathlib import Path

import onnx
import pytest
from google.protobuf.message import DecodeError
from onnx import TensorProto, helper
from tests.kernels.c_programs import ROOT
from tests.kernels.test_bundles import GOOD, fresh, native_bundle, read_graph, write

from jpegrt.kernels import NativeError, Status
from jpegrt.runtime import external_tensors
from jpegrt.runtime.bundle import open_bundle
from jpegrt.runtime.errors import UsageError

WEIGHTS = bytes(range(256)) * 4
CORPUS = ROOT / "tests/fuzz/corpus/external_tensors"
FOREIGN = "grey.onnx has a tensor that is not in the bundle's weights; export or install the"
NOT_ONNX = "grey.onnx is not ONNX; export or install the model again"


def inside(content: bytes, name: str = "w") -> TensorProto:
    return TensorProto(
        name=name, data_type=TensorProto.UINT8, dims=[len(content)], raw_data=content
    )


def outside(offset: object = 0, length: object = 8, location: str = "weights.bin") -> TensorProto:
    tensor = TensorProto(name="w", data_type=TensorProto.UINT8, dims=[8])
    tensor.data_location = TensorProto.EXTERNAL
    for key, value in {"location": location, "offset": offset, "length": length}.items():
        tensor.external_data.add(key=key, value=str(value))
    return tensor


def serialised(model: onnx.ModelProto) -> bytes:
    content: bytes = model.SerializeToString()
    return content


def in_graph(tensor: TensorProto) -> bytes:
    graph = helper.make_graph([helper.make_node("Relu", ["x"], ["y"])], "g", [], [], [tensor])
    return serialised(helper.make_model(graph))


def model_with(**fields: object) -> bytes:
    """A node's attribute with those fields."""
    model = onnx.ModelProto()
    attribute = model.graph.node.add(op_type="Constant").attribute.add(name="value")
    for name, value in fields.items():
        target = getattr(attribute, name)
        if isinstance(value, list):
            target.extend(value)
        else:
            target.CopyFrom(value)
    return serialised(model)


def sparse(tensor: TensorProto) -> onnx.SparseTensorProto:
    return onnx.SparseTensorProto(values=tensor, indices=tensor)


def subgraph(tensor: TensorProto) -> onnx.GraphProto:
    return onnx.GraphProto(initializer=[tensor])


def in_function(tensor: TensorProto) -> bytes:
    model = onnx.ModelProto()
    function = model.functions.add(name="f")
    function.node.add(op_type="Constant").attribute.add(name="value").t.CopyFrom(tensor)
    function.attribute_proto.add(name="value").t.CopyFrom(tensor)
    return serialised(model)


def in_training(tensor: TensorProto) -> bytes:
    model = onnx.ModelProto()
    info = model.training_info.add()
    info.initialization.initializer.append(tensor)
    info.algorithm.initializer.append(tensor)
    return serialised(model)


# Everywhere that ONNX may keep a tensor.
PLACES: dict[str, Callable[[TensorProto], bytes]] = {
    "initializer": in_graph,
    "sparse initializer": lambda t: serialised(
        onnx.ModelProto(graph=onnx.GraphProto(sparse_initializer=[sparse(t)]))
    ),
    "attribute": lambda t: model_with(t=t),
    "attributes": lambda t: model_with(tensors=[t, t]),
    "sparse attribute": lambda t: model_with(sparse_tensor=sparse(t)),
    "sparse attributes": lambda t: model_with(sparse_tensors=[sparse(t)]),
    "subgraph": lambda t: model_with(g=subgraph(t)),
    "subgraphs": lambda t: model_with(graphs=[subgraph(t)]),
    "function": in_function,
    "training": in_training,
}


def bundle_of(folder: Path, graph: bytes, *, shared: bool = True) -> Path:
    manifest = fresh(GOOD)
    contents = {"grey.onnx": graph}
    if shared:
        manifest |= {"format": 2, "weights": "weights.bin"}
        contents["weights.bin"] = WEIGHTS
    for name, content in contents.items():
        (folder / name).write_bytes(content)
        manifest["files"][name] = {"sha256": hashlib.sha256(content).hexdigest()}
    return write(folder, manifest)


def read(folder: Path) -> bytes:
    """As both readers read it, or the sentence with which both refuse it."""
    with native_bundle(folder) as bundle:
        try:
            expected = open_bundle(folder).read_graph("grey", "fp32")
        except UsageError as error:
            with pytest.raises(NativeError) as caught:
                read_graph(bundle, "grey", "fp32")
            assert caught.value.status is Status.BUNDLE
            assert str(caught.value) == str(error)
            raise
        assert read_graph(bundle, "grey", "fp32") == expected
    return expected


def refusal(folder: Path) -> str:
    with pytest.raises(UsageError) as caught:
        read(folder)
    assert str(caught.value).isprintable()
    return str(caught.value)


@pytest.mark.parametrize("place", PLACES)
def test_tensors_are_put_back_wherever_they_are(tmp_path: Path, place: str) -> None:
    folder = bundle_of(tmp_path, PLACES[place](outside(40, 8)))
    assert read(folder) == PLACES[place](inside(WEIGHTS[40:48]))


@pytest.mark.parametrize("place", PLACES)
def test_tensors_elsewhere_are_refused_wherever_they_are(tmp_path: Path, place: str) -> None:
    graph = PLACES[place](outside(location="other.bin"))
    assert FOREIGN in refusal(bundle_of(tmp_path, graph))
    assert FOREIGN in refusal(bundle_of(tmp_path, graph, shared=False))


@pytest.mark.parametrize(
    "location",
    [
        "/etc/passwd",
        "../weights.bin",
        "./weights.bin",
        "a/../weights.bin",
        "manifest.json",
        "",
        "w\n",
        "weights.bin/",
        "weights.bin ",
        "WEIGHTS.BIN",
        "C:\\weights.bin",
        "weights.bin\x00",
    ],
)
def test_locations_that_are_not_the_weights(tmp_path: Path, location: str) -> None:
    assert FOREIGN in refusal(bundle_of(tmp_path, in_graph(outside(location=location))))


@pytest.mark.parametrize(
    ("offset", "length"),
    [
        (1024, 1),
        (1017, 8),
        (0, 1025),
        (-1, 8),
        (0, -1),
        ("", 8),
        (0, ""),
        ("0x0", 8),
        (" 0", 8),
        (2**63, 8),
        (2**64, 8),
        (2**64 - 8, 16),
        (8, 2**64 - 8),
        ("+1", 8),
        ("1_0", 8),
        ("٣", 8),
    ],
)
def test_places_that_are_not_in_the_weights(tmp_path: Path, offset: object, length: object) -> None:
    assert FOREIGN in refusal(bundle_of(tmp_path, in_graph(outside(offset, length))))


@pytest.mark.parametrize(
    ("offset", "length"), [(0, 0), (1024, 0), (1023, 1), (0, 1024), ("007", 1)]
)
def test_places_at_the_edges(tmp_path: Path, offset: object, length: int) -> None:
    found = onnx.load_from_string(
        read(bundle_of(tmp_path, in_graph(outside(offset, length))))
    ).graph.initializer[0]
    assert found.raw_data == WEIGHTS[int(str(offset)) :][:length]
    assert not found.external_data and found.data_location == TensorProto.DEFAULT


def changed(edit: Callable[[TensorProto], object]) -> bytes:
    tensor = outside()
    edit(tensor)
    return in_graph(tensor)


def in_two_parts() -> bytes:
    """A tensor that protobuf merges of two: the first without a place, the second without a flag."""
    flag = TensorProto(data_location=TensorProto.EXTERNAL)
    place = outside()
    place.ClearField("data_location")
    parts = delimited(5, flag.SerializeToString()) + delimited(5, place.SerializeToString())
    return delimited(7, delimited(1, delimited(5, parts)))


def delimited(number: int, content: bytes) -> bytes:
    assert len(content) < 128
    return bytes([number << 3 | 2, len(content)]) + content


CONTRADICTIONS = {
    "no_place": changed(lambda t: t.ClearField("external_data")),
    "no_length": changed(lambda t: t.external_data.pop()),
    "also_inside": changed(lambda t: setattr(t, "raw_data", b"12345678")),
    "another_location": changed(lambda t: t.external_data.add(key="location", value="/etc/passwd")),
    "in_two_parts": in_two_parts(),
}


@pytest.mark.parametrize("graph", CONTRADICTIONS.values(), ids=CONTRADICTIONS)
def test_tensors_that_contradict_themselves(tmp_path: Path, graph: bytes) -> None:
    assert FOREIGN in refusal(bundle_of(tmp_path, graph))


def test_external_data_counts_without_its_flag(tmp_path: Path) -> None:
    """Which parsers may take from elsewhere."""
    graph = changed(lambda t: t.ClearField("data_location"))
    assert read(bundle_of(tmp_path, graph)) == in_graph(inside(WEIGHTS[:8]))


def nested(depth: int, tensor: TensorProto) -> bytes:
    graph = subgraph(tensor)
    for _ in range(depth):
        outer = onnx.GraphProto()
        outer.node.add(op_type="If").attribute.add(name="b").g.CopyFrom(graph)
        graph = outer
    return serialised(onnx.ModelProto(graph=graph))


def test_subgraphs_in_subgraphs(tmp_path: Path) -> None:
    assert read(bundle_of(tmp_path, nested(20, outside()))) == nested(20, inside(WEIGHTS[:8]))
    assert NOT_ONNX in refusal(bundle_of(tmp_path, nested(22, outside())))


@pytest.mark.parametrize(
    "graph",
    [
        b"not ONNX",
        b":",
        b":\x05ab",
        b";<",
        b"\x00\x00",
        b"\x80" * 11,
        b"\r123",
        b"\t" + b"1234567",
        b"\x08",
        b"\xff\xff\xff\xff\xff\x01\x00",
        b":\x02*\x05",
    ],
)
def test_what_is_no_onnx(tmp_path: Path, graph: bytes) -> None:
    assert NOT_ONNX in refusal(bundle_of(tmp_path, graph))


def test_a_graph_may_not_outgrow_an_onnx_file(monkeypatch: pytest.MonkeyPatch) -> None:
    graph = onnx.ModelProto(graph=onnx.GraphProto(initializer=[outside(0, 1024)] * 3))
    monkeypatch.setattr(external_tensors, "MOST_BYTES", 3 * 1024)
    content = graph.SerializeToString()
    assert external_tensors.with_tensors_inside(content, "weights.bin", WEIGHTS)
    monkeypatch.setattr(external_tensors, "MOST_BYTES", 3 * 1024 - 1)
    with pytest.raises(external_tensors.GraphError, match="not in the bundle's weights"):
        external_tensors.with_tensors_inside(content, "weights.bin", WEIGHTS)


@pytest.mark.parametrize("spoil", ["changed", "truncated", "longer", "missing"])
def test_weights_that_are_not_those_listed(tmp_path: Path, spoil: str) -> None:
    folder = bundle_of(tmp_path, in_graph(outside()))
    assert read(folder)
    file = folder / "weights.bin"
    if spoil == "missing":
        file.unlink()
        assert "weights.bin: No such file or directory; export or install" in refusal(folder)
        return
    contents = {
        "changed": WEIGHTS[:-1] + b"\0",
        "truncated": WEIGHTS[:-1],
        "longer": WEIGHTS + b"\0",
    }
    file.write_bytes(contents[spoil])
    assert "weights.bin is not the file that manifest.json lists (its SHA-256" in refusal(folder)


def test_mutated_graphs_are_read_alike(tmp_path: Path) -> None:
    """Whatever is accepted has no tensor elsewhere, for any reader of protobuf."""
    draw = random.Random(0)
    seeds = [place(outside(16, 8)) for place in PLACES.values()]
    accepted = 0
    for _ in range(400):
        graph = bytearray(draw.choice(seeds))
        for _ in range(draw.randrange(1, 4)):
            at = draw.randrange(len(graph))
            graph[at : at + draw.randrange(2)] = bytes(
                draw.choice([0, 1, draw.randrange(256)]) for _ in range(draw.randrange(2))
            )
        try:
            found = read(bundle_of(tmp_path, bytes(graph)))
        except UsageError:
            continue
        try:
            text = str(onnx.load_from_string(found))
        except DecodeError:  # it looks into texts too
            continue
        accepted += 1
        assert "external_data" not in text and "data_location: EXTERNAL" not in text
    assert accepted > 20


def test_the_corpus_is_refused(tmp_path: Path) -> None:
    attacks = sorted(CORPUS.iterdir())
    assert attacks
    for attack in attacks:
        assert "; export or install the model again" in refusal(
            bundle_of(tmp_path, attack.read_bytes())
        )


def test_manifests_without_weights_are_read_as_ever(tmp_path: Path) -> None:
    graph = in_graph(inside(b"12345678"))
    folder = bundle_of(tmp_path, graph, shared=False)
    assert json.loads((folder / "manifest.json").read_text())["format"] == 1
    assert read(folder) == graph
