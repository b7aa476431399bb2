"""Images in strips: some rows at a time, each made when it is asked for."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from jpegrt.runtime.orientation import upright, upright_view

Pixels = NDArray[np.uint8] | NDArray[np.uint16]


@dataclass(frozen=True)
class Strips:
    """An image from its top to its bottom, of which one strip is held at a time.

    shape: (H, W), (H, W, 3) RGB, or (H, W, 4) CMYK, in which 0 is no ink.
    depth: bits a sample, 8 or 16.
    count: how many strips there are.
    make: gives the strip of an index, (rows, W[, 3 or 4]).
    """

    shape: tuple[int, ...]
    depth: int
    count: int
    make: Callable[[int], Pixels]

    @classmethod
    def of(cls, pixels: Pixels, count: int = 1) -> "Strips":
        """Of pixels that are there, laid out in any way; at most `count` strips."""
        rows = -(-pixels.shape[0] // count)

        def make(index: int) -> NDArray[Any]:
            return pixels[rows * index : rows * (index + 1)]

        return cls(pixels.shape, 8 * pixels.itemsize, -(-pixels.shape[0] // rows), make)

    def __iter__(self) -> Iterator[Pixels]:
        return map(self.make, range(self.count))

    def in_rows(self, rows: int) -> Iterator[Pixels]:
        """The same image in strips of so many rows, but for the last."""
        rest: NDArray[Any] | None = None
        for strip in self:
            held: NDArray[Any] = strip if rest is None else np.concatenate((rest, strip))
            for top in range(0, len(held) - rows + 1, rows):
                yield held[top : top + rows]
            rest = held[len(held) // rows * rows :]
        if rest is not None and len(rest):
            yield rest

    def joined(self) -> Pixels:
        """The whole image, held."""
        if self.count == 1:
            return self.make(0)
        pixels: NDArray[Any] = np.empty(self.shape, np.uint8 if self.depth == 8 else np.uint16)
        row = 0
        for strip in self:
            pixels[row : row + len(strip)] = strip
            row += len(strip)
        return pixels

    def upright(self, orientation: int) -> "Strips":
        """Turned as EXIF's orientation says. What changes sides, 5 to 8, is held as a whole."""
        if orientation == 1:
            return self
        if orientation >= 5:
            return Strips.of(upright_view(self.joined(), orientation), self.count)

        def make(index: int) -> Pixels:
            from_the_end = orientation in (3, 4)
            strip = self.make(self.count - 1 - index if from_the_end else index)
            return upright(strip, orientation)

        return replace(self, make=make)
