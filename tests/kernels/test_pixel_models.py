"""Models that take pixels: what engines are given, and what becomes of what they write."""

import ctypes as ct
import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image
from tests.kernels.c_programs import Libjpeg
from tests.kernels.engines import Identity, full_model
from tests.kernels.images import Pixels, synthetic
from tests.kernels.samplings import SAMPLINGS

from jpegrt.kernels import GraphSpec, ModelSpec, NativeError, Pipeline, Status, Tensors, reference
from jpegrt.kernels._native import PixelSize, lib

SCALE = 1 / 255
LUMA = [GraphSpec("luma", 1)]
RGB = [GraphSpec("rgb", 3)]
RGB_AND_GREY = [*RGB, GraphSpec("grey", 1)]
KINDS = [("luma", LUMA), ("rgb", RGB), ("rgb", RGB_AND_GREY)]
SIZES = [(1, 1), (1, 9), (5, 1), (8, 8), (17, 33), (50, 71)]


def pixel_model(
    domain: str,
    graphs: list[GraphSpec],
    enlargement: int = 1,
    minimum_px: int = 1,
    multiple_px: int = 1,
) -> ModelSpec:
    return ModelSpec(1, SCALE, graphs, domain, enlargement, minimum_px, multiple_px)


class Nearest:
    """Enlarges by repeating pixels; of a factor of 1 it restores nothing. Keeps what it saw."""

    def __init__(self) -> None:
        self.graphs: list[str] = []
        self.images: list[NDArray[np.float32]] = []
        self.shapes: list[tuple[int, ...]] = []

    def run(self, graph: str, inputs: Tensors, outputs: Tensors) -> None:
        assert (set(inputs), set(outputs)) == ({"image"}, {"image_restored"})
        image, restored = inputs["image"], outputs["image_restored"]
        self.graphs.append(graph)
        self.images.append(image.copy())
        self.shapes.append(restored.shape)
        factor = restored.shape[2] // image.shape[2]
        restored[:] = image.repeat(factor, axis=2).repeat(factor, axis=3)


class Noisy:
    """Adds the same noise to whatever is enlarged as Nearest does."""

    def __init__(self) -> None:
        self.restored = np.empty(0, np.float32)

    def run(self, graph: str, inputs: Tensors, outputs: Tensors) -> None:
        Nearest().run(graph, inputs, outputs)
        restored = outputs["image_restored"]
        restored += np.random.default_rng(1).normal(0, 0.2, restored.shape).astype(np.float32)
        self.restored = restored.copy()


def restore_pixels(pipeline: Pipeline, pixels: Pixels, depth: int = 8) -> NDArray[np.uint16]:
    dtype = np.uint8 if depth == 8 else np.uint16
    restored = np.full(pipeline.load_pixels(pixels), 99, dtype)
    pipeline.restore(restored)
    return restored.astype(np.uint16)


def expected_image(pixels: Pixels, model: ModelSpec) -> NDArray[np.float64]:
    """What reaches the engine, in float64: (C, H, W)."""
    levels = pixels.astype(np.float64)
    is_grey = pixels.ndim == 2
    if model.domain == "luma":
        planes = levels[None] if is_grey else reference.luma_of(levels)[None]
    elif is_grey:
        planes = levels[None] if len(model.graphs) == 2 else np.stack([levels] * 3)
    else:
        planes = levels.transpose(2, 0, 1)

    def missing(side: int) -> int:
        return -(-max(side, model.minimum_px) // model.multiple_px) * model.multiple_px - side

    height, width = pixels.shape[:2]
    padding = ((0, 0), (0, missing(height)), (0, missing(width)))
    return (np.pad(planes, padding, "edge") - 128) * SCALE


def expected_pixels(
    pixels: Pixels, model: ModelSpec, restored: NDArray[np.float32]
) -> NDArray[np.float64]:
    """The output before it is rounded, in levels of 8 bits, from what the engine wrote."""
    factor, is_grey = model.enlargement, pixels.ndim == 2
    height, width = (factor * side for side in pixels.shape[:2])
    planes = restored[0, :, :height, :width].astype(np.float64) / SCALE + 128
    if is_grey:
        return planes[0] if len(planes) == 1 else reference.luma_of(planes.transpose(1, 2, 0))
    if model.domain == "rgb":
        return planes.transpose(1, 2, 0)
    ycbcr = reference.ycbcr_of(pixels.astype(np.float64))
    chroma = [reference.bicubic(ycbcr[..., c], factor) for c in (1, 2)]
    return reference.rgb_of(np.stack([planes[0], *chroma], axis=-1))


def assert_rounded(result: NDArray[np.uint16], levels: NDArray[np.float64], depth: int) -> None:
    """Equal to the definition but for values that lie within float32's error of a half."""
    expected = reference.levels_of(levels, depth)
    unit = 1 if depth == 8 else 257
    # Twelve operations on values of at most four times the range, as noise and green can make.
    near_half = np.abs((levels * unit + 0.5) - np.round(levels * unit + 0.5)) < (
        12 * 2.0**-24 * 4 * 255 * unit
    )
    difference = np.abs(result - expected)
    assert (difference[~near_half] == 0).all()
    assert difference.max() <= 1


images = st.builds(
    lambda height, width, channels, seed: synthetic(height, width, channels, seed),
    st.integers(1, 40),
    st.integers(1, 40),
    st.sampled_from([1, 3]),
    st.integers(0, 1000),
)
models = st.builds(
    lambda kind, *sizes: pixel_model(*kind, *sizes),
    st.sampled_from(KINDS),
    st.integers(1, 4),
    st.integers(1, 50),
    st.integers(1, 17),
)


@given(images, models, st.sampled_from([8, 16]), st.integers(1, 3))
@settings(max_examples=300, deadline=None)
def test_engines_and_pixels_are_as_defined(
    pixels: Pixels, model: ModelSpec, depth: int, threads: int
) -> None:
    seen, noisy = Nearest(), Noisy()
    restore_pixels(Pipeline(model, seen, threads=threads), pixels)
    image = expected_image(pixels, model)
    (given_image,), (shape,) = seen.images, seen.shapes
    assert given_image.shape == (1, *image.shape)
    planes, height, width = image.shape
    assert shape == (1, planes, model.enlargement * height, model.enlargement * width)
    # Levels of at most 255, four operations, times the scale.
    np.testing.assert_allclose(given_image[0], image, rtol=0, atol=255 * SCALE * 4 * 2.0**-24)
    is_grey = pixels.ndim == 2 and len(model.graphs) == 2
    assert seen.graphs == ["grey" if is_grey else model.graphs[0].name]

    result = restore_pixels(Pipeline(model, noisy, threads=threads), pixels, depth)
    assert_rounded(result, expected_pixels(pixels, model, noisy.restored), depth)


@pytest.mark.parametrize("depth", [8, 16])
@pytest.mark.parametrize(("domain", "graphs"), KINDS)
@given(images, st.integers(1, 64), st.integers(1, 16))
@settings(max_examples=50, deadline=None)
def test_nothing_restored_is_the_image_itself(
    domain: str, graphs: list[GraphSpec], depth: int, pixels: Pixels, minimum: int, multiple: int
) -> None:
    """Exactly, in the luma domain too: the way to Y, Cb and Cr and back is not rounded."""
    model = pixel_model(domain, graphs, 1, minimum, multiple)
    result = restore_pixels(Pipeline(model, Nearest(), threads=1), pixels, depth)
    np.testing.assert_array_equal(result, pixels * np.uint16(1 if depth == 8 else 257))


def test_every_colour_comes_back_through_luma() -> None:
    """All 2^24 of them would take long; these have all pairs of two channels at seven thirds."""
    red, green = np.mgrid[:256, :256].astype(np.uint8)
    pipeline = Pipeline(pixel_model("luma", LUMA), Nearest(), threads=1)
    for third in (0, 1, 77, 128, 200, 254, 255):
        other = np.full_like(red, third)
        for channels in ((red, green, other), (other, red, green), (red, other, green)):
            pixels = np.stack(channels, axis=-1)
            np.testing.assert_array_equal(restore_pixels(pipeline, pixels), pixels)


@pytest.mark.parametrize("factor", [2, 3, 4])
@pytest.mark.parametrize(("domain", "graphs"), KINDS)
def test_repeated_pixels(domain: str, graphs: list[GraphSpec], factor: int) -> None:
    model = pixel_model(domain, graphs, factor, 3, 2)
    pixels = synthetic(11, 7, channels=3 if domain == "rgb" else 1)
    result = restore_pixels(Pipeline(model, Nearest(), threads=1), pixels)
    np.testing.assert_array_equal(result, pixels.repeat(factor, axis=0).repeat(factor, axis=1))


@pytest.mark.parametrize("factor", [1, 2, 3, 4])
def test_chroma_of_one_colour_stays_that_colour(factor: int) -> None:
    pixels = np.tile(np.array([200, 40, 90], np.uint8), (5, 6, 1))
    result = restore_pixels(Pipeline(pixel_model("luma", LUMA, factor), Nearest()), pixels)
    np.testing.assert_array_equal(result, np.tile(pixels[0, 0], (5 * factor, 6 * factor, 1)))


def test_bicubic_keeps_straight_lines() -> None:
    """Cubic convolution of a ramp is the ramp, away from its edges."""
    for factor in (2, 3, 4):
        ramp = np.arange(16.0)[None].repeat(4, axis=0)
        enlarged = reference.bicubic(ramp, factor)
        expected = (np.arange(16 * factor) + 0.5) / factor - 0.5
        inner = slice(2 * factor, -2 * factor)
        np.testing.assert_allclose(enlarged[0, inner], expected[inner], atol=1e-12)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(
    "sampling", [(name,) for name in SAMPLINGS.values()] + [("1x1,1x1,1x1", "rgb"), ("grey",)]
)
@pytest.mark.parametrize(("domain", "graphs"), KINDS)
def test_jpegs_are_decoded_plainly_first(
    libjpeg: Libjpeg,
    domain: str,
    graphs: list[GraphSpec],
    sampling: tuple[str, ...],
    size: tuple[int, int],
) -> None:
    is_grey = sampling == ("grey",)
    jpeg = libjpeg.encode(synthetic(*size, 1 if is_grey else 3), *(() if is_grey else sampling))
    decoder = Pipeline(threads=1)
    plain = np.empty(decoder.read(jpeg), np.uint8)
    decoder.restore(plain)

    engine = Nearest()
    pipeline = Pipeline(pixel_model(domain, graphs), engine, threads=1)
    restored = np.empty(pipeline.read(jpeg), np.uint8)
    pipeline.restore(restored)
    expected = expected_image(plain, pixel_model(domain, graphs))
    if domain == "rgb" or is_grey or "rgb" in sampling:
        np.testing.assert_array_equal(restored, plain)
        np.testing.assert_allclose(engine.images[0][0], expected, rtol=0, atol=2.0**-20)
    else:
        # The file's own Y, whole numbers, where RGB's luma has been rounded and clamped.
        levels = engine.images[0][0].astype(np.float64) / SCALE + 128
        np.testing.assert_allclose(levels, np.round(levels), atol=1e-4)
        np.testing.assert_allclose(levels[0], libjpeg_luma(jpeg), atol=1e-4)
        # libjpeg's fixed point and T.871 in float differ by a rounding.
        assert np.abs(restored.astype(int) - plain).max() <= 1


def libjpeg_luma(jpeg: bytes) -> NDArray[np.uint8]:
    """Y as libjpeg upsamples it."""
    with Image.open(io.BytesIO(jpeg)) as image:
        image.draft("YCbCr", image.size)
        return np.asarray(image)[:, :, 0]


def test_rows_may_lie_apart() -> None:
    pixels = synthetic(20, 30)
    pipeline = Pipeline(pixel_model("rgb", RGB), Nearest(), threads=1)
    views = [
        pixels[3:17, 4:25],
        pixels[::2],
        pixels[:, ::3],
        pixels[::-1],
        pixels[:, :, ::-1],
        pixels[2:3, 5:9],
        np.broadcast_to(pixels[:1], pixels.shape),
        np.asfortranarray(pixels),
    ]
    for view in views:
        np.testing.assert_array_equal(restore_pixels(pipeline, view), view)
    grey = pixels[:, :, 1]
    np.testing.assert_array_equal(restore_pixels(pipeline, grey), grey)


def test_jpegs_and_pixels_in_turns(libjpeg: Libjpeg) -> None:
    pipeline = Pipeline(pixel_model("luma", LUMA, 2), Nearest(), threads=2)
    jpeg = libjpeg.encode(synthetic(40, 60), "2x2,1x1,1x1")
    first = np.empty(pipeline.read(jpeg), np.uint8)
    assert first.shape == (80, 120, 3)
    pipeline.restore(first)
    grey = synthetic(90, 30, channels=1)
    np.testing.assert_array_equal(
        restore_pixels(pipeline, grey), grey.repeat(2, axis=0).repeat(2, axis=1)
    )
    again = np.empty(pipeline.read(jpeg), np.uint8)
    pipeline.restore(again)
    np.testing.assert_array_equal(again, first)
    assert pipeline.timings.entropy_decode_ms > 0
    restore_pixels(pipeline, grey)
    timings = pipeline.timings
    assert timings.entropy_decode_ms == 0
    assert timings.unpack_ms > 0 and timings.network_ms > 0 and timings.pixels_ms > 0


def test_an_engine_that_fails_leaves_the_session_usable() -> None:
    class Failing(Nearest):
        error: BaseException | None = KeyError("no")

        def run(self, graph: str, inputs: Tensors, outputs: Tensors) -> None:
            if self.error:
                raise self.error
            super().run(graph, inputs, outputs)

    engine, pixels = Failing(), synthetic(9, 9)
    pipeline = Pipeline(pixel_model("rgb", RGB), engine)
    with pytest.raises(KeyError):
        restore_pixels(pipeline, pixels)
    engine.error = None
    np.testing.assert_array_equal(restore_pixels(pipeline, pixels), pixels)


def test_models_on_cells_refuse_pixels(libjpeg: Libjpeg) -> None:
    pixels = synthetic(9, 9)
    decoder, cells = Pipeline(), Pipeline(full_model(2), Identity())
    for pipeline, said in ((decoder, "this session has no model"), (cells, "'s takes JPEGs")):
        with pytest.raises(NativeError, match="restored by models of the domain luma or rgb") as e:
            pipeline.load_pixels(pixels)
        assert said in str(e.value)
        assert e.value.status is Status.INVALID_ARGUMENT
        with pytest.raises(ValueError, match="no image"):
            pipeline.restore(np.empty((9, 9, 3), np.uint8))
        restored = np.empty(pipeline.read(libjpeg.encode(pixels)), np.uint8)
        pipeline.restore(restored)


@pytest.mark.parametrize(
    ("domain", "graphs", "enlargement", "minimum", "multiple", "said"),
    [
        ("luma", RGB, 1, 1, 1, "does not fit its domain"),
        ("luma", [*LUMA, GraphSpec("grey", 1)], 1, 1, 1, "two graphs"),
        ("luma", [], 1, 1, 1, "no graph for grey"),
        ("rgb", LUMA, 1, 1, 1, "no graph for RGB"),
        ("rgb", [*RGB, *RGB], 1, 1, 1, "two graphs|fit"),
        ("rgb", [GraphSpec("rgb", 2)], 1, 1, 1, "fit"),
        ("rgb", [GraphSpec("rgb", 3, 2, 2)], 1, 1, 1, "fit"),
        ("rgb", RGB, 5, 1, 1, "enlargement"),
        ("rgb", RGB, -1, 1, 1, "enlargement"),
        ("rgb", RGB, 1, 4097, 1, "minimum_px"),
        ("rgb", RGB, 1, 1, 1025, "multiple_px"),
        ("cells", LUMA, 2, 1, 1, "neither enlarges nor has a size rule"),
        ("cells", LUMA, 1, 2, 1, "neither enlarges nor has a size rule"),
        ("cells", LUMA, 1, 1, 8, "neither enlarges nor has a size rule"),
    ],
)
def test_models_that_make_no_sense(
    domain: str, graphs: list[GraphSpec], enlargement: int, minimum: int, multiple: int, said: str
) -> None:
    with pytest.raises(NativeError, match=said) as caught:
        Pipeline(pixel_model(domain, graphs, enlargement, minimum, multiple), Nearest())
    assert caught.value.status is Status.INVALID_ARGUMENT


def test_other_cells_and_domains_are_refused() -> None:
    with pytest.raises(NativeError, match="cell_px"):
        Pipeline(ModelSpec(2, SCALE, RGB, "rgb"), Nearest())
    with pytest.raises(ValueError, match="cells, luma, rgb"):
        Pipeline(ModelSpec(1, SCALE, RGB, "cmyk"), Nearest())


@pytest.mark.parametrize(
    "pixels",
    [
        np.zeros((4, 4), np.uint16),
        np.zeros((4, 4, 4), np.uint8),
        np.zeros((4, 4, 1, 3), np.uint8),
        np.zeros(4, np.uint8),
        np.zeros((0, 4), np.uint8),
        np.zeros((4, 0, 3), np.uint8),
    ],
)
def test_arrays_that_are_no_pixels(pixels: Pixels) -> None:
    pipeline = Pipeline(pixel_model("rgb", RGB), Nearest())
    with pytest.raises(ValueError, match="need uint8 pixels"):
        pipeline.load_pixels(pixels)


def test_hostile_arguments() -> None:
    pipeline = Pipeline(pixel_model("rgb", RGB, 4), Nearest(), max_pixels=1600)
    handle, pixels = pipeline._handle, np.zeros((10, 30), np.uint8)
    address, restored = pixels.ctypes.data, np.zeros((40, 120), np.uint16)

    def load(*arguments: int | None) -> tuple[int, str]:
        status = lib.jpegrt_session_load_pixels(handle, *arguments)
        return status, lib.jpegrt_session_message(handle).decode()

    invalid = Status.INVALID_ARGUMENT
    for arguments, status, said in [
        ((None, 10, 10, 3, 30), invalid, "null pointer"),
        ((address, 0, 10, 3, 30), invalid, "width or height"),
        ((address, 10, 0, 3, 30), invalid, "width or height"),
        ((address, 65536, 1, 1, 65536), invalid, "width or height"),
        ((address, 1, 2**32 - 1, 1, 1), invalid, "width or height"),
        ((address, 10, 10, 0, 30), invalid, "1 channel"),
        ((address, 10, 10, 2, 30), invalid, "1 channel"),
        ((address, 10, 10, 4, 40), invalid, "1 channel"),
        ((address, 10, 10, 3, 29), invalid, "row_stride"),
        ((address, 10, 10, 3, 0), invalid, "row_stride"),
        ((address, 11, 10, 1, 11), Status.TOO_LARGE, "44x40 pixels are more than the limit"),
    ]:
        assert load(*arguments) == (status, lib.jpegrt_session_message(handle).decode())
        assert said in lib.jpegrt_session_message(handle).decode()
        # Nothing is there to be restored.
        assert lib.jpegrt_session_restore(handle, restored.ctypes.data, 120) == invalid
        assert lib.jpegrt_session_output_size(handle, ct.byref(PixelSize())) == invalid
    assert lib.jpegrt_session_load_pixels(None, address, 1, 1, 1, 1) == invalid
    assert lib.jpegrt_session_output_size(None, None) == invalid

    assert load(address, 10, 10, 3, 30) == (Status.OK, "")
    out = restored.ctypes.data
    assert lib.jpegrt_session_restore(handle, out, 119) == invalid
    assert lib.jpegrt_session_restore(handle, None, 120) == invalid
    assert lib.jpegrt_session_restore16(handle, None, 240) == invalid
    for address16, stride, said in (
        (out, 239, "even"),
        (out + 1, 240, "even"),
        (out, 238, "row_stride is less"),
    ):
        assert lib.jpegrt_session_restore16(handle, address16, stride) == invalid
        assert said in lib.jpegrt_session_message(handle).decode()
    assert lib.jpegrt_session_restore(handle, out, 120) == Status.OK
    assert lib.jpegrt_session_restore16(handle, out, 240) == Status.OK


def test_a_large_jpeg_is_refused_by_its_output(libjpeg: Libjpeg) -> None:
    jpeg = libjpeg.encode(synthetic(20, 20))
    assert Pipeline(max_pixels=400).read(jpeg) == (20, 20, 3)
    with pytest.raises(NativeError, match="40x40 pixels are more than the limit of 1599"):
        Pipeline(pixel_model("rgb", RGB, 2), Nearest(), max_pixels=1599).read(jpeg)
