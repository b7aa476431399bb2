"""What a session does with a network's output on request: 16-bit pixels, and projection."""

from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from tests.kernels.c_programs import Libjpeg
from tests.kernels.engines import (
    GRAPHS,
    Filling,
    Identity,
    Plane,
    full_model,
    model,
    plane_from_cells,
)
from tests.kernels.images import synthetic
from tests.kernels.samplings import SAMPLINGS

from jpegrt.kernels import (
    Colour,
    GraphSpec,
    JpegImage,
    ModelSpec,
    NativeError,
    Pipeline,
    Status,
    Tensors,
    project_cells,
    read_coefficients,
    reference,
)

SCALE = 1 / 128
SAMPLING_NAMES = [*GRAPHS, "grey", "rgb", "4:1:1", "chroma unlike", "luma subsampled"]


class Fixed:
    """Writes cells that were drawn beforehand, and keeps each call's."""

    def __init__(self, seed: int, deviation: float) -> None:
        self.random, self.deviation = np.random.default_rng(seed), deviation
        self.cells: list[Plane] = []

    def run(self, graph: str, inputs: Tensors, outputs: Tensors) -> None:
        for tensor in outputs.values():
            tensor[:] = self.random.normal(0, self.deviation, tensor.shape)
            self.cells.append(tensor[0].copy())


def jpeg_of(libjpeg: Libjpeg, name: str, height: int, width: int, quality: int = 30) -> bytes:
    if name == "grey":
        return libjpeg.encode(synthetic(height, width, channels=1), quality=quality)
    if name == "rgb":
        return libjpeg.encode(synthetic(height, width), "1x1,1x1,1x1", "rgb", quality=quality)
    return libjpeg.encode(synthetic(height, width), SAMPLINGS[name], quality=quality)


def restore(pipeline: Pipeline, jpeg: bytes, dtype: type = np.uint8) -> NDArray[np.uint8]:
    pixels: NDArray[np.uint8] = np.full(pipeline.read(jpeg), 99, dtype)
    pipeline.restore(pixels)
    return pixels


def components_of(cells: list[Plane], cell_px: int) -> Iterator[Plane]:
    """Each component's cells, however the calls grouped them."""
    for tensor in cells:
        yield from np.split(tensor, len(tensor) // cell_px**2)


def levels_of(planes: list[NDArray[np.float64]], image: JpegImage) -> NDArray[np.float64]:
    """Levels of 8 bits before rounding, of the components' centred full-resolution planes."""
    stacked = np.stack([p[: image.height, : image.width] for p in planes], axis=-1) / SCALE
    if image.colour == Colour.YCBCR:
        stacked[..., 0] += 128
        return reference.rgb_of(stacked)
    return stacked.squeeze(-1) + 128 if len(planes) == 1 else stacked + 128


def assert_rounded(pixels: NDArray[np.uint8], levels: NDArray[np.float64]) -> None:
    """Half a step for the rounding, the rest for float32's in eight operations."""
    highest = np.iinfo(pixels.dtype).max
    expected = np.clip(levels * (highest // 255), 0, highest)
    assert np.abs(pixels - expected).max() <= 0.5 + highest * 8 * 2.0**-24 * 4


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("cell_px", [1, 2, 4, 8])
@pytest.mark.parametrize("name", ["4:4:4", "grey", "rgb"])
def test_both_depths_are_as_defined(libjpeg: Libjpeg, name: str, cell_px: int, dtype: type) -> None:
    for size in ((1, 1), (7, 9), (33, 50), (3, 700)):
        jpeg = jpeg_of(libjpeg, name, *size)
        engine = Fixed(seed=1, deviation=0.7)
        pixels = restore(Pipeline(model(cell_px, "4:4:4"), engine), jpeg, dtype)
        assert pixels.dtype == dtype
        planes = [
            plane_from_cells(cells, (cell_px, cell_px)).astype(np.float64)
            for cells in components_of(engine.cells, cell_px)
        ]
        assert_rounded(pixels, levels_of(planes, read_coefficients(jpeg)))


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (np.nan, 0),
        (-np.inf, 0),
        (np.inf, 65535),
        (-128.0, 0),
        (127.0, 65535),
        (0.0, 128 * 257),
        (0.5 / 257, 128 * 257 + 1),  # half up
        (0.49 / 257, 128 * 257),
        (-0.5 / 257, 128 * 257),
        (-127.5 / 257, 128 * 257 - 127),
    ],
)
def test_rounding_in_16_bits(libjpeg: Libjpeg, value: float, expected: int) -> None:
    jpeg = libjpeg.encode(synthetic(8, 8, channels=1))
    spec = ModelSpec(1, 1.0, [GraphSpec("grey", 1)])
    pixels = restore(Pipeline(spec, Filling(lambda shape: np.full(shape, value))), jpeg, np.uint16)
    assert (pixels == expected).all()


@pytest.mark.parametrize("name", SAMPLING_NAMES)
def test_a_plain_decoder_in_16_bits(libjpeg: Libjpeg, name: str) -> None:
    pipeline = Pipeline(threads=2)
    for size in ((1, 1), (17, 33), (64, 48)):
        jpeg = jpeg_of(libjpeg, name, *size)
        np.testing.assert_array_equal(
            restore(pipeline, jpeg, np.uint16), restore(pipeline, jpeg) * np.uint16(257)
        )


def test_arrays_of_other_types_are_refused(libjpeg: Libjpeg) -> None:
    pipeline = Pipeline()
    shape = pipeline.read(libjpeg.encode(synthetic(8, 8)))
    for dtype in (np.int16, np.float32, np.dtype(">u2")):
        with pytest.raises(ValueError, match="uint8 or uint16"):
            pipeline.restore(np.empty(shape, dtype))


def expected_projection(
    image: JpegImage, cells: list[Plane], cell_px: int, slack: float
) -> list[NDArray[np.float64]]:
    """Each component's plane, projected where it is sampled 1x1."""
    full = max(c.h for c in image.components), max(c.v for c in image.components)
    planes = []
    for component, part in zip(image.components, components_of(cells, cell_px), strict=True):
        assert component.blocks is not None and component.table is not None
        plane = plane_from_cells(part, (cell_px, cell_px)).astype(np.float64)
        if (component.h, component.v) == full:
            rows, columns = (8 * n for n in component.blocks.shape[:2])
            plane[:rows, :columns] = reference.projected_plane(
                component.blocks, component.table, plane[:rows, :columns], slack, SCALE
            )
        planes.append(plane)
    return planes


@given(
    st.sampled_from(SAMPLING_NAMES),
    st.sampled_from([2, 4, 8]),
    st.tuples(st.integers(1, 50), st.integers(1, 70)),
    st.sampled_from([0.0, 0.25, 3.0]),
    st.integers(1, 3),
)
@settings(max_examples=60, deadline=None)
def test_projection_is_as_defined(
    libjpeg: Libjpeg, name: str, cell_px: int, size: tuple[int, int], slack: float, threads: int
) -> None:
    jpeg = jpeg_of(libjpeg, name, *size)
    engine, image = Fixed(seed=2, deviation=0.3), read_coefficients(jpeg)
    pipeline = Pipeline(full_model(cell_px), engine, threads=threads, project=slack)
    pixels = restore(pipeline, jpeg, np.uint16)
    planes = expected_projection(image, engine.cells, cell_px, slack)
    assert_within_projection(pixels, levels_of(planes, image))


def assert_within_projection(pixels: NDArray[np.uint8], levels: NDArray[np.float64]) -> None:
    """The projection's bound is 32 x 2^-24 of a block's norms before and after (kernels/README.md):
    with this noise each is at most 8 x 128 levels; three components make one colour."""
    expected = np.clip(levels * 257, 0, 65535)
    error = 32 * 2.0**-24 * 2 * 8 * 128 * 3 * 257
    assert np.abs(pixels - expected).max() <= 0.5 + error + 65535 * 8 * 2.0**-24 * 4


def test_projection_reaches_what_it_should(libjpeg: Libjpeg) -> None:
    """Of 4:2:0 the luma alone, of 4:4:4 everything: the pixels' own projection says so."""
    for name, projected in (("4:2:0", 1), ("4:4:4", 3)):
        jpeg = jpeg_of(libjpeg, name, 64, 64)
        image, engine = read_coefficients(jpeg), Fixed(seed=3, deviation=0.3)
        free = restore(Pipeline(full_model(2), engine), jpeg, np.uint16)
        planes = []
        for c, cells in enumerate(components_of(engine.cells, 2)):
            component = image.components[c]
            assert component.blocks is not None and component.table is not None
            if c < projected:
                cells = project_cells(
                    component.blocks,
                    component.table,
                    np.ascontiguousarray(cells),
                    (2, 2),
                    scale=SCALE,
                )
            planes.append(plane_from_cells(cells, (2, 2)).astype(np.float64))
        result = restore(
            Pipeline(full_model(2), Fixed(seed=3, deviation=0.3), project=0), jpeg, np.uint16
        )
        assert_rounded(result, levels_of(planes, image))
        assert (result != free).mean() > 0.9


def test_projection_keeps_what_the_file_allows(libjpeg: Libjpeg) -> None:
    """The decoded image itself is within its intervals, to the bit."""
    for name in SAMPLING_NAMES:
        jpeg = jpeg_of(libjpeg, name, 40, 56)
        for cell_px in (2, 8):
            free = restore(Pipeline(full_model(cell_px), Identity()), jpeg, np.uint16)
            kept = restore(Pipeline(full_model(cell_px), Identity(), project=0), jpeg, np.uint16)
            np.testing.assert_array_equal(kept, free)


def test_what_is_no_number_becomes_the_files(libjpeg: Libjpeg) -> None:
    jpeg = jpeg_of(libjpeg, "4:4:4", 40, 56)
    nothing = Filling(lambda shape: np.full(shape, np.nan))
    result = restore(Pipeline(full_model(2), nothing, project=0), jpeg)
    decoded = restore(Pipeline(full_model(2), Identity()), jpeg)
    assert np.abs(result.astype(int) - decoded).max() <= 1


@pytest.mark.parametrize("slack", [-1.0, -1e-30, np.nan, np.inf])
def test_slack_out_of_range(slack: float) -> None:
    with pytest.raises(NativeError, match="slack") as caught:
        Pipeline(full_model(2), Identity(), project=slack)
    assert caught.value.status is Status.INVALID_ARGUMENT


def test_projection_needs_cells() -> None:
    pixels = ModelSpec(1, 1.0, [GraphSpec("rgb", 3)], "rgb")
    for arguments in ((), (pixels, Identity())):
        with pytest.raises(NativeError, match="a model of the domain cells"):
            Pipeline(*arguments, project=0.0)
    with pytest.raises(NativeError, match="more than 2\\^64"):
        Pipeline(ModelSpec(1, 2.0**65, [GraphSpec("grey", 1)]), Identity(), project=0.0)
