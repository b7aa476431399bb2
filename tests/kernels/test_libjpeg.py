"""libjpeg's own decode, by way of the native core: what restores are timed against."""

import io

import numpy as np
import pytest
from PIL import Image
from tests.kernels.c_programs import Libjpeg
from tests.kernels.images import Pixels, synthetic
from tests.kernels.samplings import SAMPLINGS

from jpegrt.kernels import NativeError, Status
from jpegrt.kernels.libjpeg import libjpeg_version, plain_decode


def pillow(jpeg: bytes, mode: str) -> Pixels:
    with Image.open(io.BytesIO(jpeg)) as image:
        image.draft(mode, image.size)
        return np.asarray(image.convert(mode))


def test_version() -> None:
    assert libjpeg_version().startswith("libjpeg")


@pytest.mark.parametrize("flags", [(), ("progressive",), ("rgb",)])
@pytest.mark.parametrize("sampling", SAMPLINGS)
def test_pixels_equal_pillow_s(libjpeg: Libjpeg, sampling: str, flags: tuple[str, ...]) -> None:
    jpeg = libjpeg.encode(synthetic(33, 50), SAMPLINGS[sampling], *flags)
    pixels = np.full((33, 50, 3), 99, np.uint8)
    plain_decode(jpeg, pixels)
    np.testing.assert_array_equal(pixels, pillow(jpeg, "RGB"))


def test_luma_alone(libjpeg: Libjpeg) -> None:
    jpeg = libjpeg.encode(synthetic(33, 50), SAMPLINGS["4:2:0"])
    pixels = np.full((33, 50), 99, np.uint8)
    plain_decode(jpeg, pixels)
    np.testing.assert_array_equal(pixels, pillow(jpeg, "L"))


def test_grey(libjpeg: Libjpeg) -> None:
    jpeg = libjpeg.encode(synthetic(17, 9, channels=1))
    pixels = np.full((17, 9), 99, np.uint8)
    plain_decode(jpeg, pixels)
    np.testing.assert_array_equal(pixels, pillow(jpeg, "L"))


@pytest.mark.parametrize(
    "pixels",
    [
        np.zeros((9, 17), np.uint8),
        np.zeros((17, 9, 3), np.uint8),
        np.zeros((17, 9, 2), np.uint8),
        np.zeros((17, 9), np.int8),
        np.zeros((17, 18), np.uint8)[:, ::2],
        np.zeros(17 * 9, np.uint8),
    ],
)
def test_arrays_that_do_not_fit_are_refused(libjpeg: Libjpeg, pixels: Pixels) -> None:
    before = pixels.copy()
    with pytest.raises(ValueError, match="pixels"):
        plain_decode(libjpeg.encode(synthetic(17, 9, channels=1)), pixels)
    np.testing.assert_array_equal(pixels, before)


@pytest.mark.parametrize("end", [0, 2, 30, 200])
def test_damage_is_told(libjpeg: Libjpeg, end: int) -> None:
    jpeg = libjpeg.encode(synthetic(64, 64, channels=1))
    with pytest.raises(NativeError) as caught:
        plain_decode(jpeg[:end], np.zeros((64, 64), np.uint8))
    assert caught.value.status == Status.DAMAGED
