"""What a precision costs, measured against PyTorch in fp32 on real JPEGs."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from math import isfinite

import numpy as np
import torch
from torch import nn

from jpegrt.export.calibration import Example
from jpegrt.kernels import Engine

# Above these a precision does not enter a bundle.
LARGEST_FP32_ERROR = 1e-4  # of full range
LARGEST_PSNR_LOSS_DB = 0.05
LARGEST_PLANE_SHIFT = 0.1  # levels


@dataclass(frozen=True)
class Verification:
    """Of one graph in one precision, over all examples.

    psnr_loss_db: mean PSNR of PyTorch's output less that of the engine's.
    largest_error: in units of full range; mean_shift: the component whose mean level moved most,
    in levels of 255.
    """

    psnr_loss_db: float
    largest_error: float
    mean_shift: float
    finite: bool

    def acceptable(self, precision: str) -> bool:
        return (
            self.finite
            and self.psnr_loss_db <= LARGEST_PSNR_LOSS_DB
            and abs(self.mean_shift) <= LARGEST_PLANE_SHIFT
            and (precision != "fp32" or self.largest_error <= LARGEST_FP32_ERROR)
        )

    def to_json(self) -> dict[str, float | bool | None]:
        """For json.dump; what is not finite, which JSON lacks, is None."""
        return {
            key: value if isinstance(value, bool) else round(value, 7) if isfinite(value) else None
            for key, value in asdict(self).items()
        }


@torch.no_grad()
def verify(
    engine: Engine, graph: str, module: nn.Module, output_names: list[str], data: Iterable[Example]
) -> Verification:
    """Runs both on every example. `module` returns the graph's outputs, in order."""
    losses, largest, shifts, finite = [], 0.0, [], True
    for example in data:
        names = [name for name in ("luma", "chroma", "steps") if name in example.inputs]
        expected = module(*(torch.from_numpy(example.inputs[name]) for name in names))
        arrays = [t.numpy() for t in (expected if isinstance(expected, tuple) else (expected,))]
        outputs = {n: np.zeros_like(a) for n, a in zip(output_names, arrays, strict=True)}
        engine.run(graph, {name: example.inputs[name] for name in names}, outputs)
        result = np.concatenate(list(outputs.values()), 1)[0]
        reference = np.concatenate(arrays, 1)[0]
        finite = finite and bool(np.isfinite(result).all())
        largest = max(largest, float(np.abs(result - reference).max()))
        losses.append(_psnr(reference, example.original) - _psnr(result, example.original))
        planes_of_component = arrays[0].shape[1]
        for first in range(0, len(result), planes_of_component):
            component = slice(first, first + planes_of_component)
            shifts.append(255 * float((result[component] - reference[component]).mean()))
    return Verification(float(np.mean(losses)), largest, max(shifts, key=abs), finite)


def _psnr(cells: np.ndarray, original: np.ndarray) -> float:
    return -10 * float(np.log10(np.square(cells - original).mean()))
