"""A JPEG's quantised DCT coefficients, tables and geometry."""

import ctypes as ct
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from jpegrt.kernels import _native
from jpegrt.kernels._native import NativeError, array_at, check_create, lib

DEFAULT_MAX_PIXELS = 1 << 27


class Colour(IntEnum):
    """What the components mean."""

    GREY = 0
    YCBCR = 1
    RGB = 2
    CMYK = 3
    YCCK = 4


class Coding(IntEnum):
    """How the coefficients are spread over the file's scans."""

    SEQUENTIAL = 0
    PROGRESSIVE = 1


@dataclass(frozen=True)
class Component:
    """One component's geometry and, once the file is decoded, its coefficients.

    blocks: quantised coefficients, int16 (rows, columns, 8, 8), last axes (v, u), rows and columns
        those that hold samples of the image; None after `read_header` and `read_packed`.
    table: quantisation steps, uint16 (8, 8), same order; None after `read_header`.
    width, height: samples that belong to the image; h, v: sampling factors.
    packed: the coefficients as a packed stream, uint8 (n,), after `read_packed` only.
    """

    blocks: NDArray[np.int16] | None
    table: NDArray[np.uint16] | None
    width: int
    height: int
    h: int
    v: int
    packed: NDArray[np.uint8] | None = None


@dataclass(frozen=True)
class JpegImage:
    """A JPEG's geometry, coding and components (see `jpegrt_image` in jpegrt.h).

    inverted: of CMYK and YCCK, whether 0 stands for all ink, as in nearly all files, or for none.
    """

    width: int
    height: int
    colour: Colour
    coding: Coding
    arithmetic: bool
    restart_interval: int
    warnings: int
    components: tuple[Component, ...]
    inverted: bool = False

    @property
    def subsampling(self) -> str:
        """'4:4:4', '4:2:0'...; 'grey' for one component; the factors ('2x1,1x2,1x1') otherwise."""
        if len(self.components) == 1:
            return "grey"
        factors = [(c.h, c.v) for c in self.components]
        (h, v), chroma = factors[0], factors[1:3]
        key = factors[3:]  # of CMYK and YCCK
        if (
            chroma[0] == chroma[1]
            and key in ([], [(h, v)])
            and h % chroma[0][0] == 0
            and v % chroma[0][1] == 0
        ):
            ratio = (h // chroma[0][0], v // chroma[0][1])
            if name := _SUBSAMPLING.get(ratio):
                return name
        return ",".join(f"{h}x{v}" for h, v in factors)


# Luma samples per chroma sample, across and down.
_SUBSAMPLING = {
    (1, 1): "4:4:4",
    (2, 1): "4:2:2",
    (2, 2): "4:2:0",
    (1, 2): "4:4:0",
    (4, 1): "4:1:1",
    (4, 2): "4:1:0",
}


def read_options(allow_damaged: bool, max_pixels: int) -> _native.ReadOptions:
    if not 1 <= max_pixels < 1 << 64:
        raise ValueError(f"max_pixels must be between 1 and 2^64 - 1, got {max_pixels}")
    return _native.ReadOptions(ct.sizeof(_native.ReadOptions), allow_damaged, max_pixels)


def image_from_native(
    image: _native.Image, packed: Sequence[_native.Packed] | None = None
) -> JpegImage:
    """A Python view of a native image; its blocks or packed streams, and tables, are copied."""
    return JpegImage(
        image.width,
        image.height,
        Colour(image.colour),
        Coding(image.coding),
        bool(image.arithmetic),
        image.restart_interval,
        image.warnings,
        tuple(
            _component(image.component[c], packed[c] if packed else None)
            for c in range(image.components)
        ),
        bool(image.inverted),
    )


def _component(component: _native.Component, packed: _native.Packed | None) -> Component:
    blocks = table = stream = None
    native = component.blocks
    if native.data:
        padded = array_at(native.data, np.int16, (native.rows, native.stride, 8, 8))
        blocks = padded[:, : native.columns].copy()
    if native.table:
        table = array_at(native.table, np.uint16, (8, 8)).copy()
    if packed:
        stream = array_at(packed.data, np.uint8, (packed.size,)).copy()
    return Component(
        blocks, table, component.width, component.height, component.h, component.v, stream
    )


class CoefficientReader:
    """Reads JPEGs one after another into reused memory. One thread at a time."""

    def __init__(self) -> None:
        self._handle = ct.c_void_p()
        check_create(lib.jpegrt_coefficients_create(ct.byref(self._handle)))

    def __del__(self) -> None:
        lib.jpegrt_coefficients_destroy(self._handle)

    def read_header(self, jpeg: bytes, *, max_pixels: int = DEFAULT_MAX_PIXELS) -> JpegImage:
        """Geometry and sampling only. Raises NativeError."""
        return self._read(lib.jpegrt_coefficients_read_header, jpeg, False, max_pixels)

    def read_packed(
        self, jpeg: bytes, *, allow_damaged: bool = False, max_pixels: int = DEFAULT_MAX_PIXELS
    ) -> JpegImage:
        """As `read`, but the components have `packed` streams instead of blocks.

        The blocks are packed as they are decoded, so that a large image's never leave the cache.
        """
        packed = (_native.Packed * _native.MAX_COMPONENTS)()
        call = lib.jpegrt_coefficients_read_packed
        return self._read(call, jpeg, allow_damaged, max_pixels, packed)

    def read(
        self, jpeg: bytes, *, allow_damaged: bool = False, max_pixels: int = DEFAULT_MAX_PIXELS
    ) -> JpegImage:
        """Entropy-decodes a whole JPEG (1, 3 or 4 components). Raises NativeError.

        allow_damaged keeps what can be decoded of a truncated or corrupt file;
        an image of more than max_pixels is refused before memory is taken.
        """
        return self._read(lib.jpegrt_coefficients_read, jpeg, allow_damaged, max_pixels)

    def _read(  # type: ignore[no-untyped-def]
        self, call, jpeg: bytes, allow_damaged: bool, max_pixels: int, packed=None
    ) -> JpegImage:
        image = _native.Image()
        options = read_options(allow_damaged, max_pixels)
        outputs = (ct.byref(image), packed) if packed else (ct.byref(image),)
        status = call(self._handle, jpeg, len(jpeg), ct.byref(options), *outputs)
        if status:
            raise NativeError(status, lib.jpegrt_coefficients_message(self._handle).decode())
        return image_from_native(image, packed)


def read_coefficients(
    jpeg: bytes, *, allow_damaged: bool = False, max_pixels: int = DEFAULT_MAX_PIXELS
) -> JpegImage:
    """The quantised coefficients, tables and geometry of one JPEG. See `CoefficientReader.read`."""
    return CoefficientReader().read(jpeg, allow_damaged=allow_damaged, max_pixels=max_pixels)
