"""Baselines of `jpegrt bench`: the network in PyTorch, with Pillow's decoder in front.

This is how published code restores a JPEG: decode, convert, run the network, convert back. What the
network takes is made of Pillow's pixels by PyTorch: samples, cells, or the DCT of every block. Grey
JPEGs alone, which every model takes.
"""

import io
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional as F

from jpegrt.export.bundle_weights import load_folded_weights
from jpegrt.export.models import model_of
from jpegrt.runtime.bench.workload import GREY, Case
from jpegrt.runtime.bundle import Bundle
from jpegrt.runtime.errors import UsageError
from jpegrt.training.networks import build_network
from jpegrt.training.networks.hrcnn import BLOCK_PX, FREQUENCIES, inverse_dct_basis
from jpegrt.training.recipe import load_recipe, recipe_names
from jpegrt.training.weights import WEIGHTS, load_weights

_SCALE = 1 / 255

Restore = Callable[[], NDArray[np.uint8]]


def prepare(bundle: Bundle, case: Case, threads: int, device: str) -> Restore | None:
    """In eager mode: JPEG bytes to restored uint8 (H, W) pixels on the host. None for what has no
    grey graph, and for JPEGs in colour.

    Sets how many threads PyTorch takes, for good. Raises UsageError if neither the source tree
    nor the bundle has the model's weights.
    """
    return prepare_with(bundle, case, threads, device, lambda module: module)


def prepare_compiled(bundle: Bundle, case: Case, threads: int, device: str) -> Restore | None:
    """As `prepare`, with the network compiled, which the first call does and which needs a C++
    compiler."""
    return prepare_with(bundle, case, threads, device, torch.compile)


def prepare_with(
    bundle: Bundle,
    case: Case,
    threads: int,
    device: str,
    compiled: Callable[[nn.Module], Callable[..., Any]],
) -> Restore | None:
    """As `prepare`, with what `compiled` makes of the network."""
    spec = next((graph for graph in bundle.spec.graphs if graph.components == 1), None)
    if spec is None or case.subsampling != GREY or bundle.spec.unfoldings:
        return None
    torch.set_num_threads(threads)
    recipe = load_recipe(_recipe_of(bundle))
    network = build_network(recipe.network)
    weights = WEIGHTS / f"{recipe.name}.safetensors"
    if weights.exists():
        load_weights(network, weights)
    else:
        load_folded_weights(network, bundle)
    scale = bundle.spec.enlargement
    model = model_of(recipe, network, scale if scale > 1 else None)
    module = compiled(model.module(spec).eval().to(device))
    front = _FRONTS[bundle.spec.domain](bundle.spec.cell_px).to(device)
    multiple = max(BLOCK_PX, bundle.spec.multiple_px)

    def restore() -> NDArray[np.uint8]:
        with Image.open(io.BytesIO(case.jpeg)) as image:
            pixels = np.asarray(image)
            steps = torch.tensor([image.quantization[0]], dtype=torch.float32)  # type: ignore[attr-defined]
        height, width = pixels.shape
        with torch.inference_mode():
            samples = (torch.from_numpy(pixels.astype(np.float32)).to(device) - 128) * _SCALE
            padding = (0, -width % multiple, 0, -height % multiple)
            samples = F.pad(samples[None, None], padding, mode="replicate")
            output = module(*front(samples, steps.to(device)))
            restored = front.samples(output[0] if isinstance(output, tuple) else output)
            levels = (restored * 255 + 128).round().clamp(0, 255).to(torch.uint8)
            grey: NDArray[np.uint8] = levels[0, 0, : height * scale, : width * scale].cpu().numpy()
        return grey

    return restore


def _recipe_of(bundle: Bundle) -> str:
    """That of the model's last training."""
    recipes = bundle.manifest.get("training", {}).get("recipes", [])
    if not recipes or recipes[-1] not in recipe_names():
        raise UsageError(f"baseline torch has no recipe of {bundle.name}: leave the model out")
    return str(recipes[-1])


class Samples(nn.Module):
    """Networks on pixels take samples, and give them."""

    def __init__(self, cell_px: int) -> None:
        super().__init__()
        self.cell_px = cell_px

    def forward(self, samples: Tensor, steps: Tensor) -> tuple[Tensor, ...]:
        """samples: (1, 1, H, W), centred / 255; steps: (1, 64), raster order."""
        return (samples,)

    def samples(self, output: Tensor) -> Tensor:
        return output


class Cells(Samples):
    """Networks on cells take the steps too, and give cells."""

    def forward(self, samples: Tensor, steps: Tensor) -> tuple[Tensor, ...]:
        return F.pixel_unshuffle(samples, self.cell_px), steps

    def samples(self, output: Tensor) -> Tensor:
        return F.pixel_shuffle(output, self.cell_px)


class Spectrum(Samples):
    """Networks on spectra take the DCT of every block, 64 planes, and give samples."""

    basis: Tensor

    def __init__(self, cell_px: int) -> None:
        super().__init__(cell_px)
        basis = inverse_dct_basis().reshape(FREQUENCIES, 1, BLOCK_PX, BLOCK_PX)
        self.register_buffer("basis", basis, persistent=False)  # orthonormal: both ways

    def forward(self, samples: Tensor, steps: Tensor) -> tuple[Tensor, ...]:
        return (F.conv2d(samples, self.basis, stride=BLOCK_PX),)


_FRONTS: dict[str, type[Samples]] = {
    "cells": Cells,
    "spectral": Spectrum,
    "luma": Samples,
    "rgb": Samples,
}
