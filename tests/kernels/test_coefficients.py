"""Coefficients, tables and geometry equal those that stock libjpeg reads, bit for bit."""

import io

import numpy as np
import pytest
from PIL import Image
from tests.kernels.c_programs import Libjpeg
from tests.kernels.images import synthetic
from tests.kernels.samplings import CODINGS, SAMPLINGS

from jpegrt.kernels import (
    Coding,
    CoefficientReader,
    Colour,
    JpegImage,
    NativeError,
    Status,
    read_coefficients,
)

SIZES = [(1, 1), (1, 33), (8, 8), (9, 7), (16, 16), (17, 33), (33, 17), (64, 48)]


def assert_same_image(image: JpegImage, expected: JpegImage) -> None:
    assert (image.width, image.height) == (expected.width, expected.height)
    for component, other in zip(image.components, expected.components, strict=True):
        assert component.blocks is not None
        assert component.table is not None
        np.testing.assert_array_equal(component.blocks, other.blocks)
        np.testing.assert_array_equal(component.table, other.table)


def assert_equals_libjpeg(image: JpegImage, libjpeg: Libjpeg, jpeg: bytes) -> None:
    stock = libjpeg.coefficients(jpeg)
    assert (image.width, image.height) == (stock.width, stock.height)
    assert image.arithmetic == stock.arithmetic
    assert (image.coding is Coding.PROGRESSIVE) == stock.progressive
    assert image.restart_interval == stock.restart_interval
    assert image.warnings == 0
    for component, expected in zip(image.components, stock.components, strict=True):
        assert (component.h, component.v) == (expected.h, expected.v)
        assert component.blocks is not None
        assert component.table is not None
        assert component.blocks.dtype == np.int16
        assert component.table.dtype == np.uint16
        np.testing.assert_array_equal(component.table, expected.table)
        np.testing.assert_array_equal(component.blocks, expected.blocks)


@pytest.mark.parametrize("coding", CODINGS)
@pytest.mark.parametrize("sampling", SAMPLINGS)
def test_colour(libjpeg: Libjpeg, sampling: str, coding: str) -> None:
    reader = CoefficientReader()
    for seed, size in enumerate(SIZES):
        pixels = synthetic(*size, seed=seed)
        jpeg = libjpeg.encode(pixels, SAMPLINGS[sampling], *CODINGS[coding])
        image = reader.read(jpeg)
        assert image.colour is Colour.YCBCR
        assert_equals_libjpeg(image, libjpeg, jpeg)


@pytest.mark.parametrize("coding", CODINGS)
@pytest.mark.parametrize("sampling", ["1x1", "2x2"])
def test_grey(libjpeg: Libjpeg, sampling: str, coding: str) -> None:
    for seed, size in enumerate(SIZES):
        pixels = synthetic(*size, channels=1, seed=seed)
        jpeg = libjpeg.encode(pixels, sampling, *CODINGS[coding])
        image = read_coefficients(jpeg)
        assert image.colour is Colour.GREY
        assert image.subsampling == "grey"
        assert_equals_libjpeg(image, libjpeg, jpeg)


@pytest.mark.parametrize("coding", CODINGS)
@pytest.mark.parametrize("sampling", ["1x1,1x1,1x1", "1x1,2x2,1x1"])
def test_rgb(libjpeg: Libjpeg, sampling: str, coding: str) -> None:
    jpeg = libjpeg.encode(synthetic(33, 17), sampling, "rgb", *CODINGS[coding])
    image = read_coefficients(jpeg)
    assert image.colour is Colour.RGB
    assert_equals_libjpeg(image, libjpeg, jpeg)


@pytest.mark.parametrize("quality", [1, 30, 75, 100])
@pytest.mark.parametrize("coding", ["baseline", "progressive", "arithmetic"])
def test_quality(libjpeg: Libjpeg, coding: str, quality: int) -> None:
    pixels = synthetic(40, 56, seed=quality)
    jpeg = libjpeg.encode(pixels, SAMPLINGS["4:2:0"], *CODINGS[coding], quality=quality)
    assert_equals_libjpeg(read_coefficients(jpeg), libjpeg, jpeg)


@pytest.mark.parametrize("restart", [1, 2, 7])
@pytest.mark.parametrize("coding", CODINGS)
def test_restart_intervals(libjpeg: Libjpeg, coding: str, restart: int) -> None:
    pixels = synthetic(50, 70, seed=restart)
    jpeg = libjpeg.encode(pixels, SAMPLINGS["4:2:0"], *CODINGS[coding], restart=restart)
    image = read_coefficients(jpeg)
    assert image.restart_interval == restart
    assert_equals_libjpeg(image, libjpeg, jpeg)


def test_pillows_files(libjpeg: Libjpeg) -> None:
    for progressive in (False, True):
        for subsampling in ("4:4:4", "4:2:2", "4:2:0"):
            file = io.BytesIO()
            Image.fromarray(synthetic(45, 61)).save(
                file, "JPEG", quality=80, subsampling=subsampling, progressive=progressive
            )
            image = read_coefficients(file.getvalue())
            assert image.subsampling == subsampling
            assert_equals_libjpeg(image, libjpeg, file.getvalue())


def test_extreme_coefficients(libjpeg: Libjpeg) -> None:
    """Black and white noise at the finest quantisation: the largest values that baseline has."""
    noise = np.random.default_rng(0).choice(np.array([0, 255], np.uint8), (64, 64, 3))
    for coding in CODINGS.values():
        jpeg = libjpeg.encode(noise, SAMPLINGS["4:4:4"], *coding, quality=100)
        assert_equals_libjpeg(read_coefficients(jpeg), libjpeg, jpeg)


def test_one_reader_for_many_images(libjpeg: Libjpeg) -> None:
    """Memory is reused from image to image; nothing else may be."""
    large = libjpeg.encode(synthetic(150, 210, seed=1), SAMPLINGS["4:2:0"], quality=95)
    small = libjpeg.encode(synthetic(9, 20, seed=2), SAMPLINGS["4:4:4"], quality=20)
    grey = libjpeg.encode(synthetic(30, 40, channels=1, seed=3))
    progressive = libjpeg.encode(synthetic(70, 90, seed=4), SAMPLINGS["4:2:2"], "progressive")
    arithmetic = libjpeg.encode(synthetic(70, 90, seed=5), SAMPLINGS["4:1:1"], "arithmetic")
    damaged = large[: len(large) // 2]

    reader = CoefficientReader()
    for good in (large, small, large, progressive, grey, arithmetic, small, progressive, large):
        assert_same_image(reader.read(good), read_coefficients(good))
        reader.read_header(small)
        with pytest.raises(NativeError) as caught:
            reader.read(damaged)
        assert caught.value.status is Status.DAMAGED
        assert_same_image(
            reader.read(damaged, allow_damaged=True),
            read_coefficients(damaged, allow_damaged=True),
        )


def test_results_outlive_the_reader(libjpeg: Libjpeg) -> None:
    first_jpeg, second_jpeg = (libjpeg.encode(synthetic(40, 40, seed=seed)) for seed in (1, 2))
    reader = CoefficientReader()
    first = reader.read(first_jpeg)
    reader.read(second_jpeg)
    del reader
    assert_same_image(first, read_coefficients(first_jpeg))


@pytest.mark.parametrize("coding", CODINGS)
@pytest.mark.parametrize("sampling", SAMPLINGS)
def test_header_only(libjpeg: Libjpeg, sampling: str, coding: str) -> None:
    jpeg = libjpeg.encode(synthetic(33, 17), SAMPLINGS[sampling], *CODINGS[coding], restart=3)
    header = CoefficientReader().read_header(jpeg)
    image = read_coefficients(jpeg)
    for name in ("width", "height", "colour", "coding", "arithmetic", "restart_interval"):
        assert getattr(header, name) == getattr(image, name)
    for component, whole in zip(header.components, image.components, strict=True):
        assert component.blocks is None
        assert component.table is None
        for name in ("width", "height", "h", "v"):
            assert getattr(component, name) == getattr(whole, name)


def test_header_needs_no_more_than_the_header(libjpeg: Libjpeg) -> None:
    jpeg = libjpeg.encode(synthetic(33, 17), SAMPLINGS["4:2:0"])
    start_of_scan = jpeg.index(b"\xff\xda")
    header = CoefficientReader().read_header(jpeg[: start_of_scan + 14])
    assert (header.width, header.height, header.subsampling) == (17, 33, "4:2:0")


@pytest.mark.parametrize(
    ("sampling", "sizes"),
    [
        ("2x2,1x1,1x1", [(17, 33), (9, 17), (9, 17)]),
        ("4x1,1x1,1x1", [(17, 33), (5, 33), (5, 33)]),
        ("1x1,2x2,1x2", [(9, 17), (17, 33), (9, 33)]),
    ],
)
def test_component_sizes(libjpeg: Libjpeg, sampling: str, sizes: list[tuple[int, int]]) -> None:
    image = read_coefficients(libjpeg.encode(synthetic(33, 17), sampling))
    assert [(c.width, c.height) for c in image.components] == sizes
    for component in image.components:
        assert component.blocks is not None
        rows, columns = -(-component.height // 8), -(-component.width // 8)
        assert component.blocks.shape == (rows, columns, 8, 8)


@pytest.mark.parametrize("name", ["4:4:4", "4:2:2", "4:4:0", "4:2:0", "4:1:1", "4:1:0"])
def test_subsampling_names(libjpeg: Libjpeg, name: str) -> None:
    jpeg = libjpeg.encode(synthetic(16, 16), SAMPLINGS[name])
    assert read_coefficients(jpeg).subsampling == name
