"""How a paper makes its figures: what of an image is reduced and compressed, and what is scored."""

import io
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from jpegrt.runtime import metrics
from jpegrt.runtime.errors import RestoreError
from jpegrt.runtime.evaluation import Scores, encode
from jpegrt.runtime.resize import enlarge, reduce, rounded

SUBSAMPLING = "420"  # of JPEGs in colour: no paper says, and it is Pillow's

Pixels = NDArray[np.uint8]  # (H, W) or (H, W, 3) RGB
Channels = Literal["luma", "rgb", "green"]
Restore = Callable[[bytes | Pixels], Pixels]

_SSIM_WINDOWS = {"gaussian": metrics.GAUSSIAN_WINDOW, "uniform": metrics.UNIFORM_WINDOW}
_CHANNELS = {
    "luma": "luma (BT.601, 16 to 235, rounded)",
    "rgb": "RGB",
    "green": "the green channel",
}


@dataclass(frozen=True)
class Compression:
    """A codec of CODECS and its quality factor; no codec: no compression."""

    codec: str | None
    quality: int | None = None

    def __str__(self) -> str:
        return f"{self.codec} {self.quality}" if self.codec else "none"

    def encode(self, image: Pixels) -> bytes | Pixels:
        """The file by Pillow, or the image itself if it is not compressed."""
        if self.codec is None or self.quality is None:
            return image
        if self.codec == "JPEG":
            return encode(image, self.quality, SUBSAMPLING)
        buffer = io.BytesIO()
        Image.fromarray(image).save(buffer, self.codec, quality=self.quality)
        return buffer.getvalue()


@dataclass(frozen=True)
class Protocol:
    """The way of an image from the original to two scores.

    compressed: what is reduced (antialiased bicubic, to 8 bits) and compressed.
    given: what of that the network and the interpolation get; None: all of it, as the file.
    scored: what is compared with the same of the original.
    ssim: the window, "gaussian" (11 x 11) or "uniform" (8 x 8).
    Grey images stay as they are throughout. As many pixels as the scale are left out along each
    edge of an enlarged image.
    """

    compressed: Channels
    scored: Channels
    ssim: Literal["gaussian", "uniform"]
    given: Channels | None = None

    def __post_init__(self) -> None:
        for channels in (self.compressed, self.scored, self.given or self.scored):
            if channels not in _CHANNELS:
                raise ValueError(f"channels must be one of {', '.join(_CHANNELS)}, not {channels}")
        if self.ssim not in _SSIM_WINDOWS:
            raise ValueError(f"ssim must be one of {', '.join(_SSIM_WINDOWS)}, not {self.ssim}")

    def describe(self, scales: Collection[int], codecs: Collection[str]) -> str:
        """For reports, of rows of these scales and codecs."""
        done = [
            *(["reduced by antialiased bicubic interpolation"] if max(scales) > 1 else []),
            *(["compressed"] if codecs else []),
        ]
        way = f"{_CHANNELS[self.compressed]} {' and '.join(done)}"
        if "JPEG" in codecs and self.compressed == "rgb":
            way += f" (JPEGs {':'.join(SUBSAMPLING)})"
        if self.given:
            way += f", {_CHANNELS[self.given]} restored or interpolated"
        if self.scored != self.compressed:
            way += f", {_CHANNELS[self.scored]} scored"
        if max(scales) > 1:
            way += ", without as many pixels along each edge as the scale"
        return way

    def describe_ssim(self) -> str:
        """For reports."""
        window = "Gaussian 11 x 11" if self.ssim == "gaussian" else "uniform 8 x 8"
        return f"SSIM in {window} windows"

    def baseline(self, original: Pixels, scale: int, compression: Compression) -> Scores:
        """Of what the decoder gives, enlarged by bicubic interpolation. Raises RestoreError."""

        def interpolate(source: bytes | Pixels) -> Pixels:
            return rounded(enlarge(decode(source), scale))

        return self.score(original, scale, compression, interpolate)

    def score(
        self, original: Pixels, scale: int, compression: Compression, restore: Restore
    ) -> Scores:
        """Of what `restore` makes of the file, or of pixels where `given` or no codec says so.

        Raises RestoreError when it does, or if too little of the image is left to be scored.
        """
        original = _cropped(original, scale)
        source = compression.encode(_reduced(_channels(original, self.compressed), scale))
        if self.given:
            source = _channels(decode(source), self.given)
        restored = _channels(restore(source), self.scored)
        return self._compare(restored, _channels(original, self.scored), scale)

    def _compare(self, image: Pixels, original: Pixels, scale: int) -> Scores:
        if scale > 1:
            image, original = (a[scale:-scale, scale:-scale] for a in (image, original))
        if min(original.shape[:2]) < metrics.SSIM_WINDOW_PX:
            raise RestoreError(
                f"too small to measure: {metrics.SSIM_WINDOW_PX} pixels a side have to be left"
            )
        return Scores(
            metrics.psnr(image, original),
            metrics.ssim(image, original, window=_SSIM_WINDOWS[self.ssim]),
            metrics.psnr_b(image, original),
        )


def decode(source: bytes | Pixels) -> Pixels:
    """A file as Pillow decodes it, or pixels as they are."""
    if not isinstance(source, bytes):
        return source
    with Image.open(io.BytesIO(source)) as image:
        return np.asarray(image)


def _channels(image: Pixels, channels: Channels) -> Pixels:
    """A grey image has no choice of them."""
    if image.ndim == 2 or channels == "rgb":
        return image
    if channels == "green":
        return np.ascontiguousarray(image[..., 1])
    return metrics.luma_bt601(image)


def _cropped(image: Pixels, scale: int) -> Pixels:
    return image[: image.shape[0] // scale * scale, : image.shape[1] // scale * scale]


def _reduced(image: Pixels, scale: int) -> Pixels:
    return image if scale == 1 else rounded(reduce(image, scale))
