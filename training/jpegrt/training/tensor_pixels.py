"""Degradation of pixel patches on tensors of any device: what `pixel_degradation` does on the CPU.

Images are levels 0 to 255, (N, C, H, W); resizing is that of `jpegrt.runtime.resize`, in float64 too.
"""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from jpegrt.runtime.resize import enlarging_matrix, reducing_matrix
from jpegrt.training.degradation import standard_tables
from jpegrt.training.tensor_jpeg import decoded_jpegs


def degrade(
    originals: Tensor, scale: int, qualities: Sequence[int | None], sampling: str
) -> tuple[Tensor, Tensor]:
    """Reduced, and then compressed, each by its quality, or not at all if that is None.

    H and W are multiples of scale. Both int32, (N, C, H / scale, W / scale).
    """
    clean = originals.to(torch.int32)
    if scale > 1:
        clean = _resized(originals, scale, reducing_matrix).round().clamp(0, 255).to(torch.int32)
    device = originals.device
    tables = np.stack([standard_tables(quality or 100) for quality in qualities])
    compressed = decoded_jpegs(clean, torch.from_numpy(tables).to(device), sampling)
    chosen = torch.tensor([quality is not None for quality in qualities], device=device)
    return clean, torch.where(chosen[:, None, None, None], compressed, clean)


def enlarged(images: Tensor, scale: int) -> Tensor:
    """By bicubic interpolation, neither rounded nor clamped: float64."""
    return _resized(images, scale, enlarging_matrix)


def _resized(
    images: Tensor, scale: int, matrix: Callable[[int, int], NDArray[np.float64]]
) -> Tensor:
    down, across = (
        torch.from_numpy(matrix(side, scale)).to(images.device) for side in images.shape[2:]
    )
    return down @ images.double() @ across.T
