"""Packed streams that are not sound: each attack of the corpus, and streams cut or changed anywhere."""

import ctypes as ct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.fuzz.make_packed_corpus import CORPUS, corpus

from jpegrt.kernels import (
    NativeError,
    Status,
    _native,
    blocks_from_packed,
    cells_from_packed,
    check_packed,
    coefficient_plane_from_packed,
    pack_blocks,
    packed_shape,
    reference,
    samples_from_packed,
    spectrum_from_packed,
)

TABLE = np.ones((8, 8), np.uint16)
FILES = sorted(CORPUS.iterdir())

DECODERS: list[Callable[[Any], object]] = [
    check_packed,
    blocks_from_packed,
    lambda stream: spectrum_from_packed(stream, TABLE),
    lambda stream: coefficient_plane_from_packed(stream, TABLE),
    lambda stream: cells_from_packed(stream, TABLE, (2, 2)),
    lambda stream: samples_from_packed(stream, TABLE),
]


def status_of(decode: Callable[[Any], object], stream: object) -> Status:
    try:
        decode(stream)
    except NativeError as error:
        return error.status
    return Status.OK


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.name))
def test_attack(path: Path) -> None:
    stream = path.read_bytes()
    expected = Status[path.name.partition("_")[0].upper()]
    assert [status_of(decode, stream) for decode in DECODERS] == [expected] * len(DECODERS)
    if expected is Status.OK:
        blocks = blocks_from_packed(stream)
        np.testing.assert_array_equal(blocks, reference.blocks_from_packed(stream))
        np.testing.assert_array_equal(blocks_from_packed(pack_blocks(blocks)), blocks)


def test_corpus_is_what_its_generator_writes() -> None:
    written = {path.name: path.read_bytes() for path in FILES}
    assert {name: written.get(name) for name in corpus()} == corpus()


@pytest.mark.parametrize("stream", [b"", b"J", b"JPKC", bytes(32)])
def test_too_little_is_refused(stream: bytes) -> None:
    assert status_of(packed_shape, stream) is Status.DAMAGED


SOUND = corpus()["ok_three_runs"]


def test_every_truncation_is_refused() -> None:
    for size in range(len(SOUND)):
        assert status_of(check_packed, SOUND[:size]) is Status.DAMAGED


@given(st.integers(0, len(SOUND) - 1), st.integers(1, 255))
def test_a_changed_byte_is_refused_or_decoded_as_the_definition_does(at: int, change: int) -> None:
    stream = bytearray(SOUND)
    stream[at] ^= change
    statuses = {status_of(decode, stream) for decode in DECODERS}
    assert len(statuses) == 1
    if statuses == {Status.OK}:
        np.testing.assert_array_equal(
            blocks_from_packed(stream), reference.blocks_from_packed(bytes(stream))
        )


@given(st.binary(max_size=300), st.integers(1, 40), st.integers(1, 4))
def test_any_bytes_behind_a_sound_header(content: bytes, columns: int, rows: int) -> None:
    """The statuses of all decoders agree, and what is decoded fits the format's definition."""
    sound = pack_blocks(np.zeros((rows, columns, 8, 8), np.int16)).tobytes()
    content += bytes(-len(content) % 4)
    runs = -(-rows * columns // 32)
    last_index = 32 + 4 * runs
    before_last = int.from_bytes(sound[last_index - 4 : last_index], "little")
    stream = bytearray(sound[: last_index + 4 + 4 * before_last] + content)
    stream[last_index : last_index + 4] = (before_last + len(content) // 4).to_bytes(4, "little")
    stream[16:24] = len(stream).to_bytes(8, "little")
    statuses = {status_of(decode, stream) for decode in DECODERS}
    assert len(statuses) == 1
    if statuses == {Status.OK}:
        np.testing.assert_array_equal(
            blocks_from_packed(stream), reference.blocks_from_packed(bytes(stream))
        )


def test_a_stream_of_other_dimensions_is_refused() -> None:
    """Whoever allocated for 2 x 3 blocks gets no more, whatever the stream says."""
    stream = pack_blocks(np.zeros((3, 2, 8, 8), np.int16))
    packed = _native.Packed(stream.ctypes.data, stream.size, TABLE.ctypes.data, 2, 3)
    blocks = np.full((2, 3, 8, 8), 7, np.int16)
    for status in (
        _native.lib.jpegrt_blocks_from_packed(packed, blocks.ctypes.data),
        _native.lib.jpegrt_packed_check(packed),
    ):
        assert status == Status.INVALID_ARGUMENT
    assert np.all(blocks == 7)


def test_null_pointers_are_refused() -> None:
    stream = pack_blocks(np.zeros((1, 1, 8, 8), np.int16))
    lib, out = _native.lib, np.zeros(64, np.float32)
    packed = _native.Packed(stream.ctypes.data, stream.size, TABLE.ctypes.data, 1, 1)
    no_data = _native.Packed(None, stream.size, TABLE.ctypes.data, 1, 1)
    no_table = _native.Packed(stream.ctypes.data, stream.size, None, 1, 1)
    for status in (
        lib.jpegrt_packed_read_header(None, stream.size, packed),
        lib.jpegrt_packed_read_header(stream.ctypes.data, stream.size, None),
        lib.jpegrt_packed_check(None),
        lib.jpegrt_packed_check(no_data),
        lib.jpegrt_blocks_from_packed(packed, None),
        lib.jpegrt_spectrum_from_packed(no_table, 1, out.ctypes.data),
        lib.jpegrt_coefficient_plane_from_packed(no_table, 1, out.ctypes.data),
        lib.jpegrt_cells_from_packed(no_table, 2, 2, 1, out.ctypes.data),
        lib.jpegrt_cells_from_packed(packed, 3, 2, 1, out.ctypes.data),
        lib.jpegrt_samples_from_packed(no_table, out.ctypes.data),
        lib.jpegrt_pack_blocks(None, out.ctypes.data, 256, None),
    ):
        assert status == Status.INVALID_ARGUMENT


def test_packing_into_too_little_is_refused() -> None:
    blocks = np.zeros((2, 3, 8, 8), np.int16)
    native = _native.Blocks(blocks.ctypes.data, None, 2, 3, 3)
    room = _native.lib.jpegrt_packed_bound(2, 3)
    out, size = np.full(room, 7, np.uint8), ct.c_size_t()
    address = out.ctypes.data
    status = _native.lib.jpegrt_pack_blocks(native, address, room - 1, ct.byref(size))
    assert status == Status.INVALID_ARGUMENT
    assert np.all(out == 7)
    assert _native.lib.jpegrt_pack_blocks(native, address, room, ct.byref(size)) == Status.OK
