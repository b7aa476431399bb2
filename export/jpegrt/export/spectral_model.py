"""hrcnn as export needs it: one graph, `spectrum` to `luma_restored`, its decoding collapsed."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from itertools import cycle, product
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional as F

from jpegrt.export.graphs import export_module
from jpegrt.export.model import Example, Model
from jpegrt.export.pixel_model import multiply_adds_per_px
from jpegrt.kernels import CoefficientReader, GraphSpec, spectrum_from_blocks
from jpegrt.runtime.evaluation import encode
from jpegrt.training.images import centre_crop, load_rgb
from jpegrt.training.networks.hrcnn import BLOCK_PX, FREQUENCIES, HRCNN, LEVEL_SHIFT
from jpegrt.training.pixel_batches import PIXEL_SCALE


class SpectralModel(Model):
    """Verified against the network as it was trained, so that the collapsing is too."""

    crop_px = 256

    def __init__(self, network: HRCNN) -> None:
        self._network = network.eval()
        self._exported = Collapsed(network).eval()

    @property
    def network(self) -> HRCNN:
        return self._network

    @property
    def specs(self) -> list[GraphSpec]:
        return [GraphSpec("luma", 1)]

    def module(self, spec: GraphSpec) -> nn.Module:
        return self._network

    def output_names(self, spec: GraphSpec) -> list[str]:
        return ["luma_restored"]

    def export(self, spec: GraphSpec) -> onnx.ModelProto:
        batch, rows, columns = (torch.export.Dim(name) for name in ("n", "rows", "columns"))
        return export_module(
            self._exported,
            (torch.rand(2, FREQUENCIES, 3, 4) - 0.5,),
            ({0: batch, 2: rows, 3: columns},),
            ["spectrum"],
            self.output_names(spec),
        )

    def examples(
        self, files: Sequence[Path], spec: GraphSpec, qualities: Sequence[int]
    ) -> Iterator[Example]:
        pairs = zip(files, cycle(qualities), strict=False)
        return (self._example(file, quality) for file, quality in pairs)

    def examples_of_each_quality(
        self, files: Sequence[Path], spec: GraphSpec, qualities: Sequence[int]
    ) -> Iterator[Example]:
        return (self._example(file, quality) for file, quality in product(files, qualities))

    def _example(self, file: Path, quality: int) -> Example:
        rgb = Image.fromarray(centre_crop(load_rgb(file), self.crop_px, BLOCK_PX))
        luma = np.asarray(rgb.convert("L"))
        (component,) = CoefficientReader().read(encode(luma, quality, "444")).components
        assert component.blocks is not None
        assert component.table is not None
        spectrum = spectrum_from_blocks(component.blocks, component.table, PIXEL_SCALE)
        original = (luma[None].astype(np.float32) - 128) * np.float32(PIXEL_SCALE)
        return Example(quality, {"spectrum": spectrum[None]}, original, {"luma": slice(None)}, 1)

    def manifest(self) -> dict[str, Any]:
        return {
            "scale": 1,
            "domain": "spectral",
            "cell_px": 1,
            "input_scale": PIXEL_SCALE,
            "size_rule": {
                # Of the image: a file's blocks are whole whatever its size.
                "minimum_px": 1,
                "multiple_px": 1,
                "receptive_field_px": self._network.receptive_field_px,
            },
            "colour_rule": "luma; chroma goes around the network, upsampled as by a plain decoder",
            "graphs": [asdict(spec) for spec in self.specs],
            "parameters": sum(p.numel() for p in self._network.parameters()),
            "multiply_adds_per_px": multiply_adds_per_px(
                self._exported, torch.zeros(1, FREQUENCIES, 32, 32), 32 * BLOCK_PX
            ),
        }


class Collapsed(nn.Module):
    """The network, its decoding segment as one layer."""

    def __init__(self, network: HRCNN) -> None:
        super().__init__()
        self.decoding = network.decoding.collapsed()
        self.detail = network.detail

    def forward(self, spectrum: Tensor) -> Tensor:
        decoded = F.relu(self.decoding(spectrum)) - LEVEL_SHIFT
        restored: Tensor = self.detail(decoded)
        return restored.clamp(min=-LEVEL_SHIFT)  # the last ReLU, of centred samples
