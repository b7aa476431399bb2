"""Networks that take pixels as export needs them: one graph, `image` to `image_restored`, and one more
of a first stage that deblocks."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from itertools import cycle, product
from pathlib import Path
from typing import Any

import onnx
import torch
from torch import Tensor, nn

from jpegrt.export.graphs import export_module
from jpegrt.export.model import Example, Model
from jpegrt.kernels import GraphSpec
from jpegrt.training.images import centre_crop, load_rgb
from jpegrt.training.networks.bicubic import BicubicUpsampling
from jpegrt.training.pixel_batches import PIXEL_SCALE, components_of, tensor_of
from jpegrt.training.pixel_degradation import Compression, degrade

COLOUR_RULES = {
    "luma": "luma; chroma goes around the network, enlarged by cubic convolution",
    "rgb": "RGB; of grey images the luma of what comes out",
}
# How far, in pixels of the smaller image, bicubic interpolation reaches.
_BICUBIC_REACH_PX = 2


class PixelModel(Model):
    """A network with a `domain`, "luma" or "rgb", an `enlargement`, and its size rule; and perhaps with
    a first stage, `deblocking`, from images to images of their size.

    enlarged_by: for a network that takes enlarged images, how much; its graph then begins with the
    bicubic interpolation.
    """

    crop_px = 144  # of the original; whole pixels of every scale

    def __init__(self, network: Any, enlarged_by: int = 1) -> None:
        self._network = network
        self._enlarged_by = enlarged_by
        self._components = 1 if network.domain == "luma" else 3
        self._scale = enlarged_by * network.enlargement
        self._module = Enlarging(network, enlarged_by, self._components).eval()
        self._restoring = GraphSpec(str(network.domain), self._components)
        self._deblocking: GraphSpec | None = None
        if getattr(network, "deblocking", None) is not None:
            self._deblocking = GraphSpec("deblocked", self._components)

    @property
    def network(self) -> nn.Module:
        return self._module

    @property
    def specs(self) -> list[GraphSpec]:
        return [spec for spec in (self._restoring, self._deblocking) if spec]

    def module(self, spec: GraphSpec) -> nn.Module:
        return Deblocking(self._network) if spec == self._deblocking else self._module

    def output_names(self, spec: GraphSpec) -> list[str]:
        return ["image_restored"]

    def export(self, spec: GraphSpec) -> onnx.ModelProto:
        # No side is 1, which would be taken for a constant, and all fit the size rule.
        rows, columns = (self._minimum_px + n * self._multiple_px + 16 for n in (2, 6))
        sides = [side // self._multiple_px * self._multiple_px for side in (rows, columns)]
        dynamic = {0: torch.export.Dim("n")}
        for axis, name in ((2, "rows"), (3, "columns")):
            dim = torch.export.Dim("multiples_" + name if self._multiple_px > 1 else name)
            dynamic[axis] = self._multiple_px * dim
        return export_module(
            self.module(spec).eval(),
            (torch.rand(2, self._components, *sides) - 0.5,),
            (dynamic,),
            ["image"],
            self.output_names(spec),
        )

    def examples(
        self, files: Sequence[Path], spec: GraphSpec, qualities: Sequence[int]
    ) -> Iterator[Example]:
        pairs = zip(files, cycle(qualities), strict=False)
        return (self._example(file, spec, quality) for file, quality in pairs)

    def examples_of_each_quality(
        self, files: Sequence[Path], spec: GraphSpec, qualities: Sequence[int]
    ) -> Iterator[Example]:
        return (self._example(file, spec, quality) for file, quality in product(files, qualities))

    def _example(self, file: Path, spec: GraphSpec, quality: int) -> Example:
        multiple = self._scale * self._multiple_px
        original = components_of(
            centre_crop(load_rgb(file), self.crop_px, multiple), self._components
        )
        sampling = "grey" if self._components == 1 else "420"
        degraded = degrade(original, self._scale, Compression(quality, sampling))
        target = degraded.clean if spec == self._deblocking else original
        return Example(
            quality,
            {"image": tensor_of([degraded.compressed]).numpy()},
            tensor_of([target]).numpy()[0],
            {"luma" if self._components == 1 else "whole": slice(None)},
            1,
        )

    @property
    def _minimum_px(self) -> int:
        return -(-int(self._network.minimum_px) // self._enlarged_by)

    @property
    def _multiple_px(self) -> int:
        multiple = int(self._network.multiple_px)
        return multiple // math.gcd(multiple, self._enlarged_by)

    def manifest(self) -> dict[str, Any]:
        reach = self._network.receptive_field_px
        if self._enlarged_by > 1:
            reach = -(-reach // self._enlarged_by) + _BICUBIC_REACH_PX
        return {
            "scale": self._scale,
            "domain": self._network.domain,
            "cell_px": 1,
            "input_scale": PIXEL_SCALE,
            "size_rule": {
                "minimum_px": self._minimum_px,
                "multiple_px": self._multiple_px,
                "receptive_field_px": reach,
            },
            "colour_rule": COLOUR_RULES[self._network.domain],
            "graphs": [asdict(self._restoring)],
            **({"deblocking": self._deblocking.name} if self._deblocking else {}),
            "parameters": sum(p.numel() for p in self._network.parameters()),
            "multiply_adds_per_px": multiply_adds_per_px(
                self._module, torch.zeros(1, self._components, 48, 48), 48
            ),
        }


class Enlarging(nn.Module):
    """(N, C, H, W) to the network's answer to what bicubic interpolation makes of it."""

    def __init__(self, network: nn.Module, factor: int, components: int) -> None:
        super().__init__()
        self.upsampling = BicubicUpsampling(factor, components) if factor > 1 else nn.Identity()
        self.network = network

    def forward(self, image: Tensor) -> Tensor:
        restored: Tensor = self.network(self.upsampling(image))
        return restored


class Deblocking(nn.Module):
    """The first stage of a network, under the names that its weights have in all of it."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, image: Tensor) -> Tensor:
        deblocked: Tensor = self.network.deblocking(image)  # type: ignore[operator]
        return deblocked


@torch.no_grad()
def multiply_adds_per_px(module: nn.Module, image: Tensor, side_px: int) -> int:
    """Of the trained convolutions, for each pixel of the image, a square, that is given."""
    total = 0

    def count(layer: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        nonlocal total
        places = inputs[0] if isinstance(layer, nn.ConvTranspose2d) else output
        total += layer.weight.numel() * places[0, 0].numel()  # type: ignore[operator]

    convolutions = (nn.Conv2d, nn.ConvTranspose2d)
    hooks = [
        layer.register_forward_hook(count)
        for layer in module.modules()
        if isinstance(layer, convolutions)
    ]
    module(image)
    for hook in hooks:
        hook.remove()
    return round(total / side_px**2)
