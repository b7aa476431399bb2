"""JPEG degradation of training patches, exactly as libjpeg makes it.

A patch is encoded with Pillow (libjpeg-turbo) and read back as coefficients by our own reader, so
what a network sees in training is what the runtime will hand it.
"""

import io
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from jpegrt.kernels import CoefficientReader, cells_from_blocks
from jpegrt.runtime.tables import ANNEX_K_CHROMA, ANNEX_K_LUMA
from jpegrt.training.samplings import SAMPLINGS

CELL_SCALE = 1 / 255


@dataclass(frozen=True)
class Degradation:
    """How patches are compressed.

    quality: lowest and highest quality factor.
    quality_skew: 1 draws qualities uniformly; more favours low ones (a uniform number from 0 to 1
        is raised to it).
    samplings: "grey" or SAMPLINGS keys, one drawn for each batch.
    other_tables: share of patches whose tables are not the standard ones scaled.
    """

    quality: tuple[int, int] = (5, 95)
    quality_skew: float = 1.0
    samplings: tuple[str, ...] = ("grey",)
    other_tables: float = 0.2

    def __post_init__(self) -> None:
        unknown = set(self.samplings) - {"grey", *SAMPLINGS}
        if unknown or not self.samplings:
            raise ValueError(f"unknown samplings {sorted(unknown)}")
        if not 1 <= self.quality[0] <= self.quality[1] <= 100:
            raise ValueError(f"quality must be a rising pair within 1 to 100, got {self.quality}")


def other_tables(quality: int, rng: np.random.Generator) -> list[list[int]]:
    """A luma and a chroma table that cameras or optimisers could have used at this quality.

    Annex K's, flattened by a random power and perturbed smoothly, then scaled as the quality says.
    """
    scale = 50 / quality if quality < 50 else 2 - quality / 50
    power = rng.uniform(0.2, 1.1)
    frequency = np.add.outer(np.arange(8), np.arange(8)) / 14
    tilt, noise = rng.normal(0, 0.4), rng.normal(0, 0.15, (8, 8))
    tables = []
    for table in (ANNEX_K_LUMA, ANNEX_K_CHROMA):
        flattened = table**power * np.exp(np.log(table).mean() * (1 - power))
        steps = flattened * np.exp(tilt * (frequency - 0.5) + noise) * scale
        tables.append(np.clip(np.round(steps), 1, 255).astype(int).ravel().tolist())
    return tables


def _encode(patch: Image.Image, quality: int, subsampling: str, tables: list[list[int]]) -> bytes:
    options: dict[str, object] = {"subsampling": subsampling}
    if tables:  # Pillow would scale them by a quality
        options["qtables"] = tables[:1] if patch.mode == "L" else tables
    else:
        options["quality"] = quality
    buffer = io.BytesIO()
    patch.save(buffer, "JPEG", **options)
    return buffer.getvalue()


@dataclass(frozen=True)
class DegradedPatch:
    """What the network is given of one patch; float32, see `networks.cellnet` for the layout.

    luma: (r^2, H / r, W / r); chroma: (2 r^2 / (h v), H / r, W / r), None for grey;
    steps: (64,) or (192,).
    """

    luma: NDArray[np.float32]
    chroma: NDArray[np.float32] | None
    steps: NDArray[np.float32]


Coefficients = tuple[NDArray[np.int16], NDArray[np.uint16]]


class JpegCoder:
    """Compresses patches into coefficients. Keeps a reader, so one to a process."""

    def __init__(self, degradation: Degradation) -> None:
        self._degradation = degradation
        self._reader = CoefficientReader()

    def draw_sampling(self, rng: np.random.Generator) -> str:
        return str(rng.choice(self._degradation.samplings))

    def draw_tables(self, rng: np.random.Generator) -> tuple[int, list[list[int]]]:
        """A quality, and the luma and the chroma table where they are not the standard ones."""
        lowest, highest = self._degradation.quality
        position = rng.random() ** self._degradation.quality_skew
        quality = min(highest, lowest + int(position * (highest + 1 - lowest)))
        custom = rng.random() < self._degradation.other_tables
        return quality, other_tables(quality, rng) if custom else []

    def compress(
        self, patch: NDArray[np.uint8], sampling: str, quality: int, tables: list[list[int]]
    ) -> list[Coefficients]:
        """Blocks (rows, columns, 8, 8) and table (8, 8) of each component of one JPEG.

        patch: (H, W) for "grey", else (H, W, 3) RGB; H and W whole MCUs.
        """
        # Pillow writes no 4:4:0; the transpose of a 4:2:2 file of the transposed patch is one.
        transposed = sampling == "440"
        if transposed:
            patch = patch.swapaxes(0, 1)
        jpeg = _encode(
            Image.fromarray(np.ascontiguousarray(patch)), quality, _PILLOW_NAMES[sampling], tables
        )
        components: list[Coefficients] = []
        for component in self._reader.read(jpeg).components:
            blocks, table = component.blocks, component.table
            assert blocks is not None and table is not None
            if transposed:
                blocks = np.ascontiguousarray(blocks.transpose(1, 0, 3, 2))
                table = np.ascontiguousarray(table.T)
            components.append((blocks, table))
        return components


class JpegDegrader:
    """Compresses patches into cells."""

    def __init__(self, degradation: Degradation, cell_px: int) -> None:
        self._coder = JpegCoder(degradation)
        self.cell_px = cell_px

    def draw_sampling(self, rng: np.random.Generator) -> str:
        return self._coder.draw_sampling(rng)

    def degrade(
        self, patch: NDArray[np.uint8], sampling: str, rng: np.random.Generator
    ) -> DegradedPatch:
        """patch: as `JpegCoder.compress` takes it."""
        return self.compress(patch, sampling, *self._coder.draw_tables(rng))

    def compress(
        self, patch: NDArray[np.uint8], sampling: str, quality: int, tables: list[list[int]]
    ) -> DegradedPatch:
        """One JPEG of the given quality, or of the given luma and chroma tables."""
        planes: list[NDArray[np.float32]] = []
        steps: list[NDArray[np.float32]] = []
        for blocks, table in self._coder.compress(patch, sampling, quality, tables):
            cell = (self.cell_px, self.cell_px)
            if planes:
                h, v = SAMPLINGS[sampling]
                cell = (self.cell_px // v, self.cell_px // h)
            planes.append(cells_from_blocks(blocks, table, cell, CELL_SCALE))
            steps.append(table.ravel().astype(np.float32))
        chroma = np.concatenate(planes[1:]) if len(planes) > 1 else None
        return DegradedPatch(planes[0], chroma, np.concatenate(steps))


_PILLOW_NAMES = {
    "grey": "4:4:4",
    "444": "4:4:4",
    "422": "4:2:2",
    "440": "4:2:2",
    "420": "4:2:0",
}


def cells_of(planes: NDArray[np.uint8 | np.float64], cell_px: int) -> NDArray[np.float32]:
    """Levels (C, H, W), 0 to 255, into a network's cells (C r^2, H / r, W / r), the target's form."""
    channels, height, width = planes.shape
    rows, columns = height // cell_px, width // cell_px
    cells = planes.reshape(channels, rows, cell_px, columns, cell_px).transpose(0, 2, 4, 1, 3)
    centred = (cells.astype(np.float32) - 128) * np.float32(CELL_SCALE)
    return centred.reshape(-1, rows, columns)


# JFIF (ITU-T T.871), section 7.
_YCBCR_FROM_RGB = np.array(
    [[0.299, 0.587, 0.114], [-0.168735892, -0.331264108, 0.5], [0.5, -0.418687589, -0.081312411]]
)


def ycbcr_from_rgb(rgb: NDArray[np.uint8]) -> NDArray[np.float64]:
    """(H, W, 3) RGB to unrounded (3, H, W) Y, Cb, Cr levels, chroma centred on 128."""
    ycbcr: NDArray[np.float64] = np.einsum("cd,hwd->chw", _YCBCR_FROM_RGB, rgb.astype(np.float64))
    ycbcr[1:] += 128
    return ycbcr
