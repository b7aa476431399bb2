"""Training images: found, split, held in memory, cut into patches."""

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from tqdm import tqdm

from jpegrt.runtime.errors import UsageError, one_line
from jpegrt.runtime.evaluation import LOSSLESS_SUFFIXES
from jpegrt.training.packs import packed_files, read_packed

# Photographs of more pixels than this are offered at a half and a third of their size too: they are
# softer, pixel for pixel, than what the standard sets and the web hold.
REDUCED_ABOVE_PX = 700_000
REDUCTIONS = (2, 3)


@dataclass(frozen=True)
class ImageFiles:
    """The files of the chosen sets, a fixed few held out for validation."""

    training: tuple[Path, ...]
    validation: tuple[Path, ...]


def find_images(data: Path, sets: Sequence[str], validation_every: int) -> ImageFiles:
    """The sets' images, in name order; every validation_every-th is held out.

    data: a folder of image folders, or of packs (`packs`).

    Raises FileNotFoundError if a set has none, or all are too few to hold one out, and UsageError
    if packs are broken.
    """
    files = [file for name in sets for file in lossless_files(data, name)]
    held_out = set(files[validation_every // 2 :: validation_every])
    if not held_out:
        raise FileNotFoundError(
            f"{data}: {len(files)} images are too few to hold one in {validation_every} out: "
            "lower the recipe's validation_every, or add images"
        )
    return ImageFiles(
        tuple(f for f in files if f not in held_out), tuple(f for f in files if f in held_out)
    )


def lossless_files(data: Path, set_name: str) -> list[Path]:
    """Lossless images in data/<set>/, or in the packs that data holds, in name order.

    Raises FileNotFoundError if there are none, UsageError if packs are broken.
    """
    found = sorted(p for p in (data / set_name).glob("*") if p.suffix.lower() in LOSSLESS_SUFFIXES)
    if not found and not (found := packed_files(data, set_name)):
        raise FileNotFoundError(f"no lossless images in {data / set_name}, nor in packs in {data}")
    return found


def load_rgb(path: Path) -> NDArray[np.uint8]:
    """(H, W, 3). Raises UsageError if the file is no image, or a broken one."""
    try:
        packed = read_packed(path)
        with Image.open(path if packed is None else io.BytesIO(packed)) as image:
            return np.asarray(image.convert("RGB"))
    except Exception as error:  # Pillow's readers share no base class of errors
        raise UsageError(f"{path} cannot be read: {one_line(error)}") from error


def centre_crop(rgb: NDArray[np.uint8], largest_px: int, multiple_px: int) -> NDArray[np.uint8]:
    """The middle of an (H, W, 3) image: sides of whole `multiple_px`, at most `largest_px`."""
    height, width = (min(largest_px, side) // multiple_px * multiple_px for side in rgb.shape[:2])
    y, x = (rgb.shape[0] - height) // 2, (rgb.shape[1] - width) // 2
    return np.ascontiguousarray(rgb[y : y + height, x : x + width])


class PatchSource:
    """Random square patches of images held in memory, as uint8 (size, size, 3) RGB.

    An image is drawn with a chance that grows with the root of its area, and the busier of two
    places in it is taken: flat ones teach little. Patches are flipped and rotated; half of them
    have their range squeezed to 16 to 235, which is what grey test sets made from studio-range
    video luma look like.
    """

    def __init__(self, files: Sequence[Path], patch_px: int) -> None:
        self._patch_px = patch_px
        self._images: list[list[NDArray[np.uint8]]] = []
        for path in tqdm(files, desc="reading images", unit="image"):
            rgb = load_rgb(path)
            if min(rgb.shape[:2]) < patch_px:
                continue
            sizes = [rgb]
            if rgb.shape[0] * rgb.shape[1] > REDUCED_ABOVE_PX:
                smaller = (Image.fromarray(rgb).reduce(factor) for factor in REDUCTIONS)
                sizes += [np.asarray(image) for image in smaller if min(image.size) >= patch_px]
            self._images.append(sizes)
        if not self._images:
            raise ValueError(f"no image is as large as a patch ({patch_px} pixels)")
        roots = np.sqrt([sizes[0].shape[0] * sizes[0].shape[1] for sizes in self._images])
        self._chances = roots / roots.sum()

    def draw(self, rng: np.random.Generator) -> NDArray[np.uint8]:
        sizes = self._images[rng.choice(len(self._images), p=self._chances)]
        image = sizes[rng.integers(len(sizes))]
        places = (self._place(image, rng), self._place(image, rng))
        patch = np.rot90(max(places, key=_activity), int(rng.integers(4)))
        if rng.random() < 0.5:
            patch = patch[:, ::-1]
        if rng.random() < 0.5:
            patch = np.round(patch * (219 / 255) + 16).astype(np.uint8)
        return np.ascontiguousarray(patch)

    def _place(self, image: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
        y = rng.integers(image.shape[0] - self._patch_px + 1)
        x = rng.integers(image.shape[1] - self._patch_px + 1)
        return image[y : y + self._patch_px, x : x + self._patch_px]


def _activity(patch: NDArray[np.uint8]) -> float:
    """Mean absolute step between neighbours in the green channel."""
    green = patch[..., 1].astype(np.int16)
    return float(np.abs(np.diff(green, axis=0)).mean() + np.abs(np.diff(green, axis=1)).mean())
