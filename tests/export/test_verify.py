"""Verification catches what would spoil pictures."""

import json
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from tests.export.small import run_torch, spec_of

from jpegrt.export.calibration import examples, examples_of_each_quality
from jpegrt.export.graphs import module_of
from jpegrt.export.model import Example
from jpegrt.export.verify import Verification, verify
from jpegrt.kernels import Tensors
from jpegrt.training.networks.cellnet import CellNet

Spoil = Callable[[dict[str, NDArray[np.float32]]], None]
NAMES = ["luma_restored", "chroma_restored"]


class Spoiled:
    """Answers as PyTorch does, and then spoils it."""

    def __init__(self, network: CellNet, spoil: Spoil) -> None:
        self._network, self._spoil = network, spoil

    def run(self, graph: str, inputs: Tensors, outputs: Tensors) -> None:
        answers = dict(zip(outputs, run_torch(self._network, graph, dict(inputs)), strict=True))
        self._spoil(answers)
        for name, tensor in outputs.items():
            tensor[:] = answers[name]


def verified(network: CellNet, photographs: list[Path], spoil: Spoil) -> Verification:
    spec = spec_of(network, "420")
    data = examples_of_each_quality(photographs[:2], spec, 2, 48, (20, 80))
    return verify(Spoiled(network, spoil), "420", module_of(network, spec), NAMES, data)


@pytest.fixture(scope="module")
def network() -> CellNet:
    """A new one, which restores nothing: its output is as good as the JPEG, not worse."""
    return CellNet(2, 8, 1, 8, 1).eval()


def test_the_same_answers_pass(network: CellNet, photographs: list[Path]) -> None:
    found = verified(network, photographs, lambda answers: None)
    no_loss = {20: 0.0, 80: 0.0}
    assert found == Verification(
        {"luma": no_loss, "chroma": no_loss, "whole": no_loss}, 0.0, 0.0, True
    )
    assert found.acceptable("fp32")
    assert found.acceptable("int8")


def test_nan_is_caught(network: CellNet, photographs: list[Path]) -> None:
    def spoil(answers: dict[str, NDArray[np.float32]]) -> None:
        answers["chroma_restored"][0, 3, 2, 1] = np.nan

    found = verified(network, photographs, spoil)
    assert not found.finite
    assert not found.acceptable("fp32")
    assert not found.acceptable("int8")
    # What is written of it is JSON all the same, which knows no NaN.
    assert json.loads(json.dumps(found.to_json(), allow_nan=False))["finite"] is False


@pytest.mark.parametrize("first", [0, 4])
def test_a_shift_of_one_colour_is_caught(
    network: CellNet, photographs: list[Path], first: int
) -> None:
    """0.2 levels of Cb or of Cr: no PSNR shows it, but a flat sky does."""

    def spoil(answers: dict[str, NDArray[np.float32]]) -> None:
        answers["chroma_restored"][:, first : first + 4] -= 0.2 / 255

    found = verified(network, photographs, spoil)
    assert found.mean_shift == pytest.approx(-0.2, rel=0.01)
    assert all(abs(loss) < 0.05 for loss in found.psnr_loss_db["chroma"].values())
    assert not found.acceptable("int8")


def test_a_loss_of_psnr_is_caught(network: CellNet, photographs: list[Path]) -> None:
    def spoil(answers: dict[str, NDArray[np.float32]]) -> None:
        for array in answers.values():
            array[:, ::2] += 2 / 255  # every other column of pixels is lighter, the rest darker
            array[:, 1::2] -= 2 / 255

    found = verified(network, photographs, spoil)
    assert found.finite
    assert abs(found.mean_shift) < 0.01
    assert found.psnr_loss_db["luma"][20] > 0.05
    assert not found.acceptable("int8")


def test_a_loss_of_chroma_alone_is_caught(network: CellNet, photographs: list[Path]) -> None:
    """Even where the errors of luma are so much larger that all planes together lose little."""

    def spoil(answers: dict[str, NDArray[np.float32]]) -> None:
        answers["chroma_restored"][:, ::2] += 3 / 255
        answers["chroma_restored"][:, 1::2] -= 3 / 255

    found = verified(network, photographs, spoil)
    assert set(found.psnr_loss_db["luma"].values()) == {0.0}
    assert abs(found.psnr_loss_db["luma"][80]) < 1e-9
    assert found.psnr_loss_db["chroma"][80] > found.psnr_loss_db["whole"][80] > 0.05
    assert not found.acceptable("int8")


def test_a_loss_at_one_quality_alone_is_not_averaged_away() -> None:
    """A gain at low quality does not pay for a loss at high quality."""
    assert Verification({"luma": {10: -0.2, 90: 0.04}}, 0.0, 0.0, True).acceptable("int8")
    assert not Verification({"luma": {10: -0.2, 90: 0.06}}, 0.0, 0.0, True).acceptable("int8")


def test_a_flat_plane_has_a_finite_psnr(network: CellNet, tmp_path: Path) -> None:
    """The chroma of a grey photograph has no error at all."""
    Image.new("RGB", (48, 48), (128, 128, 128)).save(tmp_path / "flat.png")
    found = verified(network, [tmp_path / "flat.png"], lambda answers: None)
    assert found.acceptable("fp32")


def test_fp32_has_to_be_exact(network: CellNet, photographs: list[Path]) -> None:
    def spoil(answers: dict[str, NDArray[np.float32]]) -> None:
        answers["luma_restored"][0, 0, 0, 0] += 2e-4

    found = verified(network, photographs, spoil)
    assert found.largest_error == pytest.approx(2e-4, rel=0.01)
    assert not found.acceptable("fp32")
    assert found.acceptable("int8")


def test_what_is_not_finite_is_never_acceptable() -> None:
    assert Verification({}, 0.0, 0.0, finite=True).acceptable("fp32")
    assert not Verification({}, 0.0, 0.0, finite=False).acceptable("fp32")
    assert not Verification({"luma": {10: math.nan}}, 0.0, 0.0, finite=True).acceptable("fp32")


def test_results_are_rounded_for_the_manifest() -> None:
    losses = {"luma": {10: 0.123456789}, "chroma": {10: math.nan}}
    assert Verification(losses, 1e-9, -0.5, True).to_json() == {
        "psnr_loss_db": {"luma": {"10": 0.1234568}, "chroma": {"10": None}},
        "largest_error": 0.0,
        "mean_shift": -0.5,
        "finite": True,
    }
    assert Verification({}, math.inf, 0.0, False).to_json()["largest_error"] is None


@pytest.mark.parametrize("graph", ["grey", "420"])
def test_examples_are_jpegs_of_the_images(
    network: CellNet, photographs: list[Path], graph: str
) -> None:
    spec = spec_of(network, graph)
    found: list[Example] = list(examples(photographs, spec, 2, 32, (10, 90)))
    assert [example.quality for example in found] == [10, 90] * 3
    planes = 4 if graph == "grey" else 12
    for example in found:
        assert example.inputs["luma"].shape == (1, 4, 16, 16)
        assert example.original.shape == (planes, 16, 16)
        errors = np.abs(example.inputs["luma"][0] - example.original[:4]).mean()
        assert 0 < errors < (12 if example.quality == 10 else 4) / 255
    every = list(examples_of_each_quality(photographs[:2], spec, 2, 32, (10, 90)))
    assert [example.quality for example in every] == [10, 90, 10, 90]
    assert torch.is_grad_enabled()
