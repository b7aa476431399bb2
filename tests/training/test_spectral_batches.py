"""Spectra: a device makes of a cut what libjpeg and the native reader do."""

from dataclasses import astuple
from pathlib import Path

import torch

from jpegrt.training.degradation import Degradation
from jpegrt.training.devices import on_device
from jpegrt.training.images import PatchSource, find_images
from jpegrt.training.spectral_batches import SpectralBatches


def test_degrading_on_a_device_changes_nothing(data: Path) -> None:
    drawn = SpectralBatches(
        PatchSource(find_images(data, ["meadows"], 4).training, 32),
        Degradation((3, 95), other_tables=0.5),
        batch=6,
        seed=0,
        first_step=0,
    )
    drawn.only_cuts = True
    cut = next(iter(drawn))
    expected, found = drawn.degrade(cut), drawn.degrade_on_device(cut)
    on_meta = drawn.degrade_on_device(on_device(cut, torch.device("meta")))
    for one, other, third in zip(*map(astuple, (expected, found, on_meta)), strict=True):
        assert one.dtype == other.dtype == third.dtype == torch.float32
        torch.testing.assert_close(one, other, rtol=0, atol=1e-6)
        assert (third.device.type, third.shape) == ("meta", one.shape)
