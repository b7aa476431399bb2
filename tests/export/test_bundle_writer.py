"""Bundles are written whole or not at all, and hold only what was verified."""

import json
import os
from collections.abc import Callable, Iterator, Sequence
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import onnx
import pytest
import torch

from jpegrt.export import bundle_writer, cell_model
from jpegrt.export.bundle_weights import load_bundle_weights
from jpegrt.export.bundle_writer import (
    BundleRequest,
    VerificationError,
    write_bundle,
)
from jpegrt.export.calibration import examples_of_each_quality
from jpegrt.export.cell_model import CellModel, multiply_adds_per_px
from jpegrt.export.model import Example
from jpegrt.kernels import Engine, GraphSpec, Tensors
from jpegrt.runtime.bundle import Bundle, find_bundle
from jpegrt.runtime.engines import create_engine
from jpegrt.runtime.errors import UsageError
from jpegrt.training.networks.cellnet import CellNet

Write = Callable[..., Bundle]


def silent(line: str) -> None:
    pass


def spoiled(model: onnx.ModelProto) -> onnx.ModelProto:
    """With its first weight doubled."""
    changed = onnx.ModelProto()
    changed.CopyFrom(model)
    weight = next(t for t in changed.graph.initializer if t.name.endswith("stem.weight"))
    array = onnx.numpy_helper.to_array(weight)
    weight.CopyFrom(onnx.numpy_helper.from_array(2 * array, weight.name))
    return changed


class Brighter:
    """An engine whose answers are off by two levels."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def run(self, graph: str, inputs: Tensors, outputs: Tensors) -> None:
        self._engine.run(graph, inputs, outputs)
        for tensor in outputs.values():
            tensor += 2 / 255


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "models" / "small"


@pytest.fixture
def write(
    network: CellNet,
    graphs: dict[str, onnx.ModelProto],
    photographs: list[Path],
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Write:
    """Writes the small network's bundle, of graphs exported before."""

    def exported(_network: CellNet, spec: GraphSpec) -> onnx.ModelProto:
        return graphs[spec.name]

    monkeypatch.setattr(cell_model, "export_graph", exported)

    def write(
        precisions: tuple[str, ...] = ("fp32",),
        verification_files: Sequence[Path] = photographs[:1],
        **description: Any,
    ) -> Bundle:
        request = BundleRequest(
            "small",
            CellModel(network, ["420"]),
            precisions,
            photographs,
            verification_files,
            description,
        )
        return write_bundle(request, folder, silent)

    return write


def test_a_bundle_has_the_weights_it_was_exported_from(
    photographs: list[Path], folder: Path
) -> None:
    """To the last bit, of those that float16 holds."""
    network, again = (CellNet(2, channels=8, blocks=2, colour=False) for _ in range(2))
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.copy_(parameter.uniform_(-0.15, 0.15).half())
    request = BundleRequest(
        "small", CellModel(network.eval(), []), ["fp32"], [], photographs[:1], {}
    )
    load_bundle_weights(again, write_bundle(request, folder, silent))
    assert all(map(torch.equal, again.parameters(), network.parameters()))


def test_fp32_alone(write: Write, folder: Path, network: CellNet) -> None:
    bundle = write(summary="a small one", licence="Apache-2.0")
    assert bundle.folder == folder
    assert (bundle.name, bundle.precisions, bundle.default_precision) == (
        "small",
        ("fp32",),
        "fp32",
    )
    assert find_bundle(str(folder)).manifest == bundle.manifest
    files = ["420.fp32.onnx", "grey.fp32.onnx", "manifest.json", bundle.manifest["weights"]]
    assert sorted(os.listdir(folder)) == files
    assert os.listdir(folder.parent) == ["small"]
    for graph in ("grey", "420"):
        assert bundle.read_graph(graph, "fp32")
    manifest = bundle.manifest
    assert manifest["summary"] == "a small one"
    assert manifest["size_rule"] == {
        "minimum_px": 1,
        "multiple_px": 1,
        "receptive_field_px": network.receptive_field_px,
    }
    assert manifest["colour_rule"].startswith("grey; YCbCr 4:2:0 natively; other samplings")
    assert manifest["parameters"] == sum(p.numel() for p in network.parameters())
    assert manifest["multiply_adds_per_px"] == multiply_adds_per_px(network)
    verification = manifest["precisions"]["fp32"]["verification"]
    assert set(verification) == {"openvino", "onnxruntime"}
    for graphs in verification.values():
        assert set(graphs) == {"grey", "420"}
        assert max(figures["largest_error"] for figures in graphs.values()) < 1e-5


def test_multiply_adds_by_hand(network: CellNet) -> None:
    # 3 x 3 convolutions of 4 + 4 planes to 8, 8 to 8 twice, 8 to 4, for each cell of 2 x 2 pixels.
    assert multiply_adds_per_px(network) == 9 * (8 * 8 + 2 * 8 * 8 + 8 * 4) // 4


def test_int8_becomes_the_default(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bundle_writer, "quantise_within_bounds", lambda model, *_: model)
    bundle = write(("fp32", "int8"))
    assert bundle.precisions == ("fp32", "int8")
    assert bundle.default_precision == "int8"
    assert bundle.manifest["rejected_precisions"] == {}


def test_both_int8_precisions_are_quantised_once(
    write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    quantised = []
    admit = bundle_writer._admit

    def admit_fp32(*facts: Any) -> None:
        if facts[3] == "fp32":
            admit(*facts)

    def quantise(model: onnx.ModelProto, *_: object) -> onnx.ModelProto:
        quantised.append(model.graph.name)
        return model

    monkeypatch.setattr(bundle_writer, "_admit", admit_fp32)
    monkeypatch.setattr(bundle_writer, "quantise_within_bounds", quantise)
    write(("fp32", "int8", "int8-symmetric"))
    assert len(quantised) == 2  # grey and 420


def test_a_precision_that_costs_too_much_is_left_out(
    write: Write, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bundle_writer, "quantise_within_bounds", lambda model, *_: spoiled(model))
    monkeypatch.setattr("jpegrt.export.verify.LARGEST_PLANE_SHIFT", 1e-6)
    bundle = write(("fp32", "int8"))
    assert (bundle.precisions, bundle.default_precision) == (("fp32",), "fp32")
    assert set(bundle.manifest["rejected_precisions"]) == {"int8"}
    assert not list(folder.glob("*int8*"))
    assert not [name for name in bundle.manifest["files"] if "int8" in name]


def test_real_int8_is_verified(write: Write) -> None:
    bundle = write(("fp32", "int8"))
    entry = bundle.manifest["precisions"] | bundle.manifest["rejected_precisions"]
    verification = entry["int8"]["verification"]
    assert set(verification) == {"openvino", "onnxruntime"}
    for graphs in verification.values():
        assert set(graphs) == {"grey", "420"}
        assert all(graph["finite"] and graph["largest_error"] > 0 for graph in graphs.values())


def test_float16_is_verified_where_it_is_rounded(write: Write, folder: Path) -> None:
    bundle = write(("fp32", "fp16", "int8-symmetric"))
    entry = bundle.manifest["precisions"] | bundle.manifest["rejected_precisions"]
    for precision in ("fp16", "int8-symmetric"):
        engines = entry[precision]["verification"]
        assert set(engines) == {"openvino", "onnxruntime", "float16 emulation"}
    errors = {
        engine: graphs["420"]["largest_error"]
        for engine, graphs in entry["fp16"]["verification"].items()
    }
    assert errors["float16 emulation"] > errors["onnxruntime"]  # which rounds weights alone
    assert "fp16" in bundle.precisions
    assert (folder / "420.fp16.onnx").exists()
    assert bundle.default_precision == "fp32"


def test_fp16_may_lose_less_than_int8(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("jpegrt.export.verify.LARGEST_FP16_PSNR_LOSS_DB", -1)
    bundle = write(("fp32", "fp16"))
    assert bundle.precisions == ("fp32",)
    assert set(bundle.manifest["rejected_precisions"]) == {"fp16"}


@pytest.mark.parametrize("bad", ["openvino", "onnxruntime"])
def test_one_bad_engine_rejects_a_precision(
    write: Write, monkeypatch: pytest.MonkeyPatch, bad: str
) -> None:
    def create(name: str, bundle: Bundle, precision: str, threads: int) -> Engine:
        engine = create_engine(name, bundle, precision, threads)
        return Brighter(engine) if (name, precision) == (bad, "int8") else engine

    monkeypatch.setattr(bundle_writer, "quantise_within_bounds", lambda model, *_: model)
    monkeypatch.setattr(bundle_writer, "create_engine", create)
    bundle = write(("fp32", "int8"))
    assert bundle.precisions == ("fp32",)
    shifts = {
        engine: abs(graphs["grey"]["mean_shift"]) > 1
        for engine, graphs in bundle.manifest["rejected_precisions"]["int8"]["verification"].items()
    }
    assert shifts == {"openvino": bad == "openvino", "onnxruntime": bad == "onnxruntime"}


@pytest.mark.parametrize(("held_out", "used"), [(1, 1), (8, 8), (12, 12), (16, 8), (18, 9)])
def test_images_to_verify_with_are_few_and_spread(
    write: Write,
    photographs: list[Path],
    monkeypatch: pytest.MonkeyPatch,
    held_out: int,
    used: int,
) -> None:
    seen: list[int] = []

    def counted(files: list[Path], *rest: Any) -> Iterator[Example]:
        seen.append(len(files))
        return examples_of_each_quality(files[:1], *rest)

    monkeypatch.setattr(cell_model, "examples_of_each_quality", counted)
    write(verification_files=list(islice(cycle(photographs), held_out)))
    assert set(seen) == {used}


def test_wrong_fp32_writes_nothing(
    write: Write, folder: Path, graphs: dict[str, onnx.ModelProto], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cell_model, "export_graph", lambda _, spec: spoiled(graphs[spec.name]))
    with pytest.raises(VerificationError, match="fp32 differs too much"):
        write()
    assert os.listdir(folder.parent) == []


def test_a_failure_keeps_the_bundle_that_was_there(
    write: Write, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(summary="the old one")
    before = {path.name: path.read_bytes() for path in folder.iterdir()}

    def fail(*_: object) -> None:
        raise OSError("the disk is full")

    with monkeypatch.context() as patched:
        patched.setattr(bundle_writer, "_write_manifest", fail)
        with pytest.raises(OSError, match="disk is full"):
            write(summary="the new one")
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    assert os.listdir(folder.parent) == ["small"]


def test_a_failure_at_the_last_moment_puts_the_old_bundle_back(
    write: Write, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(summary="the old one")
    rename = Path.rename

    def fail(self: Path, target: Path) -> Path:
        if self.name == "bundle":
            raise OSError("the disk is gone")
        return rename(self, target)

    with monkeypatch.context() as patched:
        patched.setattr(Path, "rename", fail)
        with pytest.raises(OSError, match="disk is gone"):
            write(summary="the new one")
    assert find_bundle(str(folder)).manifest["summary"] == "the old one"
    assert os.listdir(folder.parent) == ["small"]


def test_what_is_no_bundle_is_not_replaced(
    write: Write, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise AssertionError("work was done")

    monkeypatch.setattr(bundle_writer, "_write", fail)
    folder.mkdir(parents=True)
    (folder / "photo.png").write_bytes(b"precious")
    with pytest.raises(UsageError, match="is not a bundle"):
        write()
    assert (folder / "photo.png").read_bytes() == b"precious"
    (folder / "photo.png").rename(folder.parent / "file")
    folder.rmdir()
    (folder.parent / "file").rename(folder)
    with pytest.raises(UsageError, match="is not a bundle"):
        write()


def test_an_empty_folder_may_be_replaced(write: Write, folder: Path) -> None:
    folder.mkdir(parents=True)
    assert write().folder == folder


def test_replacing_keeps_the_card_and_nothing_else(write: Write, folder: Path) -> None:
    write(summary="the old one")
    (folder / "README.md").write_text("# The card")
    (folder / "old.onnx").write_bytes(b"old")
    bundle = write(summary="the new one")
    assert bundle.manifest["summary"] == "the new one"
    assert (folder / "README.md").read_text() == "# The card"
    assert not (folder / "old.onnx").exists()


def test_the_manifest_is_strict_json(write: Write, folder: Path) -> None:
    write()

    def refuse(name: str) -> None:
        raise AssertionError(f"{name} is no JSON")

    text = (folder / "manifest.json").read_text()
    assert json.loads(text, parse_constant=refuse)["format"] == 2
