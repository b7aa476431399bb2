"""How much of a restoration is taken: blends of the plain decode and the restored image."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from jpegrt.runtime.resize import enlarge
from jpegrt.runtime.strips import Pixels, Strips

_STRIP_ROWS = 256  # blended at once, so that float copies of whole images are never held


def blend(base: Pixels, restored: NDArray[np.uint16], strength: float) -> None:
    """Moves `base` towards `restored`, in place: base + strength * (restored - base), rounded once.

    base: uint8 or uint16. restored: of its shape, in 16 bits whatever the base has, since rounding
    to 8 would add an error of its own. strength: 0, all base, to 1.
    """
    levels = np.float32(strength * np.iinfo(base.dtype).max / 65535)
    kept, half = np.float32(1 - strength), np.float32(0.5)
    for top in range(0, len(base), _STRIP_ROWS):
        strip = slice(top, top + _STRIP_ROWS)
        base[strip] = np.floor(kept * base[strip] + levels * restored[strip] + half)


def blended(
    base: Strips,
    base_rows: Sequence[range],
    restored: Strips,
    rows: Sequence[range],
    strength: float,
) -> Strips:
    """The strips of `restored`, in 16 bits, blended with the same rows of `base`, in its depth.

    base_rows, rows: which rows of the image their strips have.
    """
    read = _RowReader(base, base_rows)

    def make(index: int) -> Pixels:
        pixels = read(rows[index])
        blend(pixels, restored.make(index).astype(np.uint16, copy=False), strength)
        return pixels

    return Strips(restored.shape, base.depth, restored.count, make)


class _RowReader:
    """Any rows of an image in strips, of which the one last made is held."""

    def __init__(self, strips: Strips, rows: Sequence[range]) -> None:
        self._strips, self._rows = strips, rows
        self._index = -1
        self._held: Pixels = np.empty(0, np.uint8)

    def __call__(self, wanted: range) -> Pixels:
        """A copy."""
        parts = []
        for index, own in enumerate(self._rows):
            first, last = max(own.start, wanted.start), min(own.stop, wanted.stop)
            if first < last:
                parts.append(self._strip(index)[first - own.start : last - own.start])
        pixels: NDArray[Any] = np.concatenate(parts)
        return pixels

    def _strip(self, index: int) -> Pixels:
        if index != self._index:
            self._index, self._held = index, self._strips.make(index)
        return self._held


def enlarged(decoded: Pixels, factor: int) -> Pixels:
    """The decoded image, by bicubic interpolation if it is enlarged: what a model starts from."""
    if factor == 1:
        return decoded
    levels = np.floor(enlarge(decoded, factor) + 0.5)
    if decoded.dtype == np.uint8:
        return np.clip(levels, 0, 255).astype(np.uint8)
    return np.clip(levels, 0, 65535).astype(np.uint16)


def deepened(pixels: NDArray[np.uint8], depth: int) -> Pixels:
    """The same levels in 8 or 16 bits; 257 is one level of 8 bits."""
    return pixels if depth == 8 else pixels * np.uint16(257)
