"""What a precision costs, measured against PyTorch in fp32 on real JPEGs."""

from collections.abc import Iterable
from dataclasses import dataclass
from math import isfinite
from typing import Any

import numpy as np
import torch
from torch import nn

from jpegrt.export.model import Example
from jpegrt.kernels import Engine

# Above these a precision does not enter a bundle.
LARGEST_FP32_ERROR = 1e-4  # of full range
LARGEST_PSNR_LOSS_DB = 0.05  # of luma, and of the whole image, at every quality
LARGEST_FP32_PSNR_LOSS_DB = 0.001
LARGEST_FP16_PSNR_LOSS_DB = 0.01
LARGEST_PLANE_SHIFT = 0.1  # levels


@dataclass(frozen=True)
class Verification:
    """Of one graph in one precision on one engine, over all examples.

    psnr_loss_db: "luma" (and "chroma", and "whole": Y, Cb and Cr together, about what RGB shows;
    "whole" alone of R, G and B) -> quality -> PSNR of PyTorch's output less that of the engine's, mean over the images.
    largest_error: in units of full range; mean_shift: how far, in levels of 255, the mean level
    over all images moved, of the component whose moved most.
    """

    psnr_loss_db: dict[str, dict[int, float]]
    largest_error: float
    mean_shift: float
    finite: bool

    @property
    def loss_db(self) -> float:
        """The largest of luma, and of the whole image, at any quality; 0 if nothing is measured."""
        bounded = (self.psnr_loss_db.get(part, {}) for part in ("luma", "whole"))
        return max((loss for losses in bounded for loss in losses.values()), default=0.0)

    def acceptable(self, precision: str) -> bool:
        largest = {"fp32": LARGEST_FP32_PSNR_LOSS_DB, "fp16": LARGEST_FP16_PSNR_LOSS_DB}.get(
            precision, LARGEST_PSNR_LOSS_DB
        )
        return (
            self.finite
            and self.loss_db <= largest
            and abs(self.mean_shift) <= LARGEST_PLANE_SHIFT
            and (precision != "fp32" or self.largest_error <= LARGEST_FP32_ERROR)
        )

    def to_json(self) -> dict[str, Any]:
        """For json.dump; what is not finite, which JSON lacks, is None."""
        return {
            "psnr_loss_db": {
                part: {str(quality): _rounded(loss) for quality, loss in losses.items()}
                for part, losses in self.psnr_loss_db.items()
            },
            "largest_error": _rounded(self.largest_error),
            "mean_shift": _rounded(self.mean_shift),
            "finite": self.finite,
        }


def _rounded(value: float) -> float | None:
    return round(value, 7) if isfinite(value) else None


@torch.no_grad()
def verify(
    engine: Engine, graph: str, module: nn.Module, output_names: list[str], data: Iterable[Example]
) -> Verification:
    """Runs both on every example. `module` returns the graph's outputs, in order."""
    losses: dict[str, dict[int, list[float]]] = {}
    shifts: list[list[float]] = []
    largest, finite = 0.0, True
    for example in data:
        expected = module(*(torch.from_numpy(array) for array in example.inputs.values()))
        arrays = [t.numpy() for t in (expected if isinstance(expected, tuple) else (expected,))]
        outputs = {n: np.zeros_like(a) for n, a in zip(output_names, arrays, strict=True)}
        engine.run(graph, example.inputs, outputs)
        result = np.concatenate(list(outputs.values()), 1)[0]
        reference = np.concatenate(arrays, 1)[0]
        finite = finite and bool(np.isfinite(result).all())
        largest = max(largest, float(np.abs(result - reference).max()))
        for name, part in example.parts.items():
            original = example.original[part]
            loss = _psnr(reference[part], original) - _psnr(result[part], original)
            losses.setdefault(name, {}).setdefault(example.quality, []).append(loss)
        components = len(result) // example.component_planes
        difference = (result - reference).reshape(components, -1)
        shifts.append((255 * difference.mean(1)).tolist())
    means = {
        name: {quality: float(np.mean(values)) for quality, values in part.items()}
        for name, part in losses.items()
    }
    return Verification(means, largest, max(np.mean(shifts, 0).tolist(), key=abs), finite)


def _psnr(cells: np.ndarray, original: np.ndarray) -> float:
    """Of pixels, that is with the error of rounding to them: without it the chroma of a grey
    photograph has no error, and a PSNR without bound."""
    error = np.square(cells - original).mean() + 1 / 12 / 255**2
    return -10 * float(np.log10(error))
