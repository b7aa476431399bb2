"""The CUDA kernels against their CPU twins, on a GPU and on the CPU behind an emulated driver."""

import ctypes as ct
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray
from tests.kernels.c_programs import Libjpeg
from tests.kernels.devices import Device
from tests.kernels.engines import Filling, cells_from_plane, full_model, plane_from_cells
from tests.kernels.images import synthetic
from tests.kernels.samplings import SAMPLINGS

from jpegrt.kernels import (
    Colour,
    JpegImage,
    NativeError,
    Pipeline,
    Status,
    _native,
    cells_from_blocks,
    coefficient_plane_from_blocks,
    pack_blocks,
    read_coefficients,
    samples_from_blocks,
    spectrum_from_blocks,
)
from jpegrt.kernels._native import Layout, lib
from jpegrt.kernels.cuda import (
    CellImage,
    DecodedComponent,
    Decoding,
    DeviceArray,
    PackedComponent,
    Unpacking,
    decode_scratch_bytes,
    stream_handle,
)

Blocks = NDArray[np.int16]
Table = NDArray[np.uint16]

SIDES = (1, 2, 4, 8)
# One block, less than a tile of 32, a tile, rows that tiles cross, rows of whole tiles and more.
SHAPES = [(1, 1), (1, 31), (4, 8), (5, 7), (3, 33), (2, 64), (9, 50)]
SCALE = 1 / 128


def random_blocks(rows: int, columns: int, seed: int = 0) -> Blocks:
    """Sparse blocks, as files have them, and now and then one that is full or extreme."""
    random = np.random.default_rng(seed)
    blocks = random.laplace(
        0, 30 / (1 + np.add.outer(np.arange(8), np.arange(8))) ** 2, (rows, columns, 8, 8)
    ).round()
    blocks[..., 0, 0] += random.integers(-1000, 1000, (rows, columns))
    full = random.random((rows, columns)) < 0.1
    blocks[full] = random.integers(-32768, 32768, (int(full.sum()), 8, 8))
    return blocks.astype(np.int16)


def random_table(seed: int = 0) -> Table:
    return np.random.default_rng(seed).integers(1, 256, (8, 8)).astype(np.uint16)


def source_of(device: Device, blocks: Blocks, packed: bool) -> Any:
    if not packed:
        return device.upload(blocks)
    stream = pack_blocks(blocks)
    return PackedComponent(device.upload(stream), *blocks.shape[:2])


def expected_of(layout: Layout, blocks: Blocks, table: Table, cell: tuple[int, int] | None) -> Any:
    if layout == Layout.CELLS:
        assert cell
        return cells_from_blocks(blocks, table, cell, SCALE)
    if layout == Layout.SPECTRUM:
        return spectrum_from_blocks(blocks, table, SCALE)
    if layout == Layout.PLANE:
        return coefficient_plane_from_blocks(blocks, table, SCALE)
    return samples_from_blocks(blocks, table)


CASES = [
    *((Layout.CELLS, (h, w)) for h in SIDES for w in SIDES),
    (Layout.SPECTRUM, None),
    (Layout.PLANE, None),
    (Layout.SAMPLES, None),
]


def assert_same_bits(result: NDArray[Any], expected: NDArray[Any]) -> None:
    with np.errstate(over="ignore"):  # float16 becomes infinite where float32 is beyond it
        expected = expected.astype(result.dtype)
    np.testing.assert_array_equal(result, expected)


def unpack_one(
    device: Device,
    blocks: Blocks,
    table: Table,
    layout: Layout,
    cell: tuple[int, int] | None,
    dtype: Any,
    packed: bool,
) -> NDArray[Any]:
    shape = expected_of(layout, blocks, table, cell).shape
    out = device.empty(shape, np.uint8 if layout == Layout.SAMPLES else dtype)
    unpacking = Unpacking(source_of(device, blocks, packed), table, out, cell)
    device.kernels.unpack([unpacking], layout, SCALE, device.stream)
    return device.download(out)


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("dtype", [np.float32, np.float16])
@pytest.mark.parametrize(("layout", "cell"), CASES)
def test_unpacking_equals_the_cpu(
    device: Device, layout: Layout, cell: tuple[int, int] | None, dtype: Any, packed: bool
) -> None:
    for seed, shape in enumerate(SHAPES):
        blocks, table = random_blocks(*shape, seed=seed), random_table(seed)
        result = unpack_one(device, blocks, table, layout, cell, dtype, packed)
        assert_same_bits(result, expected_of(layout, blocks, table, cell))


blocks_strategy = hnp.arrays(
    np.int16,
    st.tuples(st.integers(1, 4), st.integers(1, 20), st.just(8), st.just(8)),
    elements=st.one_of(st.integers(-3, 3), st.integers(-(2**15), 2**15 - 1)),
    fill=st.just(0),
)
table_strategy = hnp.arrays(np.uint16, (8, 8), elements=st.integers(1, 65535))
per_device = settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=60
)


@per_device
@given(blocks_strategy, table_strategy, st.sampled_from(CASES), st.booleans())
def test_any_blocks_equal_the_cpu(
    device: Device,
    blocks: Blocks,
    table: Table,
    case: tuple[Layout, tuple[int, int] | None],
    packed: bool,
) -> None:
    result = unpack_one(device, blocks, table, *case, np.float32, packed)
    assert_same_bits(result, expected_of(case[0], blocks, table, case[1]))


@pytest.mark.parametrize("packed", [False, True])
def test_basis_and_extremes_equal_the_cpu(device: Device, packed: bool) -> None:
    low, high = -32768, 32767
    basis = np.eye(64, dtype=np.int16).reshape(8, 8, 8, 8)
    for blocks in (basis, basis * np.int16(high), np.full((2, 40, 8, 8), low, np.int16)):
        for table in (np.ones((8, 8), np.uint16), np.full((8, 8), 65535, np.uint16)):
            for layout, cell in CASES:
                result = unpack_one(device, blocks, table, layout, cell, np.float32, packed)
                assert_same_bits(result, expected_of(layout, blocks, table, cell))


@pytest.mark.parametrize("packed", [False, True])
def test_a_batch_of_unlike_components(device: Device, packed: bool) -> None:
    random = np.random.default_rng(0)
    shapes = random.integers(1, 12, (230, 2)).tolist()
    everything = [
        (random_blocks(rows, columns, i), random_table(i))
        for i, (rows, columns) in enumerate(shapes)
    ]
    unpackings = [
        Unpacking(
            source_of(device, blocks, packed),
            table,
            device.empty(expected_of(Layout.CELLS, blocks, table, (2, 2)).shape, np.float32),
            (2, 2),
        )
        for blocks, table in everything
    ]
    launches = device.launches if device.emulated else 0
    device.kernels.unpack(unpackings, Layout.CELLS, SCALE, device.stream)
    if device.emulated:
        assert device.launches - launches == 3  # of at most 102 components
    for unpacking, (blocks, table) in zip(unpackings, everything, strict=True):
        assert_same_bits(
            device.download(unpacking.out), expected_of(Layout.CELLS, blocks, table, (2, 2))
        )


def test_dense_and_packed_in_one_batch(device: Device) -> None:
    blocks, table = random_blocks(3, 20), random_table()
    expected = expected_of(Layout.SPECTRUM, blocks, table, None)
    outs = [device.empty(expected.shape, np.float32) for _ in range(4)]
    unpackings = [
        Unpacking(source_of(device, blocks, packed=i % 2 == 1), table, out)
        for i, out in enumerate(outs)
    ]
    device.kernels.unpack(unpackings, Layout.SPECTRUM, SCALE, device.stream)
    for out in outs:
        assert_same_bits(device.download(out), expected)


@pytest.mark.parametrize("dtype", [np.float32, np.float16])
@pytest.mark.parametrize("cell", [(h, w) for h in SIDES for w in SIDES])
@pytest.mark.parametrize(("beyond_rows", "beyond_columns"), [(1, 0), (0, 1), (2, 3)])
def test_grids_are_filled_with_the_nearest_samples(
    device: Device, cell: tuple[int, int], beyond_rows: int, beyond_columns: int, dtype: Any
) -> None:
    for shape in [(1, 1), (3, 33), (5, 6)]:
        blocks, table = random_blocks(*shape), random_table()
        plane = cells_from_blocks(blocks, table, (1, 1), SCALE)[0]
        padded = np.pad(plane, [(0, 8 * beyond_rows), (0, 8 * beyond_columns)], "edge")
        expected = cells_from_plane(padded, cell)
        out = device.empty(expected.shape, dtype)
        unpacking = Unpacking(device.upload(blocks), table, out, cell)
        device.kernels.unpack([unpacking], Layout.CELLS, SCALE, device.stream)
        assert_same_bits(device.download(out), expected)


def test_chroma_beside_luma_in_one_tensor(device: Device) -> None:
    """4:2:0 in cells of 2: four planes of luma, then one each of Cb and Cr, in a batch of two."""
    tensor = device.filled((2, 6, 24, 40), np.float32, np.nan)
    images = [
        [(random_blocks(6, 10, seed=n), random_table(n))]
        + [(random_blocks(3, 5, seed=n + c), random_table(n + c)) for c in (1, 2)]
        for n in (0, 10)
    ]
    unpackings, expected = [], np.empty(tensor.shape, np.float32)
    plane_bytes = 24 * 40 * 4
    for n, components in enumerate(images):
        first = 0
        for c, (blocks, table) in enumerate(components):
            cell = (2, 2) if c == 0 else (1, 1)
            planes = cell[0] * cell[1]
            out = DeviceArray(
                tensor.pointer + (6 * n + first) * plane_bytes, (planes, 24, 40), np.float32
            )
            unpackings.append(Unpacking(device.upload(blocks), table, out, cell))
            expected[n, first : first + planes] = cells_from_blocks(blocks, table, cell, SCALE)
            first += planes
    device.kernels.unpack(unpackings, Layout.CELLS, SCALE, device.stream)
    assert_same_bits(device.download(tensor), expected)


@pytest.mark.parametrize("dtype", [np.float32, np.float16])
@pytest.mark.parametrize("offset", [0, 1])
def test_nothing_is_written_beside_a_view(device: Device, offset: int, dtype: Any) -> None:
    blocks, table = random_blocks(3, 6), random_table()
    room = device.filled((6, 20, 61), dtype, 7)
    size = np.dtype(dtype).itemsize
    view = DeviceArray(
        room.pointer + (20 * 61 + 2 * 61 + offset) * size,
        (4, 12, 24),
        dtype,
        (20 * 61 * size, 61 * size, size),
    )
    unpacking = Unpacking(device.upload(blocks), table, view, (2, 2))
    device.kernels.unpack([unpacking], Layout.CELLS, SCALE, device.stream)
    expected = np.full(room.shape, 7, np.float32)
    expected[1:5, 2:14, offset : offset + 24] = cells_from_blocks(blocks, table, (2, 2), SCALE)
    assert_same_bits(device.download(room), expected)


# What a network may leave: in range, beyond it, and not numbers at all.
def network_output(shape: tuple[int, ...], seed: int) -> NDArray[np.float32]:
    random = np.random.default_rng(seed)
    cells = random.normal(0, 0.6, shape).astype(np.float32)
    for value in (np.nan, np.inf, -np.inf, 3e38):
        cells[random.random(shape) < 0.002] = value
    return cells


@pytest.mark.parametrize("pixel_dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("size", [(1, 1), (16, 40), (9, 130), (37, 300)])
@pytest.mark.parametrize("cell_px", SIDES)
@pytest.mark.parametrize("flags", [("grey",), (), ("rgb",)])
def test_pixels_of_a_network_equal_the_sessions(
    device: Device,
    libjpeg: Libjpeg,
    flags: tuple[str, ...],
    cell_px: int,
    size: tuple[int, int],
    pixel_dtype: Any,
) -> None:
    grey = "grey" in flags
    original = synthetic(*size, channels=1 if grey else 3)
    jpeg = libjpeg.encode(original, "" if grey else "1x1,1x1,1x1", *(() if grey else flags))
    rows, columns = -(-size[0] // 8) * 8 // cell_px, -(-size[1] // 8) * 8 // cell_px
    planes = (1 if grey else 3) * cell_px**2
    cells = network_output((planes, rows, columns), seed=cell_px)

    if flags == ("rgb",):  # the session runs the grey graph for each channel
        parts = iter(np.split(cells, 3))
        engine = Filling(lambda shape: next(parts)[None].astype(np.float64))
    else:
        engine = Filling(
            lambda shape: (cells[: cell_px**2] if shape[1] == cell_px**2 else cells[cell_px**2 :])[
                None
            ].astype(np.float64)
        )
    pipeline = Pipeline(full_model(cell_px), engine)
    expected = np.empty(pipeline.read(jpeg), pixel_dtype)
    pipeline.restore(expected)

    colour = Colour.GREY if grey else Colour.RGB if flags else Colour.YCBCR
    pixels = device.empty(expected.shape, pixel_dtype)
    image = CellImage(device.upload(cells), pixels, colour)
    device.kernels.pixels_from_cells([image], SCALE, device.stream)
    np.testing.assert_array_equal(device.download(pixels), expected)


@pytest.mark.parametrize("cell_dtype", [np.float32, np.float16])
@pytest.mark.parametrize("pixel_dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("colour", [Colour.GREY, Colour.YCBCR, Colour.RGB])  # no inks yet
def test_pixels_are_within_rounding_of_their_definition(
    device: Device, colour: Colour, pixel_dtype: Any, cell_dtype: Any
) -> None:
    images, expected = [], []
    highest = np.iinfo(pixel_dtype).max
    for i, (height, width) in enumerate([(8, 8), (31, 65), (5, 257)]):
        components = 1 if colour == Colour.GREY else 3
        shape = (4 * components, -(-height // 2), -(-width // 2))
        cells = np.random.default_rng(i).normal(0, 0.6, shape).astype(cell_dtype)
        planes = (
            np.stack(
                [
                    plane_from_cells(part.astype(np.float64), (2, 2))[:height, :width]
                    for part in np.split(cells, components)
                ],
                axis=-1,
            )
            / SCALE
        )
        if colour == Colour.YCBCR:
            luma, cb, cr = planes[..., 0], planes[..., 1], planes[..., 2]
            red, blue = luma + 1.402 * cr, luma + 1.772 * cb
            green = luma - (0.114 * 1.772 * cb + 0.299 * 1.402 * cr) / 0.587
            planes = np.stack([red, green, blue], axis=-1)
        expected.append(np.clip((planes + 128) * (highest / 255), 0, highest))
        pixels = device.empty((height, width) + (() if components == 1 else (3,)), pixel_dtype)
        images.append(CellImage(device.upload(cells), pixels, colour))
    device.kernels.pixels_from_cells(images, SCALE, device.stream)
    for image, levels in zip(images, expected, strict=True):
        result = device.download(image.pixels).reshape(levels.shape)
        # Half a level is the rounding, the rest float32's in at most eight operations.
        assert np.abs(result - levels).max() <= 0.5 + highest * 8 * 2.0**-24 * 4


@pytest.mark.parametrize("pad", [0, 1, 4])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_rows_of_pixels_may_be_apart(device: Device, dtype: Any, pad: int) -> None:
    cells = network_output((3, 20, 150), seed=0)
    room = device.filled((20, 3 * 150 + pad), dtype, 99)
    size = np.dtype(dtype).itemsize
    strides = ((450 + pad) * size, 3 * size, size)
    view = DeviceArray(room.pointer, (20, 150, 3), dtype, strides)
    whole = device.empty((20, 150, 3), dtype)
    source = device.upload(cells)
    images = [CellImage(source, out, Colour.YCBCR) for out in (view, whole)]
    device.kernels.pixels_from_cells(images, SCALE, device.stream)
    result = device.download(room)
    np.testing.assert_array_equal(result[:, :450], device.download(whole).reshape(20, 450))
    assert (result[:, 450:] == 99).all()


def decoding_of(device: Device, image: JpegImage, packed: bool) -> Decoding:
    components = []
    for component in image.components:
        assert component.blocks is not None and component.table is not None
        components.append(
            DecodedComponent(
                source_of(device, component.blocks, packed),
                component.table,
                component.width,
                component.height,
                component.h,
                component.v,
            )
        )
    channels = () if image.colour == Colour.GREY else (3,)
    pixels = device.empty((image.height, image.width, *channels), np.uint8)
    return Decoding(components, pixels, image.colour)


@pytest.mark.parametrize("packed", [False, True])
def test_plain_decoding_equals_the_cpu(device: Device, libjpeg: Libjpeg, packed: bool) -> None:
    """Every sampling and colour, of sizes at which filters have edges, all in one call."""
    jpegs = [
        libjpeg.encode(synthetic(*size, seed=seed), sampling, *flags, quality=quality)
        for seed, size in enumerate([(1, 1), (2, 3), (3, 5), (17, 33), (65, 127), (40, 260)])
        for sampling in SAMPLINGS.values()
        for flags, quality in (((), 30), (("rgb",), 95))
    ]
    jpegs += [
        libjpeg.encode(synthetic(*size, channels=1), "") for size in ((1, 1), (30, 20), (9, 999))
    ]
    pipeline, decodings, expected = Pipeline(), [], []
    for jpeg in jpegs:
        pixels = np.empty(pipeline.read(jpeg), np.uint8)
        pipeline.restore(pixels)
        expected.append(pixels)
        decodings.append(decoding_of(device, read_coefficients(jpeg), packed))
    device.kernels.decode(decodings, stream=device.stream)
    for decoding, pixels in zip(decodings, expected, strict=True):
        np.testing.assert_array_equal(device.download(decoding.pixels), pixels)


def test_decoding_in_scratch_memory_of_the_callers(device: Device, libjpeg: Libjpeg) -> None:
    jpeg = libjpeg.encode(synthetic(50, 70), SAMPLINGS["4:2:0"])
    pipeline = Pipeline()
    expected = np.empty(pipeline.read(jpeg), np.uint8)
    pipeline.restore(expected)
    decoding = decoding_of(device, read_coefficients(jpeg), packed=True)
    needed = decode_scratch_bytes([decoding])
    blocks = 7 * 9 + 2 * 4 * 5
    assert 64 * blocks <= needed <= 64 * blocks + 16 * 3
    scratch = device.empty((needed,), np.uint8)
    device.kernels.decode([decoding], scratch, device.stream)
    np.testing.assert_array_equal(device.download(decoding.pixels), expected)
    with pytest.raises(ValueError, match="scratch"):
        device.kernels.decode([decoding], device.empty((needed - 1,), np.uint8), device.stream)
    odd = DeviceArray(device.empty((needed + 1,), np.uint8).pointer + 1, (needed,), np.uint8)
    with pytest.raises(NativeError, match="scratch is not aligned"):
        device.kernels.decode([decoding], odd, device.stream)


def test_arrays_off_the_grid_of_their_elements_are_refused(device: Device) -> None:
    def odd(shape: tuple[int, ...], dtype: Any) -> DeviceArray:
        return DeviceArray(device.empty((4096,), np.uint8).pointer + 1, shape, dtype)

    image = device.filled((1, 1, 8, 8), np.float32, 0)
    astray = odd((1, 1, 8, 8), np.float32)
    pixels, keys = device.empty((8, 8), np.uint8), device.empty((1, 1, 8, 8), np.uint8)
    kernels = device.kernels
    with pytest.raises(NativeError, match="cells are not aligned"):
        kernels.pixels_from_cells([CellImage(odd((1, 8, 8), np.float16), pixels, Colour.GREY)])
    for guide, filtered in ((astray, image), (image, astray)):
        with pytest.raises(NativeError, match="not aligned to an element"):
            kernels.non_local(guide, guide, 0.1, filtered)
    with pytest.raises(NativeError, match="not aligned to an element"):
        kernels.find_blocking_edges(astray, keys)


def test_scratch_memory_of_what_is_refused_is_none() -> None:
    empty = _native.Decoding()
    assert lib.jpegrt_cuda_decode_scratch_bytes(None, 1) == 0
    assert lib.jpegrt_cuda_decode_scratch_bytes(ct.byref(empty), 1) == 0
    many = _native.Image(components=100_000, colour=1)
    empty.image = ct.pointer(many)
    assert lib.jpegrt_cuda_decode_scratch_bytes(ct.byref(empty), 1) == 0


def test_an_empty_batch_is_nothing_to_do(device: Device) -> None:
    device.kernels.unpack([], Layout.CELLS)
    device.kernels.pixels_from_cells([])
    device.kernels.decode([])


def test_what_is_wrong_is_refused_before_a_launch(device: Device) -> None:
    blocks, table = random_blocks(2, 3), random_table()
    source, out = device.upload(blocks), device.empty((4, 8, 12), np.float32)
    good = Unpacking(source, table, out, (2, 2))
    launches = device.launches if device.emulated else 0

    def refuse(unpacking: Unpacking, layout: Layout, error: type[Exception], match: str) -> None:
        with pytest.raises(error, match=match) as raised:
            device.kernels.unpack([good, unpacking], layout, SCALE, device.stream)
        if isinstance(raised.value, NativeError):
            assert raised.value.status == Status.INVALID_ARGUMENT

    shifted = DeviceArray(source.pointer + 2, (2, 3, 8, 8), np.int16)
    refuse(Unpacking(shifted, table, out, (2, 2)), Layout.CELLS, NativeError, "component 1.*align")
    odd = DeviceArray(out.pointer + 2, out.shape, np.float32)
    refuse(
        Unpacking(source, table, odd, (2, 2)), Layout.CELLS, NativeError, "aligned to an element"
    )
    null = DeviceArray(0, out.shape, np.float32)
    refuse(Unpacking(source, table, null, (2, 2)), Layout.CELLS, NativeError, "null pointer")
    overlapping = DeviceArray(out.pointer, out.shape, np.float32, (0x100, 0x30, 4))
    refuse(Unpacking(source, table, overlapping, (2, 2)), Layout.CELLS, NativeError, "overlap")
    bytes_ = DeviceArray(out.pointer, out.shape, np.uint8)
    refuse(Unpacking(source, table, bytes_, (2, 2)), Layout.CELLS, ValueError, "one dtype")
    refuse(Unpacking(source, table, out, (2, 3)), Layout.CELLS, ValueError, "cell sides")
    refuse(Unpacking(source, table, out), Layout.CELLS, ValueError, "a cell for cells")
    small = DeviceArray(out.pointer, (4, 4, 12), np.float32)
    refuse(Unpacking(source, table, small, (2, 2)), Layout.CELLS, ValueError, "room for")
    with pytest.raises(NativeError, match="samples are uint8"):
        samples = device.empty((16, 24), np.float32)
        device.kernels.unpack([Unpacking(source, table, samples)], Layout.SAMPLES)
    with pytest.raises(TypeError, match="on the device"):
        device.kernels.unpack([Unpacking(blocks, table, out, (2, 2))], Layout.CELLS)
    if device.emulated:
        assert device.launches == launches


def test_streams_of_other_libraries() -> None:
    class CudaCore:
        def __cuda_stream__(self) -> tuple[int, int]:
            return (0, 11)

    class PyCuda:
        handle = 12

    class Torch:
        cuda_stream = 13

    class CuPy:
        ptr = 14

    assert [stream_handle(s) for s in (None, 10, CudaCore(), PyCuda(), Torch(), CuPy())] == [
        0, 10, 11, 12, 13, 14,
    ]  # fmt: skip
    with pytest.raises(TypeError, match="need a CUDA stream"):
        stream_handle("legacy")
