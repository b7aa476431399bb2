"""A small network with no weight zero, its graphs exported once, and images to verify with."""

from pathlib import Path

import onnx
import pytest
import torch
from tests.export.small import SAMPLINGS, random_network
from tests.kernels.c_programs import Libjpeg
from tests.training.photographs import write_photographs

from jpegrt.export.graphs import export_graph, graph_specs
from jpegrt.training.networks.cellnet import CellNet


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def libjpeg(tmp_path_factory: pytest.TempPathFactory) -> Libjpeg:
    return Libjpeg(tmp_path_factory.mktemp("c_programs"))


@pytest.fixture(scope="session")
def network() -> CellNet:
    return random_network()


@pytest.fixture(scope="session")
def graphs(network: CellNet) -> dict[str, onnx.ModelProto]:
    """Graph -> its ONNX in fp32; not to be changed."""
    return {spec.name: export_graph(network, spec) for spec in graph_specs(network, SAMPLINGS)}


@pytest.fixture(scope="session")
def photographs(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("photographs") / "set"
    write_photographs(folder, 6)
    return sorted(folder.iterdir())
