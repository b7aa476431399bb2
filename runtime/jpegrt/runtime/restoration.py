"""One image restored in one call, for notebooks and short programs."""

import os
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any, Literal, overload

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from jpegrt.kernels import JpegImage, NativeError, Timings, read_coefficients
from jpegrt.runtime.auto_session import AUTO, open_session
from jpegrt.runtime.bundle import MANIFEST, find_bundle_folder
from jpegrt.runtime.comparison import MOST_PIXELS, Comparison, Picture
from jpegrt.runtime.comparison.comparison import comparison_of
from jpegrt.runtime.comparison.pictures import Source as PictureSource
from jpegrt.runtime.comparison.pictures import open_picture
from jpegrt.runtime.errors import RestoreError, UsageError
from jpegrt.runtime.image_formats import ImageFormat, format_of_name
from jpegrt.runtime.inks import cmyk_image, is_cmyk, rgb_from_cmyk
from jpegrt.runtime.metadata import Metadata, read_metadata
from jpegrt.runtime.orientation import upright
from jpegrt.runtime.output import check_writable, written_whole
from jpegrt.runtime.session import Account, Session, Source, content_of

_KEPT_SESSIONS = 2
_PER_INCH = {1: 1.0, 2: 2.54}  # by the unit of a density

Pixels = NDArray[np.uint8] | NDArray[np.uint16]


@dataclass(frozen=True, eq=False)
class Restoration:
    """A restored image, with what it was made from. A notebook shows it before and after.

    name: of the file, or "image".
    source: the file's bytes, or the array that was given.
    pixels: as the file stores them, uint8 or uint16, (H, W) if grey, else (H, W, 3) RGB, or
        (H, W, 4) CMYK, in which 0 is no ink.
    account: the model that ran, how much of it was taken, and why.
    timings: milliseconds of each stage.
    session: what restored it, and deblocks it on request.
    """

    name: str
    source: bytes | NDArray[np.uint8] = field(repr=False)
    pixels: Pixels = field(repr=False)
    metadata: Metadata = field(repr=False)
    account: Account
    timings: Timings = field(repr=False)
    session: Session = field(repr=False)
    allow_damaged: bool = False

    @cached_property
    def array(self) -> Pixels:
        """The pixels turned upright."""
        return upright(self.pixels, self.metadata.orientation)

    @cached_property
    def image(self) -> Image.Image:
        """Of the pixels turned upright; its `info` has ICC profile, EXIF and XMP, which say so, and
        the density. Raises UsageError for 16-bit colour, which Pillow lacks."""
        if self.array.dtype == np.uint16 and self.array.ndim == 3:
            raise UsageError("Pillow has no colour of 16 bits: take the array, or save the result")
        array = self.array
        image = cmyk_image(array) if is_cmyk(array.shape) else Image.fromarray(array)
        metadata = self.metadata.turned_upright()
        blocks = {"icc_profile": metadata.icc, "exif": metadata.exif, "xmp": metadata.xmp}
        image.info.update({name: block for name, block in blocks.items() if block})
        if (density := metadata.density) and density.unit in _PER_INCH:
            factor = _PER_INCH[density.unit]
            image.info["dpi"] = (density.x * factor, density.y * factor)
        return image

    @cached_property
    def coefficients(self) -> JpegImage:
        """The JPEG's quantised coefficients, tables and geometry. Raises RestoreError."""
        if not isinstance(self.source, bytes):
            raise RestoreError("only JPEGs have coefficients")
        try:
            return read_coefficients(
                self.source, allow_damaged=self.allow_damaged, max_pixels=self.pixels.size
            )
        except NativeError as error:
            raise RestoreError(f"{self.name}: {error}") from error

    @cached_property
    def deblocked(self) -> Pixels:
        """The image without artefacts, at its own size, upright, in the depth of the pixels: what a
        model that deblocks and then enlarges has in between, at all its strength, which runs once
        more; of others, `array`. Raises RestoreError, and UsageError if the model has none: "none",
        and those that enlarge first."""
        if self.session.enlargement == 1 and self.session.model_name != "none":
            return self.array
        try:
            pixels = self.session.deblocked(self.source, 8 * self.pixels.itemsize)
        except UsageError:
            raise
        except RestoreError as error:
            raise RestoreError(f"{self.name}: {error}") from error
        return upright(pixels, self.metadata.orientation)

    @cached_property
    def before(self) -> NDArray[np.uint8]:
        """The image as it came, decoded plainly, upright: uint8 (H, W) or (H, W, 3) RGB, of CMYK
        too."""
        return self._came.pixels

    @cached_property
    def _came(self) -> Picture:
        return open_picture(
            self.source, self.name, self.pixels.size, allow_damaged=self.allow_damaged
        )

    def compare(self, original: PictureSource | None = None) -> Comparison:
        """Before and after, and both with the original if it is given.

        Raises RestoreError, and UsageError if the original has another size.
        """
        after = self.array
        if after.dtype == np.uint16:
            after = ((after.astype(np.uint32) + 128) // 257).astype(np.uint8)
        if is_cmyk(after.shape):
            after = rgb_from_cmyk(after, self.metadata.icc)
        pictures = [self._came, Picture(self.account.model, after.astype(np.uint8), self._came.icc)]
        if original is not None:
            name = Path(original).name if isinstance(original, str | os.PathLike) else "original"
            pictures.append(open_picture(original, name, MOST_PIXELS))
        return comparison_of(pictures)

    def save(
        self, path: str | os.PathLike[str], *, quality: int | None = None, overwrite: bool = False
    ) -> None:
        """Writes a file as `jpegrt restore` does, with all metadata: PNG, TIFF, WebP, JPEG or AVIF
        by its name, of 16 bits a sample if the pixels have so many. Whole or not at all.

        Raises RestoreError, and UsageError for a name that tells no format or a file that exists.
        """
        target = Path(path)
        if (name := format_of_name(target)) is None:
            raise UsageError(
                f"{target}: its name tells no format: end it in .png, .tiff, .webp, .jpg or .avif"
            )
        image_format = ImageFormat(name, 8 * self.pixels.itemsize, quality)
        check_writable(target, overwrite=overwrite)
        file = image_format.encode(self.pixels, self.metadata)
        with written_whole(target, overwrite=overwrite) as output:
            output.write(file)

    def _repr_html_(self) -> str:
        return self.compare()._repr_html_()


@overload
def restore(
    source: Source,
    *,
    output: Literal["image"] = "image",
    model: str = AUTO,
    depth: int = 8,
    **options: Any,
) -> Image.Image: ...
@overload
def restore(
    source: Source, *, output: Literal["array"], model: str = ..., depth: int = ..., **options: Any
) -> Pixels: ...
@overload
def restore(
    source: Source, *, output: Literal["result"], model: str = ..., depth: int = ..., **options: Any
) -> Restoration: ...
def restore(
    source: Source,
    *,
    output: str = "image",
    model: str = AUTO,
    depth: int = 8,
    **options: Any,
) -> Image.Image | Pixels | Restoration:
    """Restores a JPEG, or what else the model takes, upright as EXIF's orientation says.

    source: a file's name or its bytes; for a model that takes pixels also an array.
    output: "image" gives an image of Pillow's, with the file's ICC profile, EXIF, XMP and density in
        its `info`; "array" NumPy's, (H, W) if grey, else (H, W, 3) RGB, or (H, W, 4) CMYK, in
        which 0 is no ink; "result" a `Restoration`, which a notebook shows before and after, and
        which has the coefficients and the deblocked image, and saves files.
    depth: bits a sample, 8 or 16.
    model: a shipped model's name, a bundle's folder, "none" for a plain decoder, or "auto", which
        chooses what is best for the image.
    options: as for `Session`. The sessions last used are kept, so that a second call is quick.
    Threads may call it. Raises RestoreError, and UsageError of what no image could have.
    """
    if output not in ("image", "array", "result"):
        raise UsageError(f"output must be image, array or result, not {output}")
    name = Path(source).name if isinstance(source, str | os.PathLike) else "image"
    session = _session(model, _stamp(model), tuple(sorted(options.items())))
    try:
        content = content_of(source)
        with session.strips(content, depth) as strips:
            pixels = strips.joined()
            timings, account = session.timings, session.account
    except UsageError:
        raise
    except RestoreError as error:
        named = os.fspath(source) if isinstance(source, str | os.PathLike) else name
        raise RestoreError(f"{named}: {error}") from error
    restoration = Restoration(
        name,
        content,
        pixels,
        read_metadata(content) if isinstance(content, bytes) else Metadata(),
        account,
        timings,
        session,
        bool(options.get("allow_damaged")),
    )
    if output == "result":
        return restoration
    return restoration.image if output == "image" else restoration.array


@lru_cache(_KEPT_SESSIONS)
def _session(model: str, _stamp: object, options: tuple[tuple[str, Any], ...]) -> Session:
    return open_session(model, **dict(options))


def _stamp(model: str) -> object:
    """What changes when another bundle gets this name, or a bundle is exported anew."""
    if model in ("none", AUTO) or not (folder := find_bundle_folder(model)):
        return None
    return folder.resolve(), (folder / MANIFEST).stat().st_mtime_ns
