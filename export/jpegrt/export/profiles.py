"""Optimisation profiles: the sizes an engine takes, and those it is made fast for."""

import math
from dataclasses import dataclass

from jpegrt.kernels import ModelSpec

Size = tuple[int, int, int]  # images, height and width in pixels


@dataclass(frozen=True)
class Profile:
    """The least, the usual and the largest size."""

    name: str
    least: Size
    usual: Size
    largest: Size

    def to_json(self) -> dict[str, list[int]]:
        return {"min": list(self.least), "opt": list(self.usual), "max": list(self.largest)}


# Single images as most are; one of 12 megapixels, or a tile of a larger; many small ones together.
DEFAULT_PROFILES = (
    Profile("small", (1, 16, 16), (1, 512, 768), (1, 1024, 1024)),
    Profile("tile", (1, 16, 16), (1, 3008, 4000), (1, 4096, 4096)),
    Profile("batch", (1, 16, 16), (8, 512, 512), (32, 512, 512)),
)


def tensor_shape(name: str, shape: tuple[int, ...], size: Size, spec: ModelSpec) -> tuple[int, ...]:
    """A graph's input for images of `size`: planes and values as `shape` has them, the rest by it.

    shape: (n, values), or (n, planes, rows, columns), in cells or blocks. `high`, of unfolded models,
    is as large as the enlarged image.
    """
    images, *sides = size
    if len(shape) == 2:
        return images, shape[1]
    step = math.lcm(spec.input_px, spec.multiple_px)
    rounded = (max(spec.minimum_px, -(-side // step) * step) for side in sides)
    factor = spec.enlargement if name == "high" else 1
    return images, shape[1], *(factor * side // spec.input_px for side in rounded)
