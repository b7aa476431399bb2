"""Components, one at a time: dense blocks or a packed stream, and where their cells are."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from jpegrt.kernels import _native
from jpegrt.kernels._native import Layout
from jpegrt.kernels.cuda.arrays import DeviceArray, device_array, require
from jpegrt.kernels.unpack import cells_shape


@dataclass(frozen=True)
class PackedComponent:
    """A component's packed stream on the device: uint8, 4-byte aligned, checked before it was sent."""

    stream: Any
    rows: int
    columns: int


@dataclass(frozen=True)
class Unpacking:
    """One component and where it goes: `jpegrt_unpacking` in jpegrt.h.

    source: int16 (rows, columns, 8, 8) on the device, C-contiguous, or a `PackedComponent`.
    table: quantisation steps, uint16 (8, 8), a NumPy array.
    out: on the device, shaped as the function of the layout's name in `jpegrt.kernels` returns it,
        or for cells larger: what lies beyond the blocks is then filled with the nearest samples.
        Rows are contiguous; planes and rows may be further apart.
    cell: (h, w) of cells, else None.
    """

    source: Any
    table: NDArray[np.uint16]
    out: Any
    cell: tuple[int, int] | None = None


@dataclass(frozen=True)
class Projection:
    """One component to project: `jpegrt_projection` in jpegrt.h.

    source, table: the file's, as in `Unpacking`.
    cells: float32 or float16 (h * w, 8 rows / h, 8 columns / w) on the device, for cell = (h, w).
        Rows are contiguous; planes and rows may be further apart.
    out: where the projection goes, with the shape, dtype and strides of `cells`; None is `cells`.
    """

    source: Any
    table: NDArray[np.uint16]
    cells: Any
    cell: tuple[int, int] = (1, 1)
    out: Any = None


def fill_blocks(blocks: _native.Blocks, source: Any, table: NDArray[np.uint16]) -> int | None:
    """Fills `blocks`; returns the address of the packed stream if that is what the source is."""
    blocks.table = _native.pointer(table, np.uint16, (8, 8))
    if isinstance(source, PackedComponent):
        blocks.rows, blocks.columns, blocks.stride = source.rows, source.columns, source.columns
        return device_array(source.stream).pointer
    array = device_array(source)
    require(
        array.dtype == np.int16
        and len(array.shape) == 4
        and array.shape[2:] == (8, 8)
        and array.is_contiguous,
        f"int16 blocks (rows, columns, 8, 8), got {array.dtype} {array.shape}",
    )
    blocks.data = array.pointer
    blocks.rows, blocks.columns = array.shape[:2]
    blocks.stride = blocks.columns
    return None


def fill_unpacking(
    into: _native.Unpacking, component: Unpacking, out: DeviceArray, layout: Layout
) -> None:
    into.packed = fill_blocks(into.blocks, component.source, component.table)
    rows, columns = into.blocks.rows, into.blocks.columns
    require((component.cell is None) == (layout != Layout.CELLS), "a cell for cells, else none")
    height, width = component.cell or ((8, 8) if layout == Layout.SPECTRUM else (1, 1))
    require(height in (1, 2, 4, 8) and width in (1, 2, 4, 8), "cell sides of 1, 2, 4 or 8")
    shape = (height * width, 8 // height * rows, 8 // width * columns)
    planes = out.shape if len(out.shape) == 3 else (1, *out.shape)
    if layout == Layout.CELLS and len(planes) == 3:
        into.cell_height, into.cell_width = height, width
        into.grid_rows, into.grid_columns = planes[1] * height // 8, planes[2] * width // 8
        fits = into.grid_rows >= rows and into.grid_columns >= columns
        whole = planes[1] * height % 8 == 0 and planes[2] * width % 8 == 0
        require(planes[0] == shape[0] and fits and whole, f"room for cells of shape {shape}")
    else:
        require(planes == shape, f"an output of shape {shape}, got {out.shape}")
    into.out = out.pointer
    into.pitch, into.plane = _pitch_and_plane(out)


def fill_projection(into: _native.Projection, component: Projection, cells: DeviceArray) -> None:
    """`cells` are the component's."""
    into.packed = fill_blocks(into.blocks, component.source, component.table)
    into.cell_height, into.cell_width = component.cell
    shape = cells_shape(into.blocks.rows, into.blocks.columns, component.cell)
    require(cells.shape == shape, f"cells of shape {shape}, got {cells.shape}")
    out = cells if component.out is None else device_array(component.out)
    alike = (out.shape, out.dtype, out.strides) == (cells.shape, cells.dtype, cells.strides)
    require(alike, "an output with the shape, dtype and strides of the cells")
    into.cells, into.projected = cells.pointer, out.pointer
    into.pitch, into.plane = _pitch_and_plane(cells)


def _pitch_and_plane(planes: DeviceArray) -> tuple[int, int]:
    """Elements from one row to the next, and from one plane to the next if there are planes."""
    size = planes.dtype.itemsize
    require(planes.strides[-1] == size, "contiguous rows")
    require(all(stride % size == 0 and stride > 0 for stride in planes.strides), "positive strides")
    return planes.strides[-2] // size, planes.strides[0] // size if len(planes.shape) == 3 else 0
