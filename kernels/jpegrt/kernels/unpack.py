"""Quantised blocks into network inputs and samples, by the native library.

Everywhere: blocks are int16 (rows, columns, 8, 8), tables uint16 (8, 8), last axes (v, u);
`reference.py` has the definitions in float64.
"""

import ctypes as ct

import numpy as np
from numpy.typing import NDArray

from jpegrt.kernels import _native
from jpegrt.kernels._native import check, lib, pointer

Blocks = NDArray[np.int16]
Table = NDArray[np.uint16]


def native_blocks(blocks: Blocks, table: Table) -> _native.Blocks:
    """A native view of the arrays, which it does not keep alive. Raises ValueError."""
    if blocks.ndim != 4 or blocks.size == 0:
        raise ValueError(f"need blocks of shape (rows, columns, 8, 8), got {blocks.shape}")
    rows, columns = blocks.shape[:2]
    return _native.Blocks(
        pointer(blocks, np.int16, (rows, columns, 8, 8)),
        pointer(table, np.uint16, (8, 8)),
        rows,
        columns,
        columns,
    )


def cells_shape(rows: int, columns: int, cell: tuple[int, int]) -> tuple[int, int, int]:
    """The shape of the cells (h, w) of rows x columns blocks. Raises ValueError."""
    height, width = cell
    if height not in (1, 2, 4, 8) or width not in (1, 2, 4, 8):
        raise ValueError(f"cells are 1, 2, 4 or 8 samples high and wide, got {cell}")
    return height * width, 8 * rows // height, 8 * columns // width


def spectrum_from_blocks(blocks: Blocks, table: Table, scale: float = 1.0) -> NDArray[np.float32]:
    """Spectral tensor, float32 (64, rows, columns): plane 8 v + u is coefficient (v, u)."""
    native = native_blocks(blocks, table)
    spectrum = np.empty((64, native.rows, native.columns), np.float32)
    status = lib.jpegrt_spectrum_from_blocks(ct.byref(native), scale, spectrum.ctypes.data)
    check(status, "jpegrt_spectrum_from_blocks")
    return spectrum


def coefficient_plane_from_blocks(
    blocks: Blocks, table: Table, scale: float = 1.0
) -> NDArray[np.float32]:
    """Coefficient plane, float32 (8 rows, 8 columns): each block where its pixels would be."""
    native = native_blocks(blocks, table)
    plane = np.empty((8 * native.rows, 8 * native.columns), np.float32)
    status = lib.jpegrt_coefficient_plane_from_blocks(ct.byref(native), scale, plane.ctypes.data)
    check(status, "jpegrt_coefficient_plane_from_blocks")
    return plane


def cells_from_blocks(
    blocks: Blocks, table: Table, cell: tuple[int, int], scale: float = 1.0
) -> NDArray[np.float32]:
    """Pixel cells, float32 (h * w, 8 rows / h, 8 columns / w), for cell = (h, w) of 1, 2, 4 or 8.

    The inverse DCT, centred (0 is mid-grey) and scaled; sample (y, x) of the image goes to plane
    (y % h) * w + x % w.
    """
    native = native_blocks(blocks, table)
    height, width = cell
    cells = np.empty(cells_shape(native.rows, native.columns, cell), np.float32)
    status = lib.jpegrt_cells_from_blocks(ct.byref(native), width, height, scale, cells.ctypes.data)
    check(status, "jpegrt_cells_from_blocks")
    return cells


def samples_from_blocks(blocks: Blocks, table: Table) -> NDArray[np.uint8]:
    """Samples, uint8 (8 rows, 8 columns): inverse DCT, level shift, rounded half up, clamped."""
    native = native_blocks(blocks, table)
    samples = np.empty((8 * native.rows, 8 * native.columns), np.uint8)
    status = lib.jpegrt_samples_from_blocks(ct.byref(native), samples.ctypes.data)
    check(status, "jpegrt_samples_from_blocks")
    return samples
