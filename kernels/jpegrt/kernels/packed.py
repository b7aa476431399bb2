"""Packed coefficients: one component's quantised blocks in a sparse stream, and back.

kernels/README.md describes the stream, which holds no quantisation table. Streams are uint8 (n,)
arrays or bytes. One that is not sound raises NativeError (`Status.DAMAGED`; `Status.UNSUPPORTED` for another version), wherever it came from.
`reference.py` has the definition.
"""

import ctypes as ct

import numpy as np
from numpy.typing import NDArray

from jpegrt.kernels import _native
from jpegrt.kernels._native import check, lib, pointer
from jpegrt.kernels.unpack import Blocks, Table, cells_shape, native_blocks

Stream = NDArray[np.uint8] | bytes | bytearray | memoryview

_NO_TABLE = np.ones((8, 8), np.uint16)


def pack_blocks(blocks: Blocks) -> NDArray[np.uint8]:
    """The packed stream of int16 blocks (rows, columns, 8, 8), at most 2^26 of them."""
    native = native_blocks(blocks, _NO_TABLE)
    stream = np.empty(lib.jpegrt_packed_bound(native.rows, native.columns), np.uint8)
    size = ct.c_size_t()
    status = lib.jpegrt_pack_blocks(
        ct.byref(native), stream.ctypes.data, stream.size, ct.byref(size)
    )
    check(status, "jpegrt_pack_blocks")
    return stream[: size.value].copy()


def packed_shape(stream: Stream) -> tuple[int, int]:
    """Rows and columns of blocks that the stream's header states."""
    native = _Packed(stream).native
    return native.rows, native.columns


def check_packed(stream: Stream) -> None:
    """Goes through the whole stream; one that passes can be decoded without further checks."""
    check(lib.jpegrt_packed_check(_Packed(stream).reference), "jpegrt_packed_check")


def blocks_from_packed(stream: Stream) -> Blocks:
    """The blocks of a stream, int16 (rows, columns, 8, 8)."""
    packed = _Packed(stream)
    blocks = np.empty((packed.native.rows, packed.native.columns, 8, 8), np.int16)
    status = lib.jpegrt_blocks_from_packed(packed.reference, blocks.ctypes.data)
    check(status, "jpegrt_blocks_from_packed")
    return blocks


def spectrum_from_packed(stream: Stream, table: Table, scale: float = 1.0) -> NDArray[np.float32]:
    """As `spectrum_from_blocks` of the stream's blocks, bit for bit."""
    packed = _Packed(stream, table)
    spectrum = np.empty((64, packed.native.rows, packed.native.columns), np.float32)
    status = lib.jpegrt_spectrum_from_packed(packed.reference, scale, spectrum.ctypes.data)
    check(status, "jpegrt_spectrum_from_packed")
    return spectrum


def coefficient_plane_from_packed(
    stream: Stream, table: Table, scale: float = 1.0
) -> NDArray[np.float32]:
    """As `coefficient_plane_from_blocks` of the stream's blocks, bit for bit."""
    packed = _Packed(stream, table)
    plane = np.empty((8 * packed.native.rows, 8 * packed.native.columns), np.float32)
    status = lib.jpegrt_coefficient_plane_from_packed(packed.reference, scale, plane.ctypes.data)
    check(status, "jpegrt_coefficient_plane_from_packed")
    return plane


def cells_from_packed(
    stream: Stream, table: Table, cell: tuple[int, int], scale: float = 1.0
) -> NDArray[np.float32]:
    """As `cells_from_blocks` of the stream's blocks, bit for bit."""
    packed = _Packed(stream, table)
    height, width = cell
    cells = np.empty(cells_shape(packed.native.rows, packed.native.columns, cell), np.float32)
    status = lib.jpegrt_cells_from_packed(packed.reference, width, height, scale, cells.ctypes.data)
    check(status, "jpegrt_cells_from_packed")
    return cells


def samples_from_packed(stream: Stream, table: Table) -> NDArray[np.uint8]:
    """As `samples_from_blocks` of the stream's blocks, bit for bit."""
    packed = _Packed(stream, table)
    samples = np.empty((8 * packed.native.rows, 8 * packed.native.columns), np.uint8)
    status = lib.jpegrt_samples_from_packed(packed.reference, samples.ctypes.data)
    check(status, "jpegrt_samples_from_packed")
    return samples


class _Packed:
    """A native view of a stream, and of a table, that keeps both alive."""

    def __init__(self, stream: Stream, table: Table | None = None) -> None:
        self._bytes = np.frombuffer(stream, np.uint8)
        self._table = table
        self.native = _native.Packed()
        self.reference = ct.byref(self.native)
        status = lib.jpegrt_packed_read_header(
            self._bytes.ctypes.data, self._bytes.size, self.reference
        )
        check(status, "jpegrt_packed_read_header")
        if table is not None:
            self.native.table = pointer(table, np.uint16, (8, 8))
