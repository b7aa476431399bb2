"""Without a model, the pipeline is a decoder whose pixels equal libjpeg's."""

import io

import numpy as np
import pytest
from PIL import Image
from tests.kernels.c_programs import Libjpeg
from tests.kernels.images import Pixels, synthetic
from tests.kernels.samplings import CODINGS, SAMPLINGS

from jpegrt.kernels import Pipeline, read_coefficients, samples_from_blocks

SIZES = [(1, 1), (1, 2), (2, 1), (3, 4), (3, 5), (8, 8), (17, 33), (33, 17), (64, 48), (65, 127)]


def decode(pipeline: Pipeline, jpeg: bytes) -> Pixels:
    pixels = np.full(pipeline.read(jpeg), 99, np.uint8)
    pipeline.restore(pixels)
    return pixels


def pillow(jpeg: bytes) -> Pixels:
    return np.asarray(Image.open(io.BytesIO(jpeg)))


@pytest.mark.parametrize("flags", [(), ("rgb",), ("progressive",), ("arithmetic",)])
@pytest.mark.parametrize("sampling", SAMPLINGS)
def test_colour_equals_pillow(libjpeg: Libjpeg, sampling: str, flags: tuple[str, ...]) -> None:
    pipeline = Pipeline()
    for seed, size in enumerate(SIZES):
        jpeg = libjpeg.encode(synthetic(*size, seed=seed), SAMPLINGS[sampling], *flags)
        np.testing.assert_array_equal(decode(pipeline, jpeg), pillow(jpeg), str(size))


@pytest.mark.parametrize("sampling", ["1x1", "2x2", "1x4"])
def test_grey_equals_pillow(libjpeg: Libjpeg, sampling: str) -> None:
    pipeline = Pipeline()
    for seed, size in enumerate(SIZES):
        jpeg = libjpeg.encode(synthetic(*size, channels=1, seed=seed), sampling)
        np.testing.assert_array_equal(decode(pipeline, jpeg), pillow(jpeg), str(size))


@pytest.mark.parametrize("quality", [1, 5, 25, 60, 95, 100])
def test_every_quality_equals_pillow(libjpeg: Libjpeg, quality: int) -> None:
    jpeg = libjpeg.encode(synthetic(90, 110), SAMPLINGS["4:2:0"], quality=quality)
    np.testing.assert_array_equal(decode(Pipeline(), jpeg), pillow(jpeg))


def test_saturated_colours_equal_pillow(libjpeg: Libjpeg) -> None:
    corners = np.random.default_rng(0).choice(np.array([0, 255], np.uint8), (48, 64, 3))
    for sampling in SAMPLINGS.values():
        jpeg = libjpeg.encode(corners, sampling, quality=98)
        np.testing.assert_array_equal(decode(Pipeline(), jpeg), pillow(jpeg))


@pytest.mark.parametrize("coding", CODINGS)
@pytest.mark.parametrize("sampling", SAMPLINGS)
def test_samples_before_upsampling(libjpeg: Libjpeg, sampling: str, coding: str) -> None:
    jpeg = libjpeg.encode(synthetic(41, 59), SAMPLINGS[sampling], *CODINGS[coding])
    image = read_coefficients(jpeg)
    for component, expected in zip(image.components, libjpeg.samples(jpeg, 3), strict=True):
        assert component.blocks is not None
        assert component.table is not None
        samples = samples_from_blocks(component.blocks, component.table)
        np.testing.assert_array_equal(samples, expected)


@pytest.mark.parametrize("sampling", ["4:4:4", "4:2:0", "4:4:0", "luma subsampled"])
def test_threads_do_not_change_pixels(libjpeg: Libjpeg, sampling: str) -> None:
    jpegs = [
        libjpeg.encode(synthetic(*size, seed=seed), SAMPLINGS[sampling])
        for seed, size in enumerate([(201, 133), (16, 16), (1, 300), (150, 99)])
    ]
    pipelines = [Pipeline(threads=threads) for threads in (1, 2, 5, 64)]
    for jpeg in jpegs:
        expected = pillow(jpeg)
        for pipeline in pipelines:
            np.testing.assert_array_equal(decode(pipeline, jpeg), expected)


def test_one_pipeline_for_many_images(libjpeg: Libjpeg) -> None:
    pipeline = Pipeline()
    jpegs = [
        libjpeg.encode(synthetic(120, 160, seed=1), SAMPLINGS["4:2:0"]),
        libjpeg.encode(synthetic(7, 5, channels=1, seed=2)),
        libjpeg.encode(synthetic(90, 30, seed=3), SAMPLINGS["4:1:1"], "progressive"),
        libjpeg.encode(synthetic(120, 160, seed=4), SAMPLINGS["4:4:4"], "rgb"),
    ]
    for jpeg in jpegs * 2:
        np.testing.assert_array_equal(decode(pipeline, jpeg), pillow(jpeg))


def test_an_image_can_be_restored_again(libjpeg: Libjpeg) -> None:
    jpeg = libjpeg.encode(synthetic(20, 30))
    pipeline = Pipeline()
    shape = pipeline.read(jpeg)
    for _ in range(2):
        pixels = np.empty(shape, np.uint8)
        pipeline.restore(pixels)
        np.testing.assert_array_equal(pixels, pillow(jpeg))


def test_timings(libjpeg: Libjpeg) -> None:
    pipeline = Pipeline(threads=1)
    decode(pipeline, libjpeg.encode(synthetic(200, 200)))
    timings = pipeline.timings
    assert timings.network_ms == 0
    stages = (timings.entropy_decode_ms, timings.unpack_ms, timings.pixels_ms)
    assert all(0 < stage < 1000 for stage in stages)
    assert timings.total_ms == pytest.approx(sum(stages))
