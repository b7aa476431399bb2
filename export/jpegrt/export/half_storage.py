"""Weights of a float32 graph, stored in two bytes where they need no more; and made so that they do."""

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from jpegrt.export.half_precision import EXACT_WEIGHTS

_PRODUCTS = ("Conv", "ConvTranspose", "Gemm", "MatMul")

# A smaller tensor saves less than its Cast node takes.
_LEAST_ELEMENTS = 64


def round_weights(model: onnx.ModelProto) -> onnx.ModelProto:
    """The graph with the weights of its products rounded to float16, where they are in its range:
    those that batch norms were folded into are trained weights times a float32 factor.

    Biases stay as they are, and so do the weights that no precision may round.
    """
    rounded = onnx.ModelProto()
    rounded.CopyFrom(model)
    names = {
        name for node in rounded.graph.node if node.op_type in _PRODUCTS for name in node.input[:2]
    }
    for tensor in rounded.graph.initializer:
        if tensor.name not in names or any(part in tensor.name for part in EXACT_WEIGHTS):
            continue
        values = numpy_helper.to_array(tensor)
        if values.dtype == np.float32 and np.abs(values).max(initial=0) <= np.finfo(np.float16).max:
            half = values.astype(np.float16).astype(np.float32)
            tensor.CopyFrom(numpy_helper.from_array(half, tensor.name))
    return rounded


def store_in_half(model: onnx.ModelProto) -> onnx.ModelProto:
    """The same graph, in half the bytes: trained weights are kept in float16, and the float32 ones
    of a graph are those, widened. Each is stored as it was and widened by a Cast, which runtimes
    fold when they load the graph. What float16 does not hold exactly stays float32.
    """
    stored = onnx.ModelProto()
    stored.CopyFrom(model)
    casts = []
    for tensor in stored.graph.initializer:
        if tensor.data_type != TensorProto.FLOAT:
            continue
        values = numpy_helper.to_array(tensor)
        with np.errstate(over="ignore"):
            half = values.astype(np.float16)
        if values.size < _LEAST_ELEMENTS or not np.array_equal(half.astype(np.float32), values):
            continue
        name = tensor.name
        tensor.CopyFrom(numpy_helper.from_array(half, f"{name}_half"))
        casts.append(
            helper.make_node(
                "Cast", [f"{name}_half"], [name], name=f"{name}_widened", to=TensorProto.FLOAT
            )
        )
    nodes = [*casts, *stored.graph.node]
    del stored.graph.node[:]
    stored.graph.node.extend(nodes)
    onnx.checker.check_model(stored, full_check=True)
    return stored
