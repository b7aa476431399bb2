"""Float64 definitions of the kernels: slow, obvious, and what every implementation must match."""

import numpy as np
from numpy.typing import NDArray

Blocks = NDArray[np.int16]
Table = NDArray[np.uint16]
Array = NDArray[np.float64]


def dct_basis() -> Array:
    """(8, 8): row u is the orthonormal DCT-II basis vector of frequency u (T.81, A.3.3)."""
    u, x = np.arange(8)[:, None], np.arange(8)
    basis = np.cos((2 * x + 1) * u * np.pi / 16) / 2
    basis[0] /= np.sqrt(2)
    return basis


def dequantised(blocks: Blocks, table: Table) -> Array:
    """(rows, columns, 8, 8): coefficient times step."""
    return blocks.astype(np.float64) * table


def spectrum_from_blocks(blocks: Blocks, table: Table, scale: float = 1.0) -> Array:
    rows, columns = blocks.shape[:2]
    return dequantised(blocks, table).reshape(rows, columns, 64).transpose(2, 0, 1) * scale


def plane_of(blocks: Array) -> Array:
    """Lays (rows, columns, 8, 8) out as the plane (8 rows, 8 columns)."""
    rows, columns = blocks.shape[:2]
    return blocks.transpose(0, 2, 1, 3).reshape(8 * rows, 8 * columns)


def coefficient_plane_from_blocks(blocks: Blocks, table: Table, scale: float = 1.0) -> Array:
    return plane_of(dequantised(blocks, table)) * scale


def centred_samples(blocks: Blocks, table: Table) -> Array:
    """(8 rows, 8 columns): the inverse DCT, before the level shift of 128."""
    basis = dct_basis()
    return plane_of(basis.T @ dequantised(blocks, table) @ basis)


def cells_from_blocks(
    blocks: Blocks, table: Table, cell: tuple[int, int], scale: float = 1.0
) -> Array:
    plane = centred_samples(blocks, table) * scale
    h, w = cell
    rows, columns = plane.shape[0] // h, plane.shape[1] // w
    cells = plane.reshape(rows, h, columns, w).transpose(1, 3, 0, 2)
    return cells.reshape(h * w, rows, columns)


def samples_from_blocks(blocks: Blocks, table: Table) -> NDArray[np.uint8]:
    level = np.floor(centred_samples(blocks, table) + 128.5)
    return np.clip(level, 0, 255).astype(np.uint8)
