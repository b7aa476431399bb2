"""The range of values that each int8 activation covers."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
import onnx
import onnxruntime as ort
from numpy.typing import NDArray

Inputs = dict[str, NDArray[np.float32]]
Range = tuple[np.float32, np.float32]

# What to try, of the range that images have on average.
_SHARES = (1.0, 0.9, 0.8, 0.7)
# Enough of a tensor's values to judge a range by.
_SAMPLES = 20_000


def activation_ranges(
    model: Path, tensors: Iterable[str], calibration: Iterable[Inputs]
) -> dict[str, Range]:
    """For each tensor the range whose 256 levels represent it best, over all images.

    Starts from the lowest and highest value of an image, averaged over the images: the extremes of
    a few would make the levels coarse for all. Narrower ranges clip more and round more finely;
    the one with the least error is taken, in the mean of the logarithms of the images' squared
    errors, so that a smooth image counts as much as a detailed one. 0 is always in the range.
    """
    names = list(tensors)
    session = _session_with_outputs(model, names)
    seen: dict[str, list[_Values]] = {name: [] for name in names}
    for inputs in calibration:
        for name, values in zip(names, session.run(names, inputs), strict=True):
            seen[name].append(_Values.of(values))
    return {name: _best_range(images) for name, images in seen.items()}


@dataclass(frozen=True)
class _Values:
    """Of one tensor, on one image."""

    lowest: np.float32
    highest: np.float32
    samples: NDArray[np.float32]

    @classmethod
    def of(cls, tensor: NDArray[np.float32]) -> Self:
        samples = tensor.ravel()[:: max(1, tensor.size // _SAMPLES)].copy()
        return cls(tensor.min(), tensor.max(), samples)


def _session_with_outputs(path: Path, tensors: list[str]) -> ort.InferenceSession:
    model = onnx.load(path)
    known = {output.name for output in model.graph.output}
    model.graph.output.extend(
        onnx.ValueInfoProto(name=name) for name in tensors if name not in known
    )
    return ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])


def _best_range(images: list[_Values]) -> Range:
    low = min(0, float(np.mean([image.lowest for image in images])))
    high = max(0, float(np.mean([image.highest for image in images])))
    if low == high:
        return np.float32(low), np.float32(high)
    samples = [image.samples for image in images]
    share = min(_SHARES, key=lambda share: _log_error(samples, share * low, share * high))
    return np.float32(share * low), np.float32(share * high)


def _log_error(images: list[NDArray[np.float32]], low: float, high: float) -> float:
    step = (high - low) / 255
    zero_point = round(-low / step)
    errors = [
        step * np.clip(np.round(values / step), -zero_point, 255 - zero_point) - values
        for values in images
    ]
    return float(np.mean([np.log(np.square(error).mean() + 1e-20) for error in errors]))
