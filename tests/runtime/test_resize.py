"""Bicubic resizing: by hand, against Pillow's, and against the native core's definition."""

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from tests.kernels.images import synthetic

from jpegrt.kernels import reference
from jpegrt.runtime.resize import Samples, enlarge, reduce

FACTORS = [1, 2, 3, 4]


def test_the_weights_of_a_half_by_hand() -> None:
    """Keys' kernel at 1/4, 3/4, 5/4 and 7/4 of a reduced pixel, halved."""
    impulse = np.zeros((1, 16))
    impulse[0, 8] = 1
    expected = [0, 0, -0.0234375, 0.2265625, 0.8671875, -0.0703125, 0, 0]
    np.testing.assert_allclose(reduce(impulse.repeat(2, 0), 2)[0], np.divide(expected, 2))


@pytest.mark.parametrize("factor", FACTORS)
def test_within_an_image_reducing_is_pillows(factor: int) -> None:
    """Which leaves out what is beyond the edges."""
    plane = synthetic(24 * factor, 20 * factor, 1).astype(np.float32)
    expected = Image.fromarray(plane).resize((20, 24), Image.Resampling.BICUBIC)
    inside = (slice(2, -2), slice(2, -2))
    np.testing.assert_allclose(reduce(plane, factor)[inside], np.asarray(expected)[inside], 1e-4)


@pytest.mark.parametrize("factor", [2, 3, 4])
def test_beyond_the_edges_the_image_is_mirrored(factor: int) -> None:
    plane = synthetic(12, 24, 1)
    mirrored = np.concatenate((plane[:, ::-1], plane, plane[:, ::-1]), 1)
    columns = slice(24 // factor, 48 // factor)
    np.testing.assert_allclose(reduce(plane, factor), reduce(mirrored, factor)[:, columns])


@pytest.mark.parametrize("shape", [(1, 1), (1, 5), (2, 3), (13, 7)])
@pytest.mark.parametrize("factor", FACTORS)
def test_sides_are_rounded_up_and_a_flat_image_stays(factor: int, shape: tuple[int, int]) -> None:
    reduced = reduce(np.full(shape, 93.0), factor)
    assert reduced.shape == tuple(-(-side // factor) for side in shape)
    np.testing.assert_allclose(reduced, 93)


@pytest.mark.parametrize("shape", [(1, 1), (1, 5), (13, 7)])
@pytest.mark.parametrize("factor", FACTORS)
def test_enlarging_is_the_native_cores(factor: int, shape: tuple[int, int]) -> None:
    plane = synthetic(*shape, 1)
    expected = reference.bicubic(plane.astype(np.float64), factor)
    np.testing.assert_allclose(enlarge(plane, factor), expected, atol=1e-9)


@pytest.mark.parametrize("resize", [reduce, enlarge])
def test_components_are_resized_alone(
    resize: Callable[[Samples, int], NDArray[np.float64]],
) -> None:
    image = synthetic(12, 9, 3)
    expected = np.stack([resize(image[..., c], 3) for c in range(3)], axis=-1)
    np.testing.assert_allclose(resize(image, 3), expected)


@pytest.mark.parametrize("factor", [0, -1, 1.5])
def test_other_factors_are_refused(factor: float) -> None:
    for resize in (reduce, enlarge):
        with pytest.raises(ValueError, match=f"positive integer, got {factor}"):
            resize(np.zeros((4, 4)), factor)  # type: ignore[arg-type]
