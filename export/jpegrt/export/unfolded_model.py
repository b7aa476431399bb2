"""cisr as export needs it: four graphs around the non-local operator, or one file with all of it."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from itertools import cycle, product
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from jpegrt.export.graphs import export_module
from jpegrt.export.model import Example, Model
from jpegrt.export.pixel_model import COLOUR_RULES, multiply_adds_per_px
from jpegrt.kernels import GraphSpec, find_blocking_edges
from jpegrt.runtime.errors import UsageError
from jpegrt.training.images import centre_crop, load_rgb
from jpegrt.training.networks.cisr import CISR, COMPONENTS, ModifiedNonLocal, RestorationModule
from jpegrt.training.networks.non_local import non_local
from jpegrt.training.pixel_batches import PIXEL_SCALE, components_of, tensor_of
from jpegrt.training.pixel_degradation import Compression, degrade

# name -> (inputs, outputs), as jpegrt_graph in jpegrt.h lists them.
_TENSORS = {
    "arm_guide": (["high"], ["guide", "width"]),
    "arm": (["image", "high", "filtered"], ["low"]),
    "rem_guide": (["low"], ["width"]),
    "rem": (["image", "low", "filtered"], ["high"]),
}


class UnfoldedModel(Model):
    """window_px: of the non-local operator in sessions; 0 for the whole image.

    Raises UsageError for one of the network's ablations, which sessions do not run.
    """

    crop_px = 96  # of the original; whole pixels of every scale

    def __init__(self, network: CISR, window_px: int = 0) -> None:
        arm, rem = network.arm[0], network.rem[0]
        assert isinstance(arm, RestorationModule)
        assert isinstance(rem, RestorationModule)
        modified = all(isinstance(module.non_local, ModifiedNonLocal) for module in (arm, rem))
        if network.connection != "unfolded" or len(network.arm) > 1 or not modified:
            raise UsageError(
                "only the unfolded cisr with shared weights and the modified non-local operator can "
                "be exported: set connection, shared_weights and non_local back to their defaults"
            )
        self._network, self._arm, self._rem = network.eval(), arm, rem
        self._window_px = window_px

    @property
    def network(self) -> CISR:
        return self._network

    @property
    def specs(self) -> list[GraphSpec]:
        return [GraphSpec(name, COMPONENTS) for name in _TENSORS]

    def module(self, spec: GraphSpec) -> nn.Module:
        module = self._arm if spec.name.startswith("arm") else self._rem
        if not spec.name.endswith("guide"):
            return Restoring(module)
        return Guide(module, with_guide=module is self._arm)

    def output_names(self, spec: GraphSpec) -> list[str]:
        return _TENSORS[spec.name][1]

    def export(self, spec: GraphSpec) -> onnx.ModelProto:
        inputs, outputs = _TENSORS[spec.name]
        batch, rows, columns = (torch.export.Dim(name) for name in ("n", "rows", "columns"))
        factors = [self._network.enlargement if name == "high" else 1 for name in inputs]
        return export_module(
            self.module(spec).eval(),
            tuple(torch.rand(2, COMPONENTS, 9 * f, 11 * f) - 0.5 for f in factors),
            tuple({0: batch, 2: f * rows, 3: f * columns} for f in factors),
            inputs,
            outputs,
        )

    def export_single(self) -> onnx.ModelProto:
        """All of it, for runtimes that have no non-local operator: `image` and `keys`, (1, 1, H, W),
        0 or 1, to `image_restored`; of one image. Every weight is there once."""
        rows, columns = (torch.export.Dim(name) for name in ("rows", "columns"))
        dynamic = {2: rows, 3: columns}
        image = torch.rand(1, COMPONENTS, 9, 11) - 0.5
        keys = (torch.rand(1, 1, 9, 11) < 0.9).float()
        return export_module(
            self._network, (image, keys), (dynamic, dynamic), ["image", "keys"], ["image_restored"]
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
        scale = self._network.enlargement
        original = components_of(centre_crop(load_rgb(file), self.crop_px, scale), COMPONENTS)
        degraded = degrade(original, scale, Compression(quality, "420"))
        image = tensor_of([degraded.compressed]).numpy()
        tensors = self._first_unfolding(image)
        inputs = {name: tensors[name] for name in _TENSORS[spec.name][0]}
        inputs |= {"filtered": tensors[f"{spec.name}_filtered"]} if "filtered" in inputs else {}
        if spec.name.endswith("guide"):
            return Example(quality, inputs, image[0], {}, 1)
        target = original if spec.name == "rem" else degraded.clean
        return Example(quality, inputs, tensor_of([target]).numpy()[0], {"whole": slice(None)}, 1)

    @torch.no_grad()
    def _first_unfolding(self, array: NDArray[np.float32]) -> dict[str, NDArray[np.float32]]:
        """Every tensor of it by name; `filtered` is each module's own."""
        image = torch.from_numpy(array)
        keys = torch.from_numpy(find_blocking_edges(array))
        high = self._network.upsampling(image)
        tensors = {"image": image, "high": high, "filtered": image}
        for name, module, auxiliary in (("arm", self._arm, "high"), ("rem", self._rem, "low")):
            copies = module.copies_of(tensors[auxiliary])
            guide = module.guide_of(copies)
            assert isinstance(module.non_local, ModifiedNonLocal)
            filtered = non_local(guide, image, module.non_local.width(guide), keys)
            tensors[f"{name}_filtered"] = filtered
            if name == "arm":
                tensors["low"] = module.restore(image, copies, guide, filtered)
        return {name: tensor.contiguous().numpy() for name, tensor in tensors.items()}

    def manifest(self) -> dict[str, Any]:
        network = self._network
        unfolded = {"unfoldings": network.unfoldings}
        if self._window_px:
            unfolded["window_px"] = self._window_px
        return {
            "scale": network.enlargement,
            "domain": "rgb",
            "cell_px": 1,
            "input_scale": PIXEL_SCALE,
            "size_rule": {"minimum_px": 1, "multiple_px": 1, "receptive_field_px": None},
            "colour_rule": COLOUR_RULES["rgb"],
            **unfolded,
            "graphs": [asdict(spec) for spec in self.specs],
            "parameters": sum(p.numel() for p in network.parameters()),
            "multiply_adds_per_px": multiply_adds_per_px(
                network, torch.zeros(1, COMPONENTS, 16, 16), 16
            ),
        }


class Guide(nn.Module):
    """What the non-local operator is given of the auxiliary image: `guide`, and `width`, h."""

    def __init__(self, module: RestorationModule, with_guide: bool) -> None:
        super().__init__()
        self.module = module
        self._with_guide = with_guide

    def forward(self, auxiliary: Tensor) -> tuple[Tensor, ...]:
        guide = self.module.guide_of(self.module.copies_of(auxiliary))
        assert isinstance(self.module.non_local, ModifiedNonLocal)
        width: Tensor = self.module.non_local.width(guide)
        return (guide, width) if self._with_guide else (width,)


class Restoring(nn.Module):
    """Everything behind the non-local operator."""

    def __init__(self, module: RestorationModule) -> None:
        super().__init__()
        self.module = module

    def forward(self, image: Tensor, auxiliary: Tensor, filtered: Tensor) -> Tensor:
        copies = self.module.copies_of(auxiliary)
        return self.module.restore(image, copies, self.module.guide_of(copies), filtered)
