"""Restored JPEGs against their originals, over a folder: PSNR, SSIM and PSNR-B.

The protocol of the restoration literature: a lossless original is compressed with libjpeg (by
Pillow) at a quality factor, restored, and both the JPEG and the restored image are compared with
the original, whole. For a model that enlarges, the original is reduced before that by antialiased
bicubic interpolation, the JPEG enlarged by bicubic interpolation to be compared, and as many pixels
as the scale left out along each edge. A set's value is the mean of its images' values (dB included).
"""

import io
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import PIL
from numpy.typing import NDArray
from PIL import Image, features

from jpegrt.runtime import metrics
from jpegrt.runtime.errors import RestoreError, UsageError
from jpegrt.runtime.resize import enlarge, reduce, rounded

# Formats that hold an original without loss (WebP and TIFF can; whether a file does is not asked).
LOSSLESS_SUFFIXES = frozenset({".bmp", ".pgm", ".png", ".pnm", ".ppm", ".tif", ".tiff", ".webp"})
SUBSAMPLINGS = ("444", "422", "420")

Restore = Callable[[bytes], NDArray[np.uint8]]


@dataclass(frozen=True)
class Protocol:
    """What is compressed, and how.

    qualities: libjpeg quality factors, 1 to 100, each once.
    colour: RGB images and RGB metrics; else grey ones, see `load_original`.
    subsampling: one of SUBSAMPLINGS, of chroma; grey JPEGs have none.
    scale: how often the model enlarges.
    """

    qualities: tuple[int, ...] = (10, 20, 30, 40)
    colour: bool = False
    subsampling: str = "420"
    scale: int = 1

    def __post_init__(self) -> None:
        if not self.qualities or len(set(self.qualities)) < len(self.qualities):
            raise ValueError(f"qualities must be given, each once, got {self.qualities}")
        if not all(1 <= quality <= 100 for quality in self.qualities):
            raise ValueError(f"qualities must be from 1 to 100, got {self.qualities}")
        if self.subsampling not in SUBSAMPLINGS:
            raise ValueError(f"subsampling must be one of {SUBSAMPLINGS}, got {self.subsampling}")

    def describe(self) -> str:
        """For reports."""
        if self.colour:
            kind = (
                f"RGB, JPEG {':'.join(self.subsampling)}; PSNR over all samples, SSIM and PSNR-B "
                "as the mean of the channels"
            )
        else:
            kind = (
                "Grey: single channels as they are, colour as BT.601 studio-range luma rounded to "
                "8 bits"
            )
        extent = (
            "whole images"
            if self.scale == 1
            else (
                f"JPEGs of images reduced {self.scale} times, enlarged by bicubic interpolation or by "
                f"the model; without {self.scale} pixels along each edge"
            )
        )
        return f"{kind}; {extent}; set values are means over images."


@dataclass(frozen=True)
class Scores:
    """One image against its original, or a set's mean."""

    psnr_db: float
    ssim: float
    psnr_b_db: float


@dataclass(frozen=True)
class ImageResult:
    """One original at one quality; `jpeg` are the scores of the JPEG as libjpeg decodes it."""

    image: str
    quality: int
    width: int
    height: int
    jpeg_bytes: int
    jpeg: Scores
    restored: Scores

    @property
    def gain_db(self) -> float:
        """PSNR gained over the JPEG; 0 where both are lossless."""
        if self.restored.psnr_db == self.jpeg.psnr_db:
            return 0.0
        return self.restored.psnr_db - self.jpeg.psnr_db


@dataclass(frozen=True)
class QualityResult:
    """All images at one quality."""

    quality: int
    images: tuple[ImageResult, ...]

    @property
    def jpeg(self) -> Scores:
        return _mean([image.jpeg for image in self.images])

    @property
    def restored(self) -> Scores:
        return _mean([image.restored for image in self.images])

    @property
    def gain_db(self) -> float:
        return float(np.mean([image.gain_db for image in self.images]))

    @property
    def worst(self) -> ImageResult:
        """The image that gained least; the first of equals."""
        return min(self.images, key=lambda image: image.gain_db)


@dataclass(frozen=True)
class Report:
    """What was measured, with what. strength: None is what is best for each image."""

    model: str
    precision: str
    engine: str
    strength: float | None
    folder: str
    protocol: Protocol
    results: tuple[QualityResult, ...]

    def to_json(self) -> dict[str, Any]:
        """For json.dump; infinite values, which JSON lacks, are None."""
        return {
            "model": self.model,
            "precision": self.precision,
            "engine": self.engine,
            "strength": self.strength,
            "images": self.folder,
            "protocol": self.protocol.describe(),
            "versions": encoder_versions(),
            "qualities": [
                {
                    "quality": result.quality,
                    "images": len(result.images),
                    "jpeg": _scores_to_json(result.jpeg),
                    "restored": _scores_to_json(result.restored),
                    "gain_db": _finite(result.gain_db),
                    "worst_gain_db": _finite(result.worst.gain_db),
                    "worst_image": result.worst.image,
                }
                for result in self.results
            ],
            "rows": [
                {
                    "image": row.image,
                    "quality": row.quality,
                    "width": row.width,
                    "height": row.height,
                    "jpeg_bytes": row.jpeg_bytes,
                    "jpeg": _scores_to_json(row.jpeg),
                    "restored": _scores_to_json(row.restored),
                    "gain_db": _finite(row.gain_db),
                }
                for result in self.results
                for row in result.images
            ],
        }


def encoder_versions() -> dict[str, str | None]:
    """Of what compresses, for reports: another may give other bytes."""
    return {
        "pillow": PIL.__version__,
        "libjpeg": features.version_codec("jpg"),
        "libjpeg_turbo": features.version_feature("libjpeg_turbo"),
    }


def find_originals(folder: Path, limit: int | None = None) -> list[Path]:
    """The folder's lossless images in name order, the first `limit` of them.

    Raises UsageError if there are none.
    """
    try:
        if not folder.is_dir():
            raise UsageError(f"{folder} is not a folder: name one that holds the originals")
        files = sorted(folder.iterdir())
    except OSError as error:
        raise UsageError(f"{folder} cannot be read: {error.strerror}") from error
    found = [path for path in files if path.suffix.lower() in LOSSLESS_SUFFIXES]
    if not found:
        raise UsageError(f"{folder} holds no lossless images (PNG, WebP, BMP, TIFF, PPM)")
    return found[:limit]


def load_original(path: Path, *, colour: bool) -> NDArray[np.uint8]:
    """An original as the protocol wants it: RGB (H, W, 3) if colour, else grey (H, W).

    Grey: images of one channel, or of three equal ones, as they are; others as BT.601 luma.
    Alpha is dropped. Raises RestoreError.
    """
    try:
        with Image.open(path) as image:
            deep = image.mode.startswith(("I", "F"))
            rgb = np.asarray(image.convert("RGB"))
    except (OSError, SyntaxError, Image.DecompressionBombError) as error:
        raise RestoreError(f"{path} cannot be read: {error}") from error
    if deep:
        raise RestoreError(f"{path} has more than 8 bits a sample, which JPEG cannot hold")
    if min(rgb.shape[:2]) < metrics.SSIM_WINDOW_PX:
        raise RestoreError(
            f"{path} is too small to measure: {metrics.SSIM_WINDOW_PX} pixels a side are needed"
        )
    if colour:
        return rgb
    if (rgb == rgb[..., :1]).all():
        return np.ascontiguousarray(rgb[..., 0])
    return metrics.luma_bt601(rgb)


def encode(image: NDArray[np.uint8], quality: int, subsampling: str) -> bytes:
    """A baseline JPEG by Pillow, of (H, W) grey, or of (H, W, 3) RGB with that subsampling."""
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "JPEG", quality=quality, subsampling=":".join(subsampling))
    return buffer.getvalue()


def evaluate(files: Sequence[Path], protocol: Protocol, restore: Restore) -> Iterator[ImageResult]:
    """Measures every file at every quality: all files of the first quality, then of the next.

    restore: JPEG bytes to pixels, uint8 (H, W) of a grey JPEG and (H, W, 3) RGB of another.
    Raises RestoreError when an image cannot be read or restored.
    """
    for quality in protocol.qualities:
        for path in files:
            yield _evaluate_image(path, quality, protocol, restore)


def _evaluate_image(path: Path, quality: int, protocol: Protocol, restore: Restore) -> ImageResult:
    scale = protocol.scale
    original = load_original(path, colour=protocol.colour)
    original = original[: original.shape[0] // scale * scale, : original.shape[1] // scale * scale]
    jpeg = encode(rounded(reduce(original, scale)), quality, protocol.subsampling)
    with Image.open(io.BytesIO(jpeg)) as image:
        decoded = rounded(enlarge(np.asarray(image), scale))
    try:
        restored = restore(jpeg)
    except RestoreError as error:
        raise RestoreError(f"{path} at quality {quality}: {error}") from error
    return ImageResult(
        image=path.name,
        quality=quality,
        width=original.shape[1],
        height=original.shape[0],
        jpeg_bytes=len(jpeg),
        jpeg=_score(decoded, original, scale),
        restored=_score(restored, original, scale),
    )


def _score(image: NDArray[np.uint8], original: NDArray[np.uint8], scale: int) -> Scores:
    if scale > 1:
        image, original = (a[scale:-scale, scale:-scale] for a in (image, original))
    return Scores(
        metrics.psnr(image, original),
        metrics.ssim(image, original),
        metrics.psnr_b(image, original),
    )


def _mean(scores: Sequence[Scores]) -> Scores:
    return Scores(
        float(np.mean([score.psnr_db for score in scores])),
        float(np.mean([score.ssim for score in scores])),
        float(np.mean([score.psnr_b_db for score in scores])),
    )


def _scores_to_json(scores: Scores) -> dict[str, float | None]:
    return {name: _finite(value) for name, value in asdict(scores).items()}


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
