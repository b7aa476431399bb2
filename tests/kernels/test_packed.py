"""Packed coefficients: the same blocks come back, in the stated bytes, whatever they are."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray
from tests.kernels.c_programs import INCLUDE, ROOT, SOURCES, Libjpeg, build_tool
from tests.kernels.images import synthetic
from tests.kernels.samplings import CODINGS, SAMPLINGS

from jpegrt.kernels import (
    CoefficientReader,
    NativeError,
    Status,
    _native,
    blocks_from_packed,
    cells_from_blocks,
    cells_from_packed,
    check_packed,
    coefficient_plane_from_blocks,
    coefficient_plane_from_packed,
    pack_blocks,
    packed_shape,
    read_coefficients,
    reference,
    samples_from_blocks,
    samples_from_packed,
    spectrum_from_blocks,
    spectrum_from_packed,
)

Blocks = NDArray[np.int16]
Table = NDArray[np.uint16]

HEADER_BYTES = 32
INT16 = np.iinfo(np.int16)

values_strategy = st.one_of(
    st.integers(-2, 2),
    st.sampled_from([-129, -128, -127, 126, 127, 128, INT16.min, INT16.max]),
    st.integers(INT16.min, INT16.max),
)
blocks_strategy = hnp.arrays(
    np.int16,
    st.tuples(st.integers(1, 5), st.integers(1, 40), st.just(8), st.just(8)),
    elements=values_strategy,
    fill=st.just(0),
)


def sparse_blocks(rows: int, columns: int, share: float, seed: int = 0, largest: int = 9) -> Blocks:
    """`share` of all coefficients is not zero."""
    random = np.random.default_rng(seed)
    blocks = random.integers(-largest, largest + 1, (rows, columns, 8, 8), np.int16)
    blocks[random.random(blocks.shape) > share] = 0
    return blocks


def bound(blocks: Blocks) -> int:
    """Dense int16 and the index, as kernels/README.md has it."""
    runs = -(-blocks.shape[0] * blocks.shape[1] // reference.RUN_BLOCKS)
    total: int = blocks.nbytes + HEADER_BYTES + 4 * (runs + 1)
    return total


def run_sizes(stream: NDArray[np.uint8]) -> list[int]:
    rows, columns = packed_shape(stream)
    runs = -(-rows * columns // reference.RUN_BLOCKS)
    index = stream[HEADER_BYTES:][: 4 * (runs + 1)].view("<u4").astype(np.int64)
    return [4 * int(units) for units in np.diff(index)]


def assert_comes_back(blocks: Blocks) -> NDArray[np.uint8]:
    stream = pack_blocks(blocks)
    assert stream.dtype == np.uint8
    assert stream.size <= bound(blocks) == _native.lib.jpegrt_packed_bound(*blocks.shape[:2])
    assert packed_shape(stream) == blocks.shape[:2]
    check_packed(stream)
    np.testing.assert_array_equal(blocks_from_packed(stream), blocks)
    np.testing.assert_array_equal(reference.blocks_from_packed(stream.tobytes()), blocks)
    return stream


@given(blocks_strategy)
def test_any_blocks_come_back(blocks: Blocks) -> None:
    assert_comes_back(blocks)


@pytest.mark.parametrize("share", [0, 0.01, 0.1, 0.5, 0.7, 0.9, 1])
@pytest.mark.parametrize("shape", [(1, 1), (40, 1), (1, 31), (1, 32), (1, 33), (7, 13), (9, 64)])
def test_shapes_and_densities(shape: tuple[int, int], share: float) -> None:
    for largest in (1, 127, 128, 32767):
        assert_comes_back(sparse_blocks(*shape, share, largest=largest))


def test_zero_blocks_take_a_byte_each() -> None:
    stream = assert_comes_back(np.zeros((4, 32, 8, 8), np.int16))
    assert run_sizes(stream) == [32] * 4


@pytest.mark.parametrize("share", [0.9, 1])
def test_adversarial_blocks_are_stored_dense(share: float) -> None:
    """Escapes make sparse runs longer than dense ones; the stream must not become longer."""
    blocks = sparse_blocks(3, 33, share, largest=32767)
    stream = assert_comes_back(blocks)
    assert run_sizes(stream) == [4096, 4096, 4096, 384]
    assert stream.size == bound(blocks)


def test_a_dense_run_among_sparse_ones() -> None:
    blocks = np.zeros((1, 96, 8, 8), np.int16)
    blocks[0, 32:64] = sparse_blocks(1, 32, 1, largest=32767)
    assert run_sizes(assert_comes_back(blocks)) == [32, 4096, 32]


def test_one_coefficient_at_a_time() -> None:
    """Where each value of a block ends up, by the letter of the format."""
    for position in range(64):
        blocks = np.zeros((1, 1, 8, 8), np.int16)
        blocks.reshape(64)[reference.ZIGZAG[position]] = -7
        run = assert_comes_back(blocks)[HEADER_BYTES + 8 :]
        assert run.tolist() == [1 << position // 8, 1 << position % 8, 256 - 7, 0]


@pytest.mark.parametrize("value", [-32768, -129, -128, 128, 32767])
def test_escapes(value: int) -> None:
    blocks = np.zeros((1, 2, 8, 8), np.int16)
    blocks[0, :, 0, 1] = value
    run = assert_comes_back(blocks)[HEADER_BYTES + 8 :]
    escape = np.array([value], "<i2").view(np.uint8).tolist()
    assert run.tolist() == [1, 1, 2, 2, 0x80, 0x80, *escape, *escape, 0, 0]


@pytest.mark.parametrize("value", [-127, -1, 1, 127])
def test_values_that_need_no_escape(value: int) -> None:
    blocks = np.zeros((1, 1, 8, 8), np.int16)
    blocks[0, 0, 0, 1] = value
    assert assert_comes_back(blocks)[HEADER_BYTES + 8 :].tolist() == [1, 2, value % 256, 0]


def test_dc_differences_begin_anew_in_each_run_and_wrap() -> None:
    blocks = np.zeros((1, 64, 8, 8), np.int16)
    blocks[0, :, 0, 0] = 100
    blocks[0, 32:, 0, 0] = np.tile([32767, -32768], 16)
    first, second = run_sizes(assert_comes_back(blocks))
    assert first == 32 + 4  # one block names a group, with one mask and one value; padding
    assert second == 32 + 32 + 32 + 4  # 32767 is escaped, then differences of 1 and -1


@given(blocks_strategy, st.sampled_from([1.0, 1 / 128, 0.3]), st.integers(0, 255))
def test_kernels_equal_those_of_dense_blocks(blocks: Blocks, scale: float, seed: int) -> None:
    stream = pack_blocks(blocks)
    table = np.random.default_rng(seed).integers(1, 256, (8, 8), np.uint16)
    np.testing.assert_array_equal(
        spectrum_from_packed(stream, table, scale), spectrum_from_blocks(blocks, table, scale)
    )
    np.testing.assert_array_equal(
        coefficient_plane_from_packed(stream, table, scale),
        coefficient_plane_from_blocks(blocks, table, scale),
    )
    np.testing.assert_array_equal(
        samples_from_packed(stream, table), samples_from_blocks(blocks, table)
    )
    for cell in ((1, 1), (2, 2), (8, 8), (1, 4), (8, 2)):
        np.testing.assert_array_equal(
            cells_from_packed(stream, table, cell, scale),
            cells_from_blocks(blocks, table, cell, scale),
        )


@pytest.mark.parametrize("coding", CODINGS)
@pytest.mark.parametrize("sampling", SAMPLINGS)
def test_reading_packed_is_packing_what_is_read(
    libjpeg: Libjpeg, sampling: str, coding: str
) -> None:
    packed_reader, reader = CoefficientReader(), CoefficientReader()
    for seed, size in enumerate([(1, 1), (9, 7), (17, 33), (50, 300), (130, 20), (33, 17)]):
        pixels = synthetic(*size, seed=seed)
        jpeg = libjpeg.encode(pixels, SAMPLINGS[sampling], *CODINGS[coding], restart=seed)
        packed, image = packed_reader.read_packed(jpeg), reader.read(jpeg)
        assert (packed.width, packed.height) == (image.width, image.height)
        for streamed, component in zip(packed.components, image.components, strict=True):
            assert component.blocks is not None and component.table is not None
            assert streamed.blocks is None and component.packed is None
            assert streamed.packed is not None and streamed.table is not None
            np.testing.assert_array_equal(streamed.packed, pack_blocks(component.blocks))
            np.testing.assert_array_equal(streamed.table, component.table)
        # What the packed read leaves behind must not disturb a whole one, nor the other way round.
        for component, again in zip(
            image.components, packed_reader.read(jpeg).components, strict=True
        ):
            assert component.blocks is not None and again.blocks is not None
            np.testing.assert_array_equal(again.blocks, component.blocks)


@pytest.mark.parametrize("coding", ["baseline", "progressive", "arithmetic", "separate scans"])
@pytest.mark.parametrize("sampling", ["", "2x2", "2x2,1x1,1x1"])
def test_damaged_files_are_packed_as_far_as_they_are_read(
    libjpeg: Libjpeg, sampling: str, coding: str
) -> None:
    pixels = synthetic(70, 90, channels=1 if sampling in ("", "2x2") else 3)
    jpeg = libjpeg.encode(pixels, sampling, *CODINGS[coding])
    reader = CoefficientReader()
    for size in range(len(jpeg) // 2, len(jpeg), 97):
        with pytest.raises(NativeError) as caught:
            reader.read_packed(jpeg[:size])
        assert caught.value.status is Status.DAMAGED
        try:
            image = read_coefficients(jpeg[:size], allow_damaged=True)
        except NativeError:
            continue
        packed = reader.read_packed(jpeg[:size], allow_damaged=True)
        assert packed.warnings == image.warnings
        for streamed, component in zip(packed.components, image.components, strict=True):
            assert component.blocks is not None and streamed.packed is not None
            np.testing.assert_array_equal(streamed.packed, pack_blocks(component.blocks))


def test_reading_packed_keeps_few_rows(libjpeg: Libjpeg) -> None:
    """Baseline files are packed row by row; the whole image's blocks are never in memory."""
    jpeg = libjpeg.encode(np.zeros((4096, 4096), np.uint8), quality=10)
    code = (
        "import resource, sys; from jpegrt.kernels import CoefficientReader;"
        "reader = CoefficientReader(); jpeg = sys.stdin.buffer.read();"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss;"
        "reader.read_packed(jpeg);"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)"
    )
    output = subprocess.run(
        [sys.executable, "-c", code], check=True, input=jpeg, capture_output=True
    )
    dense_kib = 4096 * 4096 * 2 // 1024
    assert int(output.stdout) < dense_kib / 8


def test_packing_is_as_small_as_promised(libjpeg: Libjpeg) -> None:
    """On an image like a photograph; the benchmark measures sets of real ones."""
    jpeg = libjpeg.encode(synthetic(256, 256), SAMPLINGS["4:2:0"], quality=40)
    streams = [component.packed for component in CoefficientReader().read_packed(jpeg).components]
    packed = sum(stream.size for stream in streams if stream is not None)
    assert packed < 2.4 * len(jpeg)
    assert 8 * packed < 256 * 256 * 1.5 * 2


@pytest.mark.slow
def test_all_packers_write_the_same_bytes(tmp_path: Path) -> None:
    """The one for any machine, and those for the instructions that this one has."""
    program = tmp_path / "compare_run_packers"
    sources = [SOURCES / "compare_run_packers.cpp", ROOT / "kernels/cpu/pack_run.cpp"]
    flags = ["-std=c++17", "-O1", f"-I{INCLUDE}", f"-I{ROOT / 'kernels/cpu'}", "-Wno-psabi"]
    flags += ["-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
    command = [build_tool("c++"), *flags, *map(str, sources), "-o", str(program)]
    built = subprocess.run(command, check=False, capture_output=True, text=True)
    assert built.returncode == 0, built.stderr
    result = subprocess.run([program], check=False, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout + result.stderr
    assert int(result.stdout.split()[0]) > 1000


GOOD = np.zeros((2, 3, 8, 8), np.int16)


@pytest.mark.parametrize(
    "blocks", [GOOD.astype(np.int32), GOOD.reshape(2, 3, 64), GOOD[:, ::2], GOOD[:0], GOOD[:, :0]]
)
def test_wrong_arrays_are_refused(blocks: Blocks) -> None:
    with pytest.raises(ValueError, match="need "):
        pack_blocks(blocks)


@pytest.mark.parametrize(
    "kernel", [spectrum_from_packed, coefficient_plane_from_packed, samples_from_packed]
)
def test_wrong_tables_are_refused(kernel: Callable[..., object]) -> None:
    with pytest.raises(ValueError, match="need "):
        kernel(pack_blocks(GOOD), np.ones(64, np.uint16))


def test_streams_may_be_bytes() -> None:
    stream = pack_blocks(GOOD)
    for same in (stream.tobytes(), bytearray(stream.tobytes()), stream.data):
        np.testing.assert_array_equal(blocks_from_packed(same), GOOD)


@pytest.mark.parametrize(
    ("rows", "columns"),
    [(0, 1), (1, 0), (2**26 + 1, 1), (2**13, 2**13 + 1), (2**32 - 1, 2**32 - 1)],
)
def test_what_the_format_cannot_hold_has_no_bound(rows: int, columns: int) -> None:
    assert _native.lib.jpegrt_packed_bound(rows, columns) == 0


def test_the_largest_stream_has_a_bound() -> None:
    blocks = 2**26
    expected = blocks * 128 + HEADER_BYTES + 4 * (blocks // 32 + 1)
    assert _native.lib.jpegrt_packed_bound(2**13, 2**13) == expected
