"""The formats that images are written in, and what each keeps of a file's metadata."""

import io
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO

from PIL import Image, features

from jpegrt.runtime.errors import RestoreError, UsageError, one_line
from jpegrt.runtime.inks import cmyk_image, is_cmyk, strips_as_rgb
from jpegrt.runtime.jpeg_segments import with_segments
from jpegrt.runtime.metadata import Metadata
from jpegrt.runtime.png_strips import chunk, write_png_strips
from jpegrt.runtime.strips import Pixels, Strips
from jpegrt.runtime.tiff import write_tiff

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
_WITH_CMYK = ("tiff", "jpeg")


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
        """The file of (H, W), (H, W, 3) RGB or (H, W, 4) CMYK pixels of this depth, as `write`
        writes it."""
        file = io.BytesIO()
        self.write(Strips.of(pixels), metadata, file)
        return file.getvalue()

    def write(self, image: Strips, metadata: Metadata, file: IO[bytes]) -> None:
        """Writes an image of this depth into an empty file. Raises RestoreError, OSError.

        PNG and TIFF hold one strip at a time, but for PNGs that are to be turned by a quarter; the
        other formats hold all of the pixels.

        image: as the file that the metadata is of stores it. For PNGs it is turned upright here; in
            other formats EXIF's orientation goes along. CMYK becomes sRGB in formats that lack
            it, by the profile, which then does not go along.
        """
        if is_cmyk(image.shape) and self.name not in _WITH_CMYK:
            image = strips_as_rgb(image, metadata.icc)
            metadata = replace(metadata, icc=b"")
        try:
            quality = self.quality or DEFAULT_QUALITIES.get(self.name, 0)
            _WRITERS[self.name](image, metadata, quality, file)
        except (_PillowError, ValueError, OverflowError, struct.error) as error:
            height, width = image.shape[:2]
            raise RestoreError(
                f"{width} x {height} pixels cannot be written as {self.name.upper()}: "
                f"{one_line(error)}"
            ) from error


def format_of_name(path: Path) -> str | None:
    """One of FORMAT_NAMES, or None."""
    return _BY_SUFFIX.get(path.suffix.lower())


class _PillowError(Exception):
    """An image that Pillow's encoder does not take."""


def _write_png(image: Strips, metadata: Metadata, _quality: int, file: IO[bytes]) -> None:
    """With the pixels turned: many viewers do not look for an orientation in PNGs."""
    image = image.upright(metadata.orientation)
    chunks = _png_chunks(metadata.turned_upright())
    if image.depth == 16 or image.count > 1:
        write_png_strips(image, chunks, file)
        return
    png = _by_pillow(image, "PNG")  # which looks for the best filter
    after_header = 33
    file.write(b"".join((png[:after_header], *chunks, png[after_header:])))


def _png_chunks(metadata: Metadata) -> list[bytes]:
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
    return chunks


def _write_tiff(image: Strips, metadata: Metadata, _quality: int, file: IO[bytes]) -> None:
    write_tiff(image, metadata, file)


def _write_jpeg(image: Strips, metadata: Metadata, quality: int, file: IO[bytes]) -> None:
    # Whole chroma: it was restored, not only upsampled.
    jpeg = _by_pillow(image, "JPEG", quality=quality, subsampling=0)
    file.write(with_segments(jpeg, metadata))


def _write_webp(image: Strips, metadata: Metadata, quality: int, file: IO[bytes]) -> None:
    file.write(_by_pillow(image, "WEBP", quality=quality, **_blocks(metadata)))


def _write_avif(image: Strips, metadata: Metadata, quality: int, file: IO[bytes]) -> None:
    """Pillow makes the orientation AVIF's own (irot and imir), and writes EXIF without it."""
    subsampling = "4:4:4" if len(image.shape) == 3 else "4:0:0"
    avif = _by_pillow(
        image, "AVIF", quality=quality, subsampling=subsampling, max_threads=1, **_blocks(metadata)
    )
    file.write(avif)


def _blocks(metadata: Metadata) -> dict[str, object]:
    """Of formats without grey images: a profile for grey would not fit."""
    icc = b"" if metadata.icc[16:20] == b"GRAY" else metadata.icc
    return {"exif": metadata.exif, "icc_profile": icc, "xmp": metadata.xmp}


def _by_pillow(image: Strips, name: str, **options: object) -> bytes:
    file = io.BytesIO()
    pixels = image.joined()
    picture = cmyk_image(pixels) if is_cmyk(image.shape) else Image.fromarray(pixels)
    try:
        picture.save(file, name, **options)
    except OSError as error:
        raise _PillowError(str(error)) from error
    return file.getvalue()


_WRITERS: dict[str, Callable[[Strips, Metadata, int, IO[bytes]], None]] = {
    "png": _write_png,
    "tiff": _write_tiff,
    "webp": _write_webp,
    "jpeg": _write_jpeg,
    "avif": _write_avif,
}
