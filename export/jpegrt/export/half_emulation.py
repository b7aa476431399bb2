"""What a graph's float16 tensors cost, found on a machine whose engines do not round to them.

CPU engines compute float16 graphs in float32 and drop the Casts between, so that their answers say
nothing of a GPU's. Here the rounding is written out, as arithmetic that no engine may leave out.
"""

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from jpegrt.runtime.bundle import Bundle
from jpegrt.runtime.engines.onnx_runtime import OnnxRuntimeEngine

_LEAST_NORMAL = 2.0**-14
# Halfway from the largest number to where the next would be; it and all beyond become infinite.
_OVERFLOW = 65520.0
_CONSTANTS = {
    # Veltkamp's splitting: 24 bits less 13 leaves float16's 11.
    "float16:splitter": 2.0**13 + 1,
    # Float32 between 0.5 and 1 has the spacing of float16's subnormal numbers, 2^-24.
    "float16:subnormal": 0.75,
    "float16:least_normal": _LEAST_NORMAL,
    "float16:overflow": _OVERFLOW,
    "float16:infinity": np.inf,
}


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
    for name, value in _CONSTANTS.items():
        graph.initializer.append(numpy_helper.from_array(np.array(value, np.float32), name))
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
    """Nodes that round float32 `x` to the nearest float16, ties to even."""
    steps = [
        ("Mul", [x, "float16:splitter"], "split"),
        ("Sub", ["split", x], "excess"),
        ("Sub", ["split", "excess"], "normal"),
        ("Add", [x, "float16:subnormal"], "shifted"),
        ("Sub", ["shifted", "float16:subnormal"], "subnormal"),
        ("Mul", [x, "float16:infinity"], "infinite"),
        ("Abs", [x], "size"),
        ("Less", ["size", "float16:least_normal"], "is_subnormal"),
        ("Less", ["size", "float16:overflow"], "is_finite"),
        ("Where", ["is_subnormal", "subnormal", "normal"], "number"),
        ("Where", ["is_finite", "number", "infinite"], ""),
    ]
    own = {output for _, _, output in steps}

    def full(name: str) -> str:
        return rounded + (name and f"_{name}") if name in own else name

    return [
        helper.make_node(kind, [full(name) for name in inputs], [full(output)])
        for kind, inputs, output in steps
    ]
