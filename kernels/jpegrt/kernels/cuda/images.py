"""Whole images: cells or coefficients, and where their pixels go."""

import ctypes as ct
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from jpegrt.kernels import _native
from jpegrt.kernels._native import lib
from jpegrt.kernels.coefficients import Colour
from jpegrt.kernels.cuda.arrays import DeviceArray, device_array, require
from jpegrt.kernels.cuda.components import fill_blocks


@dataclass(frozen=True)
class CellImage:
    """Full-resolution cells and where their pixels go: `jpegrt_cell_image` in jpegrt.h.

    cells: float32 or float16 (components * r * r, rows, columns) on the device, C-contiguous.
    pixels: uint8 or uint16 on the device: (height, width) for grey, else (height, width, 3).
    """

    cells: Any
    pixels: Any
    colour: Colour


@dataclass(frozen=True)
class DecodedComponent:
    """One component of an image to decode plainly; width and height are its samples'."""

    source: Any
    table: NDArray[np.uint16]
    width: int
    height: int
    h: int
    v: int


@dataclass(frozen=True)
class Decoding:
    """An image to decode plainly, and its uint8 pixels on the device, shaped as in `CellImage`."""

    components: Sequence[DecodedComponent]
    pixels: Any
    colour: Colour


def native_cell_images(images: Sequence[CellImage]) -> tuple["ct.Array[_native.CellImage]", int]:
    """And the side of their cells."""
    native = (_native.CellImage * len(images))()
    sides = set()
    for into, image in zip(native, images, strict=True):
        planes, out = device_array(image.cells), device_array(image.pixels)
        components = 1 if image.colour == Colour.GREY else 3
        require(len(planes.shape) == 3 and planes.is_contiguous, "contiguous cells of 3 axes")
        count, rows, columns = planes.shape
        side = math.isqrt(count // components)
        require(components * side * side == count, "components * r * r planes of cells")
        sides.add(side)
        height, width = _pixel_size(out, components)
        require(height <= side * rows and width <= side * columns, "cells for every pixel")
        for c in range(components):
            into.cells[c] = planes.pointer + c * side * side * planes.strides[0]
        into.plane, into.pitch = rows * columns, columns
        into.width, into.height, into.colour = width, height, image.colour
        into.pixels, into.row_stride = out.pointer, out.strides[0]
    require(len(sides) <= 1, "cells of one size")
    return native, max(sides, default=1)


def decode_scratch_bytes(images: Sequence[Decoding]) -> int:
    """Bytes of scratch memory that `Cuda.decode` needs for these images."""
    native = native_decodings(images)
    return int(lib.jpegrt_cuda_decode_scratch_bytes(native, len(native)))


def _pixel_size(pixels: DeviceArray, components: int) -> tuple[int, int]:
    """Height and width of interleaved pixels."""
    expected = 2 if components == 1 else 3
    shape = pixels.shape
    require(
        len(shape) == expected and (components == 1 or shape[2] == 3),
        f"pixels of {'(height, width)' if components == 1 else '(height, width, 3)'}, got {shape}",
    )
    require(pixels.has_contiguous_rows, "pixels without gaps within a row")
    return shape[0], shape[1]


def native_decodings(images: Sequence[Decoding]) -> "ct.Array[_native.Decoding]":
    native = (_native.Decoding * len(images))()
    for into, decoding in zip(native, images, strict=True):
        out = device_array(decoding.pixels)
        require(out.dtype == np.uint8, "uint8 pixels")
        image = _native.Image()
        image.components = len(decoding.components)
        require(
            image.components == (1 if decoding.colour == Colour.GREY else 3), "1 or 3 components"
        )
        image.height, image.width = _pixel_size(out, image.components)
        image.colour = decoding.colour
        for c, component in enumerate(decoding.components):
            target = image.component[c]
            into.packed[c] = fill_blocks(target.blocks, component.source, component.table)
            target.width, target.height = component.width, component.height
            target.h, target.v = component.h, component.v
        into.image = ct.pointer(image)  # ctypes keeps the image alive with the array
        into.pixels, into.row_stride = out.pointer, out.strides[0]
    return native
