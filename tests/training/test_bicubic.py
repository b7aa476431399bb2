"""The fixed layer of bicubic enlargement."""

import numpy as np
import pytest
import torch
from tests.training.probing import photograph

from jpegrt.kernels import reference
from jpegrt.training.networks.bicubic import BicubicUpsampling


@pytest.mark.parametrize("scale", [2, 3, 4])
@pytest.mark.parametrize(("height", "width"), [(1, 1), (2, 5), (9, 7)])
def test_it_is_the_references(scale: int, height: int, width: int) -> None:
    image = photograph(height, width)
    enlarged = BicubicUpsampling(scale, 3)(image)[0].numpy()
    for found, plane in zip(enlarged, image[0].numpy(), strict=True):
        expected = reference.bicubic(plane.astype(np.float64), scale)
        np.testing.assert_allclose(found, expected, atol=1e-6)


def test_it_has_nothing_to_train_or_to_save() -> None:
    layer = BicubicUpsampling(2, 1)
    assert not list(layer.parameters())
    assert not layer.state_dict()
    assert torch.equal(layer(torch.ones(1, 1, 2, 2)), torch.ones(1, 1, 4, 4))
