"""Projection of restored samples onto a file's quantisation intervals, by the native library."""

import ctypes as ct

import numpy as np
from numpy.typing import NDArray

from jpegrt.kernels._native import check, lib, pointer
from jpegrt.kernels.unpack import Blocks, Table, cells_shape, native_blocks


def project_cells(
    blocks: Blocks,
    table: Table,
    cells: NDArray[np.float32],
    cell: tuple[int, int] = (1, 1),
    *,
    scale: float = 1.0,
    slack: float = 0.0,
    out: NDArray[np.float32] | None = None,
) -> NDArray[np.float32]:
    """Moves restored samples to the nearest that quantise to the file's coefficients.

    cells: float32 (h * w, 8 rows / h, 8 columns / w) for cell = (h, w), laid out and scaled as
        `cells_from_blocks` returns them; (1, 8 rows, 8 columns) is a component's plain samples.
    blocks, table: the file's, int16 (rows, columns, 8, 8) and uint16 (8, 8).
    scale: what the centred samples were multiplied by, above 0.
    slack: steps by which a coefficient may be beyond its interval of (q +- 1/2) steps, 0 or more.
        The original of a file whose encoder did not simply round is not within the intervals.
    out: where to write, of the shape of cells; `cells` itself is allowed. A new array by default.

    A block that is within its intervals is kept to the bit; one with samples that are not finite,
    or coefficients beyond 2^117, becomes that of the file. A component is projected at its own resolution: of a model's chroma,
    which is at full resolution, only where the file's is sampled 1x1. Raises ValueError.
    """
    native = native_blocks(blocks, table)
    shape = cells_shape(native.rows, native.columns, cell)
    if not (0 < scale <= 2.0**64 and 0 <= slack <= np.finfo(np.float32).max):
        raise ValueError(f"need a scale above 0 and a slack of 0 or more, got {scale}, {slack}")
    source = pointer(cells, np.float32, shape)
    projected = np.empty(shape, np.float32) if out is None else out
    height, width = cell
    status = lib.jpegrt_project_cells(
        ct.byref(native), width, height, scale, slack, source, pointer(projected, np.float32, shape)
    )
    check(status, "jpegrt_project_cells")
    return projected
