"""The formats that images are written in, and what each keeps of a file's metadata."""

import io
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, features

from jpegrt.runtime.errors import RestoreError, UsageError, one_line
from jpegrt.runtime.jpeg_segments import with_segments
from jpegrt.runtime.metadata import Metadata
from jpegrt.runtime.orientation import upright
from jpegrt.runtime.png16 import chunk, png_from_uint16
from jpegrt.runtime.tiff import tiff_from_pixels

Pixels = NDArray[np.uint8] | NDArray[np.uint16]

_BY_SUFFIX = {
    ".png": "png",
    ".tif": "tiff",
    ".tiff": "tiff",
    ".webp": "webp",
    ".jpg": "jpeg",
    ".jpeg": "jpeg",
    ".avif": "avif",
}
_SUFFIXES = {"png": ".png", "tiff": ".tiff", "webp": ".webp", "jpeg": ".jpg", "avif": ".avif"}
FORMAT_NAMES = tuple(_SUFFIXES)
# Of formats that lose something: where a restored image and its file look the same.
DEFAULT_QUALITIES = {"jpeg": 95, "webp": 90, "avif": 85}
_DEEP = ("png", "tiff")


@dataclass(frozen=True)
class ImageFormat:
    """How to write an image.

    name: one of FORMAT_NAMES.
    depth: bits a sample, 8, or 16 for PNG and TIFF.
    quality: 1 to 100, of formats that lose something; None is the format's default.
    Raises UsageError for what does not go together, or a format that this Pillow cannot write.
    """

    name: str = "png"
    depth: int = 8
    quality: int | None = None

    def __post_init__(self) -> None:
        if self.depth == 16 and self.name not in _DEEP:
            raise UsageError(f"{self.name.upper()} has 8 bits a sample: write PNG or TIFF with 16")
        if self.quality is not None and self.name not in DEFAULT_QUALITIES:
            raise UsageError(
                f"{self.name.upper()} loses nothing and has no quality: leave out --quality"
            )
        if self.name in ("webp", "avif") and not features.check(self.name):
            raise UsageError(
                f"the Pillow that is installed writes no {self.name.upper()}: run "
                "pip install --upgrade pillow, or choose another format"
            )

    @property
    def suffix(self) -> str:
        return _SUFFIXES[self.name]

    def encode(self, pixels: Pixels, metadata: Metadata) -> bytes:
        """The file of (H, W) or (H, W, 3) RGB pixels of this depth. Raises RestoreError.

        pixels: as the file that the metadata is of stores them. For PNGs they are turned upright
            here; in other formats EXIF's orientation goes along.
        """
        try:
            return _ENCODERS[self.name](
                pixels, metadata, self.quality or DEFAULT_QUALITIES.get(self.name, 0)
            )
        except (OSError, ValueError, OverflowError, struct.error) as error:
            height, width = pixels.shape[:2]
            raise RestoreError(
                f"{width} x {height} pixels cannot be written as {self.name.upper()}: "
                f"{one_line(error)}"
            ) from error


def format_of_name(path: Path) -> str | None:
    """One of FORMAT_NAMES, or None."""
    return _BY_SUFFIX.get(path.suffix.lower())


def _png(pixels: Pixels, metadata: Metadata, _quality: int) -> bytes:
    """With the pixels turned: many viewers do not look for an orientation in PNGs."""
    pixels = upright(pixels, metadata.orientation)
    metadata = metadata.turned_upright()
    if pixels.dtype == np.uint16:
        png = png_from_uint16(pixels.astype(np.uint16, copy=False))
    else:
        png = _by_pillow(pixels, "PNG")
    chunks = []
    if metadata.icc:
        chunks.append(chunk(b"iCCP", b"ICC Profile\0\0" + zlib.compress(metadata.icc)))
    if density := metadata.density:
        per_metre = (0, 1 / 0.0254, 100)[density.unit]
        x, y = (round(per_metre * n) if per_metre else n for n in (density.x, density.y))
        chunks.append(chunk(b"pHYs", struct.pack(">IIB", x, y, density.unit > 0)))
    if metadata.exif:
        chunks.append(chunk(b"eXIf", metadata.exif))
    if metadata.xmp:
        chunks.append(chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + metadata.xmp))
    after_header = 33
    return b"".join((png[:after_header], *chunks, png[after_header:]))


def _tiff(pixels: Pixels, metadata: Metadata, _quality: int) -> bytes:
    return tiff_from_pixels(pixels, metadata)


def _jpeg(pixels: Pixels, metadata: Metadata, quality: int) -> bytes:
    # Whole chroma: it was restored, not only upsampled.
    return with_segments(_by_pillow(pixels, "JPEG", quality=quality, subsampling=0), metadata)


def _webp(pixels: Pixels, metadata: Metadata, quality: int) -> bytes:
    return _by_pillow(pixels, "WEBP", quality=quality, **_blocks(metadata))


def _avif(pixels: Pixels, metadata: Metadata, quality: int) -> bytes:
    """Pillow makes the orientation AVIF's own (irot and imir), and writes EXIF without it."""
    subsampling = "4:4:4" if pixels.ndim == 3 else "4:0:0"
    return _by_pillow(
        pixels, "AVIF", quality=quality, subsampling=subsampling, max_threads=1, **_blocks(metadata)
    )


def _blocks(metadata: Metadata) -> dict[str, object]:
    """Of formats without grey images: a profile for grey would not fit."""
    icc = b"" if metadata.icc[16:20] == b"GRAY" else metadata.icc
    return {"exif": metadata.exif, "icc_profile": icc, "xmp": metadata.xmp}


def _by_pillow(pixels: Pixels, name: str, **options: object) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, name, **options)
    return file.getvalue()


_ENCODERS: dict[str, Callable[[Pixels, Metadata, int], bytes]] = {
    "png": _png,
    "tiff": _tiff,
    "webp": _webp,
    "jpeg": _jpeg,
    "avif": _avif,
}
