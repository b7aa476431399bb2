"""What an engine and a precision cost, against the model's own fp32 on a reference engine.

Originals are compressed, and restored by both: the networks' outputs are compared as they are, and
the restored pixels with the original. No training framework is needed, so that any machine can ask
it of its own engine.
"""

import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from jpegrt.kernels import Engine, GraphSpec, ModelSpec, Pipeline, Tensors
from jpegrt.runtime.errors import RestoreError
from jpegrt.runtime.evaluation import encode
from jpegrt.runtime.metrics import psnr

QUALITIES = (10, 40, 90)
CROP_PX = 256
# Of the mean over a few images; single smooth ones lose more.
TOLERANCE_DB: Mapping[str, float] = {
    "fp32": 0.001,
    "fp16": 0.01,
    "int8": 0.1,
    "int8-symmetric": 0.1,
}
BIAS_LEVELS = 0.1

_SAMPLINGS = {(1, 1): "444", (2, 1): "422", (2, 2): "420", (1, 2): "440"}


@dataclass(frozen=True)
class Comparison:
    """Of one graph at one quality, over all images.

    psnr_change_db: of the restored images, less that of the reference's; the mean over the images.
    largest_error, mean_error: of the network's outputs, in levels of 255; NaN if one is not finite.
    bias: how far each component's mean moved, in levels: Y, Cb and Cr, or R, G and B.
    """

    graph: str
    quality: int
    psnr_change_db: float
    largest_error: float
    mean_error: float
    bias: tuple[float, ...]
    finite: bool

    def to_json(self) -> dict[str, Any]:
        """For json.dump; what is not finite, which JSON lacks, is None."""
        return {
            name: [_rounded(item) for item in value]
            if isinstance(value, tuple)
            else _rounded(value)
            for name, value in asdict(self).items()
        }


@dataclass(frozen=True)
class Verification:
    """All comparisons, and what they have to stay within to pass."""

    comparisons: tuple[Comparison, ...]
    tolerance_db: float
    bias_levels: float = BIAS_LEVELS

    @property
    def finite(self) -> bool:
        return all(comparison.finite for comparison in self.comparisons)

    @property
    def loss_db(self) -> float:
        """The tolerance that would pass: the largest loss of any graph and quality."""
        return max(0.0, *(-comparison.psnr_change_db for comparison in self.comparisons))

    @property
    def largest_bias(self) -> float:
        return max(abs(shift) for comparison in self.comparisons for shift in comparison.bias)

    @property
    def passed(self) -> bool:
        return (
            self.finite
            and self.loss_db <= self.tolerance_db
            and self.largest_bias <= self.bias_levels
        )

    def verdict(self) -> str:
        """One sentence; of a failure, the tolerances that would pass."""
        if not self.finite:
            return "fails: outputs are not finite (NaN or infinite), which no tolerance lets pass"
        found = f"{self.loss_db:.4f} dB lost, components moved by {self.largest_bias:.4f} levels"
        allowed = f"{self.tolerance_db:g} dB and {self.bias_levels:g} levels are allowed"
        if self.passed:
            return f"passes: {found}; {allowed}"
        needed = []
        if self.loss_db > self.tolerance_db:
            needed.append(f"--tolerance {_rounded_up(self.loss_db):g}")
        if self.largest_bias > self.bias_levels:
            needed.append(f"--bias {_rounded_up(self.largest_bias):g}")
        return f"fails: {found}; {allowed}; {' '.join(needed)} would pass"

    def to_json(self) -> dict[str, Any]:
        return {
            "passed": self.passed,
            "finite": self.finite,
            "loss_db": _rounded(self.loss_db),
            "tolerance_db": self.tolerance_db,
            "largest_bias": _rounded(self.largest_bias),
            "bias_levels": self.bias_levels,
            "comparisons": [comparison.to_json() for comparison in self.comparisons],
        }


def shipped_original() -> NDArray[np.uint8]:
    """A photograph that no model was trained on: uint8 (256, 256, 3) RGB.

    The centre of `scripts/example/example.png`, whose source and terms (CC0) are beside it.
    """
    with (resources.files("jpegrt.runtime") / "verification.png").open("rb") as file:
        return np.asarray(Image.open(file).convert("RGB"))


def load_crop(path: Path, crop_px: int = CROP_PX) -> NDArray[np.uint8]:
    """An original's centre, at most `crop_px` a side, in RGB: uint8 (H, W, 3), sides multiples of 16.

    Raises RestoreError.
    """
    try:
        with Image.open(path) as image:
            rgb = np.asarray(image.convert("RGB"))
    except (OSError, SyntaxError, Image.DecompressionBombError) as error:
        raise RestoreError(f"{path} cannot be read: {error}") from error
    height, width = (min(crop_px, size) // 16 * 16 for size in rgb.shape[:2])
    if not height or not width:
        raise RestoreError(f"{path} is too small to verify with: 16 pixels a side are needed")
    y, x = (rgb.shape[0] - height) // 2, (rgb.shape[1] - width) // 2
    return np.ascontiguousarray(rgb[y : y + height, x : x + width])


def verify(
    spec: ModelSpec,
    reference: Engine,
    tested: Engine,
    originals: Sequence[NDArray[np.uint8]],
    qualities: Sequence[int],
    tolerance_db: float,
    bias_levels: float = BIAS_LEVELS,
) -> Verification:
    """Restores every original with both engines, for every graph and quality.

    originals: uint8 (H, W, 3) RGB, sides multiples of 16.
    """
    sides = [_Side(spec, engine) for engine in (reference, tested)]
    comparisons = [
        _compare(spec, graph, quality, sides, originals)
        for graph in _compared(spec)
        for quality in qualities
    ]
    return Verification(tuple(comparisons), tolerance_db, bias_levels)


def _compared(spec: ModelSpec) -> Sequence[GraphSpec]:
    """Those that restore an image: of an unfolded model, the last to run."""
    if spec.unfoldings:
        return [graph for graph in spec.graphs if graph.name == "rem"]
    return spec.graphs


class _Side:
    """A pipeline with one engine, whose outputs are kept."""

    def __init__(self, spec: ModelSpec, engine: Engine) -> None:
        self._engine = engine
        self._graphs = {compared.name for compared in _compared(spec)}
        self._outputs: list[NDArray[np.float32]] = []
        self._pipeline = Pipeline(spec, self, threads=1)

    def run(self, graph: str, inputs: Tensors, outputs: Tensors) -> None:
        self._engine.run(graph, inputs, outputs)
        if graph in self._graphs:
            self._outputs.append(np.concatenate(list(outputs.values()), 1))

    def restore(self, jpeg: bytes) -> tuple[NDArray[np.float64], list[NDArray[np.float32]]]:
        """Restored pixels, 0 to 255, and what the network answered each time it ran."""
        self._outputs = []
        pixels = np.empty(self._pipeline.read(jpeg), np.uint16)
        self._pipeline.restore(pixels)
        return pixels / 257, self._outputs


def _compare(
    spec: ModelSpec,
    graph: GraphSpec,
    quality: int,
    sides: Sequence[_Side],
    originals: Sequence[NDArray[np.uint8]],
) -> Comparison:
    changes, largest, means, biases = [], [], [], []
    finite = True
    for rgb in originals:
        height, width = (side // spec.enlargement * spec.enlargement for side in rgb.shape[:2])
        original = rgb[:height, :width]
        if graph.components == 1:
            original = np.asarray(Image.fromarray(original).convert("L"))
        jpeg = _jpeg_for(_shrunk(original, spec.enlargement), graph, quality)
        (expected, references), (found, outputs) = (side.restore(jpeg) for side in sides)
        changes.append(psnr(found, original) - psnr(expected, original))
        for answer, right in zip(outputs, references, strict=True):
            finite = finite and bool(np.isfinite(answer).all())
            error = 255 * (answer.astype(np.float64) - right)
            largest.append(np.abs(error).max())
            means.append(np.abs(error).mean())
            # Planes of a component lie together: its cells.
            components = 1 if graph.components == 1 else 3
            biases.append(error.reshape(len(error), components, -1).mean((0, 2)))
    return Comparison(
        graph.name,
        quality,
        float(np.mean(changes)),
        float(np.max(largest)),
        float(np.mean(means)),
        tuple(float(shift) for shift in np.mean(biases, 0)),
        finite,
    )


def _shrunk(original: NDArray[np.uint8], enlargement: int) -> NDArray[np.uint8]:
    """What a model that enlarges is to enlarge to `original`."""
    if enlargement == 1:
        return original
    height, width = (size // enlargement for size in original.shape[:2])
    image = Image.fromarray(original).resize((width, height), Image.Resampling.BICUBIC)
    return np.asarray(image)


def _jpeg_for(original: NDArray[np.uint8], graph: GraphSpec, quality: int) -> bytes:
    sampling = _SAMPLINGS.get((graph.chroma_h, graph.chroma_v))
    if sampling is None:
        raise RestoreError(f"graph {graph.name} takes JPEGs of a sampling that cannot be made here")
    if sampling == "440":
        return encode_440(original, quality)
    return encode(original, quality, sampling)


def encode_440(rgb: NDArray[np.uint8], quality: int) -> bytes:
    """A 4:4:0 JPEG, which Pillow cannot write: of (H, W, 3), sides multiples of 16.

    Its MCUs hold two luma blocks, one above the other, and a block of each chroma. The same blocks
    side by side are 4:2:2's, in an image of half the height and twice the width; so that is encoded,
    and its header then says what the blocks are.
    """
    height, width = rgb.shape[:2]
    ycbcr = np.asarray(Image.fromarray(rgb).convert("YCbCr"))
    blocks = ycbcr.reshape(height // 16, 16, width // 8, 8, 3)
    wide = np.empty((height // 16, 8, width // 8, 16, 3), np.uint8)
    wide[..., :8, 0], wide[..., 8:, 0] = blocks[:, :8, ..., 0], blocks[:, 8:, ..., 0]
    chroma = blocks[..., 1:].reshape(height // 16, 8, 2, width // 8, 8, 2).mean(2)
    wide[..., 1:] = np.repeat(np.round(chroma), 2, axis=3)
    image = Image.fromarray(wide.reshape(height // 2, 2 * width, 3), "YCbCr")
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=quality, subsampling="4:2:2")
    jpeg = bytearray(buffer.getvalue())
    frame = jpeg.index(b"\xff\xc0")  # its length 2 bytes, precision 1, height 2, width 2
    jpeg[frame + 5 : frame + 9] = height.to_bytes(2, "big") + width.to_bytes(2, "big")
    jpeg[frame + 11] = 0x12  # of luma, the first component: 1 across, 2 down
    return bytes(jpeg)


def _rounded(value: Any) -> Any:
    if not isinstance(value, float):
        return value
    return round(value, 7) if math.isfinite(value) else None


def _rounded_up(value: float) -> float:
    return math.ceil(1e4 * value) / 1e4
