"""A small network for exports, and how its graphs are run."""

from collections.abc import Sequence

import numpy as np
import onnx
import onnxruntime as ort
import torch
from numpy.typing import NDArray
from torch import Tensor

from jpegrt.export.graphs import graph_specs
from jpegrt.kernels import GraphSpec
from jpegrt.training.networks.cellnet import CellNet

SAMPLINGS = ["420", "444", "422", "440"]
GRAPHS = ["grey", *SAMPLINGS]


def random_network(channels: int = 8) -> CellNet:
    """Every weight matters; residuals are about as large as a trained network's."""
    torch.manual_seed(0)
    network = CellNet(2, channels=channels, blocks=1, chroma_channels=8, chroma_blocks=1)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.uniform_(-0.15, 0.15)
    return network.eval()


def spec_of(network: CellNet, graph: str) -> GraphSpec:
    return {spec.name: spec for spec in graph_specs(network, SAMPLINGS)}[graph]


@torch.no_grad()
def run_torch(
    network: CellNet, graph: str, inputs: dict[str, NDArray[np.float32]]
) -> list[NDArray[np.float32]]:
    """What the network itself answers: luma, and chroma of colour."""
    tensors: dict[str, Tensor] = {
        name: torch.from_numpy(array.copy()) for name, array in inputs.items()
    }
    if graph == "grey":
        return [network(tensors["luma"], tensors["steps"]).numpy()]
    outputs = network.forward_colour(tensors["luma"], tensors["chroma"], tensors["steps"], graph)
    return [output.numpy() for output in outputs]


def run_onnx(
    model: onnx.ModelProto, inputs: dict[str, NDArray[np.float32]]
) -> Sequence[NDArray[np.float32]]:
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    session = ort.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    results: Sequence[NDArray[np.float32]] = session.run(None, inputs)
    return results
