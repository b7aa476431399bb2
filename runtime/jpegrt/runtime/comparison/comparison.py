"""A comparison: the pictures, what was measured of them, and the page that shows both."""

import math
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from jpegrt.runtime.comparison.measures import Measures, measure
from jpegrt.runtime.comparison.page import frame_of_page, page_of
from jpegrt.runtime.comparison.pictures import (
    MOST_PIXELS,
    Picture,
    Source,
    made_alike,
    open_picture,
)
from jpegrt.runtime.errors import RestoreError
from jpegrt.runtime.output import check_writable, written_whole

_NOTEBOOK_PIXELS = 1 << 20
_GRID_PX = 16  # the largest blocks that JPEGs are made of, chroma's included

_LETTERS = ("A", "B", "Original")


@dataclass(frozen=True)
class Comparison:
    """Of two pictures, and of both with the original if that is there too.

    pictures: A (before), B (after) and perhaps the original, of one shape. In a notebook it shows
    itself: the middle of it, if it is large, since notebooks keep what they show.
    notes: sentences that whoever reads the figures has to know.
    """

    pictures: tuple[Picture, ...]
    notes: tuple[str, ...] = ()

    @cached_property
    def measures(self) -> dict[str, Measures]:
        """By "B against A" and, where there is an original, "A against Original" and so on."""
        pairs = [(1, 0)] if len(self.pictures) == 2 else [(1, 0), (0, 2), (1, 2)]
        return {
            f"{_LETTERS[image]} against {_LETTERS[reference]}": measure(
                self.pictures[image].pixels, self.pictures[reference].pixels
            )
            for image, reference in pairs
        }

    def html(self) -> str:
        """One page that needs nothing else: no file, no network."""
        return page_of(self.pictures, self.measures, self.notes)

    def save(self, path: str | os.PathLike[str], *, overwrite: bool = False) -> None:
        """Writes the page, whole or not at all. Raises RestoreError."""
        target = Path(path)
        check_writable(target, overwrite=overwrite)
        with written_whole(target, overwrite=overwrite) as file:
            file.write(self.html().encode())

    def report(self) -> dict[str, Any]:
        """What JSON can hold of it; a PSNR is null where there is no difference."""
        height, width = self.pictures[0].pixels.shape[:2]
        measures = {pair: asdict(measured) for pair, measured in self.measures.items()}
        for measured in measures.values():
            measured.update({key: None for key in measured if measured[key] == math.inf})
        return {
            "width": width,
            "height": height,
            "names": [picture.name for picture in self.pictures],
            "enlarged": self.pictures[0].enlarged,
            "measures": measures,
            "notes": list(self.notes),
        }

    def _repr_html_(self) -> str:
        return frame_of_page(self._middle(_NOTEBOOK_PIXELS).html())

    def _middle(self, max_pixels: int) -> "Comparison":
        """Itself, or as much from its middle, on the same grid of blocks."""
        height, width = self.pictures[0].pixels.shape[:2]
        share = math.sqrt(max_pixels / (height * width))
        if share >= 1:
            return self
        top, left = (int(side * (1 - share) / 2) // _GRID_PX * _GRID_PX for side in (height, width))
        rows, columns = slice(top, height - top), slice(left, width - left)
        pictures = [
            replace(p, pixels=p.pixels[rows, columns], size_bytes=None) for p in self.pictures
        ]
        shown_height, shown_width = pictures[0].pixels.shape[:2]
        remark = (
            f"This is the middle, {shown_width} x {shown_height} of {width} x {height} pixels, and "
            "the figures are of it; save the comparison for a page of everything."
        )
        return Comparison(tuple(pictures), (*self.notes, remark))


def compare(
    before: Source,
    after: Source,
    original: Source | None = None,
    *,
    names: Sequence[str] | None = None,
    max_pixels: int = MOST_PIXELS,
) -> Comparison:
    """Compares two versions of an image, and both with the original if it is given.

    before, after, original: JPEG, PNG, WebP, TIFF, AVIF, BMP or PNM files by name or as bytes,
        arrays, uint8 (H, W) or (H, W, 3) RGB, or images of Pillow's. Turned upright. `before` may
        be smaller by a whole factor: then it is enlarged, bicubic.
    names: what the page calls them; None: the files' own.
    max_pixels: more are refused.
    Raises RestoreError, and UsageError where the sizes do not go together.
    """
    sources = [before, after] if original is None else [before, after, original]
    if names is None:
        names = [
            Path(source).name if isinstance(source, str | os.PathLike) else letter
            for source, letter in zip(sources, _LETTERS, strict=False)
        ]
    pictures = []
    for source, name in zip(sources, names, strict=True):
        try:
            pictures.append(open_picture(source, name, max_pixels))
        except RestoreError as error:
            raise RestoreError(f"{name}: {error}") from error
    return comparison_of(pictures)


def comparison_of(pictures: Sequence[Picture]) -> Comparison:
    """Of pictures that may still differ in size. Raises UsageError as `made_alike` does."""
    before, *others = alike = made_alike(pictures)
    notes = []
    if before.enlarged > 1:
        notes.append(f"A was enlarged {before.enlarged} times, bicubic, from {before.size} pixels.")
    if any(other.icc != before.icc for other in others):
        notes.append(
            "The colour profiles differ: each picture is shown with its own, and the numbers "
            "compare samples as they are stored."
        )
    return Comparison(alike, tuple(notes))
