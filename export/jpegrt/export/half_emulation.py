"""What a graph's float16 tensors cost, found on a machine whose engines do not round to them.

CPU engines compute float16 graphs in float32 and drop the Casts between, so that their answers say
nothing of a GPU's. Here the graph is float32's, with each rounding written out so that none is left out.
"""

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from jpegrt.runtime.bundle import Bundle
from jpegrt.runtime.engines.onnx_runtime import OnnxRuntimeEngine

# Expanding to it leaves a tensor as it is.
_ANY_SHAPE = "float16:any_shape"


class HalfEmulation(OnnxRuntimeEngine):
    """Runs a bundle's graphs with every float16 tensor rounded; sums within a product are float32,
    as in tensor cores."""

    def __init__(self, bundle: Bundle, precision: str, threads: int) -> None:
        super().__init__(_Rounded(bundle.folder, bundle.manifest), precision, threads)


class _Rounded(Bundle):
    def read_graph(self, graph: str, precision: str) -> bytes:
        model = onnx.load_from_string(super().read_graph(graph, precision))
        emulated: bytes = emulate_half(model).SerializeToString()
        return emulated


def emulate_half(model: onnx.ModelProto) -> onnx.ModelProto:
    """The graph in float32, with what was float16 rounded to float16's numbers."""
    emulated = onnx.shape_inference.infer_shapes(model, strict_mode=True)
    graph = emulated.graph
    halves = {
        value.name
        for value in graph.value_info
        if value.type.tensor_type.elem_type == TensorProto.FLOAT16
    }
    for tensor in graph.initializer:
        if tensor.data_type == TensorProto.FLOAT16:
            widened = numpy_helper.to_array(tensor).astype(np.float32)
            tensor.CopyFrom(numpy_helper.from_array(widened, tensor.name))
    graph.initializer.append(numpy_helper.from_array(np.array([1]), _ANY_SHAPE))
    nodes = []
    for node in graph.node:
        if node.op_type == "Cast" and node.attribute[0].i == TensorProto.FLOAT16:
            node.attribute[0].i = TensorProto.FLOAT
        nodes.append(node)
        for position, name in enumerate(node.output):
            if name in halves:
                node.output[position] = f"{name}_exact"
                nodes.extend(_rounding(f"{name}_exact", name))
    del graph.node[:]
    graph.node.extend(nodes)
    del graph.value_info[:]
    onnx.checker.check_model(emulated, full_check=True)
    return emulated


def _rounding(x: str, rounded: str) -> list[onnx.NodeProto]:
    """Nodes that round float32 `x` to the nearest float16, ties to even.

    Of two Casts that follow each other an engine may drop both; nothing computes in float16 here
    but what moves values, which CPUs do in any type.
    """
    half, kept = f"{rounded}_half", f"{rounded}_kept"
    return [
        helper.make_node("Cast", [x], [half], to=TensorProto.FLOAT16),
        helper.make_node("Expand", [half, _ANY_SHAPE], [kept]),
        helper.make_node("Cast", [kept], [rounded], to=TensorProto.FLOAT),
    ]
