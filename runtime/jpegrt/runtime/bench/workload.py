"""What is benchmarked: images, compressed at each quality and sampling."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from jpegrt.runtime import metrics
from jpegrt.runtime.errors import UsageError
from jpegrt.runtime.evaluation import encode, find_originals, load_original
from jpegrt.runtime.verification import shipped_original

GREY = "grey"
SUBSAMPLINGS = (GREY, "420", "422", "444")
_DEFAULT_PX = (512, 768)  # height and width

Pixels = NDArray[np.uint8]


@dataclass(frozen=True)
class Picture:
    """An original. rgb: uint8 (H, W, 3)."""

    name: str
    rgb: Pixels

    def as_sampled(self, subsampling: str) -> Pixels:
        """What is compressed: RGB, or the luma of it."""
        if subsampling != GREY:
            return self.rgb
        equal = bool((self.rgb == self.rgb[..., :1]).all())
        return np.ascontiguousarray(self.rgb[..., 0]) if equal else metrics.luma_bt601(self.rgb)

    def enlarged_to(self, height: int, width: int) -> "Picture":
        """Its mirror images side by side, cropped: larger, and with the same detail."""
        rows, columns = (
            np.resize(np.concatenate((range(side), range(side)[::-1])), wanted)
            for side, wanted in zip(self.rgb.shape, (height, width), strict=False)
        )
        return Picture(self.name, np.ascontiguousarray(self.rgb[np.ix_(rows, columns)]))


@dataclass(frozen=True)
class Case:
    """One JPEG. original: what it was made of, (H, W) or (H, W, 3)."""

    picture: str
    quality: int
    subsampling: str
    original: Pixels
    jpeg: bytes

    @property
    def name(self) -> str:
        return f"{self.picture}, quality {self.quality}, {self.subsampling}"

    @property
    def megapixels(self) -> float:
        height, width = self.original.shape[:2]
        return float(height * width / 1e6)


def load_pictures(paths: Sequence[Path]) -> list[Picture]:
    """The files, and those of folders; without any, the photograph that comes with the package,
    mirrored to 768 x 512. Raises RestoreError for what cannot be read."""
    if not paths:
        photograph = Picture("the shipped photograph", shipped_original())
        return [photograph.enlarged_to(*_DEFAULT_PX)]
    files = [file for path in paths for file in (find_originals(path) if path.is_dir() else [path])]
    names = [file.name for file in files]
    if repeated := {name for name in names if names.count(name) > 1}:
        raise UsageError(f"two images are called {', '.join(sorted(repeated))}: rename one")
    return [Picture(file.name, load_original(file, colour=True)) for file in files]


def cases(
    pictures: Sequence[Picture], qualities: Sequence[int], subsamplings: Sequence[str]
) -> Iterator[Case]:
    """Every picture in every sampling at every quality."""
    for subsampling in subsamplings:
        for quality in qualities:
            for picture in pictures:
                yield make_case(picture, quality, subsampling)


def make_case(picture: Picture, quality: int, subsampling: str) -> Case:
    original = picture.as_sampled(subsampling)
    jpeg = encode(original, quality, "444" if subsampling == GREY else subsampling)
    return Case(picture.name, quality, subsampling, original, jpeg)


def make_size(picture: Picture, megapixels: float, quality: int, subsampling: str) -> Case:
    """The picture enlarged to about so many pixels, 3 by 2, sides in multiples of 16."""
    height = max(16, round((1e6 * megapixels / 1.5) ** 0.5 / 16) * 16)
    width = max(16, round(1.5 * height / 16) * 16)
    return make_case(picture.enlarged_to(height, width), quality, subsampling)
