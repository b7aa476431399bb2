"""Bundles: the shipped ones are whole, and others are refused with one sentence."""

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from jpegrt.runtime.bundle import FORMATS, MANIFEST, find_bundle, list_bundles, open_bundle
from jpegrt.runtime.errors import UsageError

SHIPPED = {bundle.name: bundle for bundle in list_bundles()}


def change(folder: Path, edit: Callable[[dict[str, Any]], object]) -> None:
    manifest = json.loads((folder / MANIFEST).read_text())
    edit(manifest)
    (folder / MANIFEST).write_text(json.dumps(manifest))


def refusal(call: Callable[[], object]) -> str:
    """The sentence of the UsageError that `call` raises."""
    with pytest.raises(UsageError) as caught:
        call()
    sentence = str(caught.value)
    assert "\n" not in sentence
    assert caught.value.exit_code == 2
    return sentence


def test_the_default_model_is_shipped() -> None:
    assert "cellnet" in SHIPPED


@pytest.mark.parametrize("name", SHIPPED)
def test_shipped_bundles_are_whole(name: str) -> None:
    bundle = SHIPPED[name]
    listed = bundle.manifest["files"]
    for file, facts in listed.items():
        content = (bundle.folder / file).read_bytes()
        assert hashlib.sha256(content).hexdigest() == facts["sha256"], file
        assert len(content) == facts["bytes"], file
    there = {path.name for path in bundle.folder.iterdir() if path.suffix != ".md"}
    assert there == {MANIFEST, *listed}


GRAPHS = {
    "cells": {"grey", "420", "422", "440", "444"},
    "spectral": {"luma"},
    "luma": {"luma"},
    "rgb": {"rgb"},
}
LUMA_ALONE = {"cellnet-small"}
UNFOLDED = {"arm_guide", "arm", "rem_guide", "rem"}
PARTS: dict[str, set[str]] = {
    **{graph: {"luma"} for graph in ("grey", "luma")},
    **{graph: {"whole"} for graph in ("rgb", "deblocked", "arm", "rem")},
    **{graph: set() for graph in ("arm_guide", "rem_guide")},
}


@pytest.mark.parametrize("name", SHIPPED)
def test_shipped_bundles_say_what_the_runtime_must_know(name: str) -> None:
    bundle = find_bundle(name)
    assert bundle.folder == SHIPPED[name].folder
    assert bundle.folder.name == bundle.name == name
    assert bundle.default_precision in bundle.precisions
    assert "fp32" in bundle.precisions
    assert bundle.choose_precision(None) == bundle.default_precision
    graphs = [graph.name for graph in bundle.spec.graphs]
    of_domain = GRAPHS[bundle.spec.domain] if name not in LUMA_ALONE else {"grey"}
    assert set(graphs) == (UNFOLDED if bundle.spec.unfoldings else of_domain)
    shared = [bundle.manifest["weights"]] if "weights" in bundle.manifest else []
    deblocking = [bundle.deblocking_graph] if bundle.deblocking_graph else []
    used = {
        bundle.manifest["precisions"][precision]["files"][graph]
        for precision in bundle.precisions
        for graph in [*graphs, *deblocking]
        if bundle.read_graph(graph, precision)
    }
    assert {*used, *shared} == set(bundle.manifest["files"])
    assert bundle.manifest["licence"]


@pytest.mark.parametrize("name", SHIPPED)
def test_shipped_precisions_were_verified(name: str) -> None:
    for precision, entry in SHIPPED[name].manifest["precisions"].items():
        assert set(entry["verification"]) == {"openvino", "onnxruntime"}
        for engine, graphs in entry["verification"].items():
            assert set(graphs) == set(entry["files"])
            for graph, figures in graphs.items():
                assert figures["finite"], (precision, engine, graph)
                parts = PARTS.get(graph, {"luma", "chroma", "whole"})
                assert set(figures["psnr_loss_db"]) == parts
                for part in {"luma", "whole"} & set(figures["psnr_loss_db"]):
                    losses = figures["psnr_loss_db"][part]
                    assert max(losses.values()) <= 0.05, (precision, engine, graph)


def test_a_folder_is_a_model_too(bundle_folder: Path) -> None:
    change(bundle_folder, lambda manifest: manifest.update(model="mine"))
    bundle = find_bundle(str(bundle_folder))
    assert bundle.name == "mine"
    assert bundle.read_graph("grey", "fp32")


def test_a_changed_byte_is_refused(bundle_folder: Path) -> None:
    path = bundle_folder / "grey.fp32.onnx"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    bundle = open_bundle(bundle_folder)
    sentence = refusal(lambda: bundle.read_graph("grey", "fp32"))
    assert "grey.fp32.onnx" in sentence
    assert "SHA-256 differs" in sentence
    assert bundle.read_graph("420", "fp32")  # the others are still good


def test_a_missing_file_is_refused(bundle_folder: Path) -> None:
    (bundle_folder / "420.fp32.onnx").unlink()
    bundle = open_bundle(bundle_folder)
    sentence = refusal(lambda: bundle.read_graph("420", "fp32"))
    assert "420.fp32.onnx: No such file" in sentence


@pytest.mark.parametrize(
    "key",
    ["model", "cell_px", "input_scale", "graphs", "precisions", "default_precision", "files"],
)
def test_a_missing_key_is_refused(bundle_folder: Path, key: str) -> None:
    change(bundle_folder, lambda manifest: manifest.pop(key))
    sentence = refusal(lambda: open_bundle(bundle_folder))
    assert f"lacks {key}" in sentence
    assert "export the model again" in sentence


@pytest.mark.parametrize("found", [max(FORMATS) + 1, None, "1"])
def test_another_format_is_refused(bundle_folder: Path, found: object) -> None:
    change(bundle_folder, lambda manifest: manifest.update(format=found))
    sentence = refusal(lambda: open_bundle(bundle_folder))
    assert f"has format {found}" in sentence
    assert "upgrade jpegrt" in sentence


@pytest.mark.parametrize("text", ["", "{", "[]", "7", "\udcff"])
def test_a_manifest_that_is_no_manifest_is_refused(bundle_folder: Path, text: str) -> None:
    (bundle_folder / MANIFEST).write_text(text, errors="surrogateescape")
    assert MANIFEST in refusal(lambda: open_bundle(bundle_folder))


def test_a_folder_without_a_manifest_is_refused(tmp_path: Path) -> None:
    assert "cannot be read" in refusal(lambda: open_bundle(tmp_path))
    assert "unknown model" in refusal(lambda: find_bundle(str(tmp_path)))


@pytest.mark.parametrize("model", ["cellnot", "", "cellnet/manifest.json"])
def test_an_unknown_model_is_refused_with_the_known_ones(model: str) -> None:
    sentence = refusal(lambda: find_bundle(model))
    assert sentence.startswith(f"unknown model {model}: choose one of ")
    for name in (*SHIPPED, "none"):
        assert name in sentence


def test_an_unknown_precision_is_refused_with_the_known_ones() -> None:
    bundle = SHIPPED["cellnet"]
    sentence = refusal(lambda: bundle.choose_precision("fp8"))
    assert "no precision fp8" in sentence
    assert ", ".join(bundle.precisions) in sentence


def set_graph(**values: object) -> Callable[[dict[str, Any]], object]:
    return lambda manifest: manifest["graphs"][1].update(values)


def set_file(name: object) -> Callable[[dict[str, Any]], object]:
    return lambda manifest: manifest["precisions"]["fp32"]["files"].update(grey=name)


@pytest.mark.parametrize(
    ("edit", "said"),
    [
        (lambda m: m.update(model=7), "model is no name"),
        (lambda m: m.update(cell_px=3), "cell_px is not"),
        (lambda m: m.update(cell_px=True), "cell_px is not"),
        (lambda m: m.update(cell_px="2"), "cell_px is not"),
        (lambda m: m.update(input_scale=0), "input_scale is not above 0"),
        (lambda m: m.update(input_scale=float("nan")), "input_scale is not above 0"),
        (lambda m: m.update(input_scale=None), "input_scale is not above 0"),
        (lambda m: m.update(input_scale=1e-40), "input_scale is not above 0"),  # 0 in float32
        (lambda m: m.update(input_scale=1e40), "input_scale is not above 0"),  # infinite there
        (lambda m: m.update(graphs=[]), "graphs is no list"),
        (lambda m: m.update(graphs={"grey": 1}), "graphs is no list"),
        (lambda m: m["graphs"].append("grey"), "a graph's keys are wrong"),
        (lambda m: m["graphs"][0].pop("components"), "a graph's keys are wrong"),
        (set_graph(depth=3), "a graph's keys are wrong"),
        (set_graph(name=""), "a graph has no name"),
        (set_graph(name="grey"), "two graphs share a name"),
        (set_graph(components=4), "neither 1 nor 3 components"),
        (set_graph(chroma_h=0), "do not divide cell_px"),
        (set_graph(chroma_v=4), "do not divide cell_px"),
        (set_graph(chroma_v=1.0), "do not divide cell_px"),
        (lambda m: m["graphs"].pop(0), "no graph is grey"),
        (lambda m: m.update(precisions=[]), "precisions is no table"),
        (lambda m: m["precisions"].update(fp32=None), "fp32 lacks the file of a graph"),
        (lambda m: m["precisions"]["fp32"]["files"].pop("420"), "fp32 lacks the file of a graph"),
        (set_file("../bundle/grey.fp32.onnx"), "without a plain name"),
        (set_file(".."), "without a plain name"),
        (set_file(["grey.fp32.onnx"]), "without a plain name"),
        (set_file("other.onnx"), "files lacks the sha256 of other.onnx"),
        (lambda m: m["files"]["grey.fp32.onnx"].pop("sha256"), "files lacks the sha256 of grey"),
        (lambda m: m.update(files=[]), "files is no table"),
        (lambda m: m.update(weights="/etc/weights.bin"), "weights is no file with a plain name"),
        (lambda m: m.update(weights=None), "weights is no file with a plain name"),
        (lambda m: m.update(weights="other.bin"), "files lacks the sha256 of other.bin"),
        (lambda m: m.update(default_precision="fp8"), "default_precision is none"),
        (lambda m: m.update(default_precision=[]), "default_precision is none"),
    ],
)
def test_a_wrong_manifest_is_refused(
    bundle_folder: Path, edit: Callable[[dict[str, Any]], object], said: str
) -> None:
    change(bundle_folder, edit)
    sentence = refusal(lambda: open_bundle(bundle_folder))
    assert said in sentence
    assert "export the model again" in sentence


@pytest.mark.parametrize(
    ("edit", "said"),
    [
        ({"deblocking": "rgb"}, "deblocking is no graph of its own"),
        ({"deblocking": "../graph"}, "deblocking is no graph of its own"),
        ({"deblocking": None}, "deblocking is no graph of its own"),
        ({"deblocking": "other"}, "precision fp32 lacks the file of a graph"),
        ({"scale": 1}, "a model that does not enlarge, or is unfolded, has a graph for deblocking"),
    ],
)
def test_a_wrong_graph_for_deblocking_is_refused(
    tmp_path: Path, edit: dict[str, Any], said: str
) -> None:
    folder = Path(shutil.copytree(SHIPPED["carsr-x2"].folder, tmp_path / "bundle"))
    change(folder, lambda manifest: manifest.update(edit))
    assert said in refusal(lambda: open_bundle(folder))
