"""The baselines of `jpegrt bench` in PyTorch and ncnn compute what the shipped model does."""

import tomllib
from importlib.metadata import EntryPoint
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from jpegrt.export import ncnn_baseline, torch_baseline
from jpegrt.runtime import Session, UsageError, metrics
from jpegrt.runtime.bench import extensions
from jpegrt.runtime.bench.workload import Picture, make_case
from jpegrt.runtime.bundle import Bundle, find_bundle
from jpegrt.runtime.verification import shipped_original

PICTURE = Picture("photograph", shipped_original()[:44, :61])  # no whole blocks
CASE = make_case(PICTURE, 30, "grey")


@pytest.mark.parametrize("name", ["cellnet", "hrcnn", "jscnn-x2"])
def test_pixels_are_nearly_the_session_s(name: str) -> None:
    """All but Pillow's rounding to 8 bits in front of networks on coefficients, and the edges that
    are repeated where a file has whole blocks."""
    restore = torch_baseline.prepare(find_bundle(name), CASE, 1, "cpu")
    assert restore is not None
    found = restore()
    expected = Session(name, precision="fp32", threads=1).restore(CASE.jpeg)
    assert found.shape == expected.shape
    whole = tuple(slice(side // 8 * 8 * expected.shape[0] // 44 - 8) for side in (44, 61))
    assert metrics.psnr(found[whole], expected[whole]) > 50
    assert metrics.psnr(found, expected) > 36


def test_colour_and_models_without_a_grey_graph_are_left_out() -> None:
    cellnet = find_bundle("cellnet")
    assert torch_baseline.prepare(cellnet, make_case(PICTURE, 30, "420"), 1, "cpu") is None
    assert torch_baseline.prepare(find_bundle("cjpgsr-x4"), CASE, 1, "cpu") is None


def test_a_model_of_an_unknown_recipe_is_refused() -> None:
    manifest = find_bundle("cellnet").manifest
    for training in ({}, {"recipes": ["of-somebody-else"]}):
        bundle = Bundle(Path(), {**manifest, "training": training})
        with pytest.raises(UsageError, match="no recipe of cellnet"):
            torch_baseline.prepare(bundle, CASE, 1, "cpu")


def test_it_is_registered(monkeypatch: pytest.MonkeyPatch) -> None:
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]
    registered = [
        EntryPoint(name, value, extensions.GROUP)
        for name, value in project["entry-points"][extensions.GROUP].items()
    ]
    monkeypatch.setattr(extensions, "entry_points", lambda group: registered)
    assert extensions.names() == ["ncnn", "torch", "torch-compiled"]
    assert extensions.load("torch") is torch_baseline.prepare
    assert extensions.load("ncnn") is ncnn_baseline.prepare
    assert extensions.load("torch-compiled") is torch_baseline.prepare_compiled


def test_only_the_compiled_one_is_compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    """A compiled network has the pixels of an eager one: `jpegrt bench` checks it in every run."""
    compiled: list[nn.Module] = []

    def compile_nothing(module: nn.Module) -> nn.Module:
        compiled.append(module)
        return module

    monkeypatch.setattr(torch, "compile", compile_nothing)
    cellnet = find_bundle("cellnet")
    eager = torch_baseline.prepare(cellnet, CASE, 1, "cpu")
    assert eager is not None and not compiled
    restore = torch_baseline.prepare_compiled(cellnet, CASE, 1, "cpu")
    assert restore is not None and len(compiled) == 1
    np.testing.assert_array_equal(restore(), eager())


@pytest.mark.parametrize("name", ["cellnet", "hrcnn"])
def test_ncnn_computes_what_pytorch_does(name: str) -> None:
    bundle = find_bundle(name)
    eager, converted = (
        baseline.prepare(bundle, CASE, 1, "cpu") for baseline in (torch_baseline, ncnn_baseline)
    )
    assert eager is not None and converted is not None
    found, expected = converted().astype(int), eager().astype(int)
    assert np.abs(found - expected).max() <= 1
    assert np.mean(found != expected) < 0.001
    assert ncnn_baseline.prepare(bundle, CASE, 1, "cuda") is None
