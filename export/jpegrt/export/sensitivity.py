"""int8 graphs with the layers in float that lose the most, where int8 throughout loses too much."""

from collections.abc import Callable, Iterable

import numpy as np
import onnx
import onnxruntime as ort

from jpegrt.export.quantise import Quantisation
from jpegrt.export.ranges import Inputs
from jpegrt.export.verify import LARGEST_PLANE_SHIFT, LARGEST_PSNR_LOSS_DB, Verification
from jpegrt.kernels import Engine, Tensors

# Of the bounds: engines round differently, and images differ.
_MARGIN = 0.8
# More of them in float, and the graph is hardly an int8 one.
_LARGEST_SHARE = 1 / 4


def quantise_within_bounds(
    model: onnx.ModelProto,
    calibration: Iterable[Inputs],
    verify: Callable[[Engine], Verification],
    report: Callable[[str], None],
) -> onnx.ModelProto:
    """The graph in int8, with as few layers in float as bring its losses within the bounds.

    Layers are tried in the order of what each loses if it alone is in int8: one, two, four and so
    on. If a quarter of them is not enough, the graph is int8 throughout, for its verification to
    fail.
    """
    quantisation = Quantisation(model, calibration)
    whole = quantisation.graph()
    if _is_within(verify(_Alone(whole))):
        return whole
    layers = quantisation.layers
    most = int(_LARGEST_SHARE * len(layers))
    if not most:
        return whole
    report(f"int8 loses too much: measuring each of {len(layers)} layers")

    def loss(layer: str) -> float:
        others = [name for name in layers if name != layer]
        return verify(_Alone(quantisation.graph(in_float=others))).loss_db

    layers = sorted(layers, key=loss, reverse=True)
    count = 1
    while count <= most:
        mixed = quantisation.graph(in_float=layers[:count])
        if _is_within(verify(_Alone(mixed))):
            report(f"in float: {', '.join(layers[:count])}")
            return mixed
        count *= 2
    return whole


def _is_within(result: Verification) -> bool:
    return (
        result.acceptable("int8")
        and result.loss_db <= _MARGIN * LARGEST_PSNR_LOSS_DB
        and abs(result.mean_shift) <= _MARGIN * LARGEST_PLANE_SHIFT
    )


class _Alone:
    """An engine for one graph, whatever its name."""

    def __init__(self, model: onnx.ModelProto) -> None:
        options = ort.SessionOptions()
        options.log_severity_level = 3  # it warns of what quantising leaves unused
        self._session = ort.InferenceSession(
            model.SerializeToString(), options, providers=["CPUExecutionProvider"]
        )

    def run(self, graph: str, inputs: Tensors, outputs: Tensors) -> None:
        for name, array in zip(outputs, self._session.run(list(outputs), inputs), strict=True):
            np.copyto(outputs[name], array)
