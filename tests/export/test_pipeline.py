"""The native pipeline's output is PyTorch's own forward on the same coefficients."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from tests.export.small import GRAPHS, SAMPLINGS, run_torch
from tests.kernels.c_programs import Libjpeg
from tests.kernels.images import synthetic

from jpegrt.export import cell_model
from jpegrt.export.bundle_writer import BundleRequest, write_bundle
from jpegrt.export.cell_model import CellModel
from jpegrt.kernels import Engine, Pipeline, Tensors, read_coefficients, reference
from jpegrt.runtime.bundle import Bundle
from jpegrt.runtime.engines import create_engine
from jpegrt.training.networks.cellnet import CellNet
from jpegrt.training.samplings import SAMPLINGS as FACTORS

FILES = {"grey": "1x1", "420": "2x2,1x1,1x1", "444": "1x1,1x1,1x1", "422": "2x1,1x1,1x1",
         "440": "1x2,1x1,1x1"}  # fmt: skip
SIZES = [(1, 1), (17, 33), (45, 31)]


class Captured:
    """An engine that remembers what went in and what came out."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.graph = ""
        self.inputs: dict[str, NDArray[np.float32]] = {}
        self.outputs: dict[str, NDArray[np.float32]] = {}

    def run(self, graph: str, inputs: Tensors, outputs: Tensors) -> None:
        self._engine.run(graph, inputs, outputs)
        self.graph = graph
        self.inputs = {name: tensor.copy() for name, tensor in inputs.items()}
        self.outputs = {name: tensor.copy() for name, tensor in outputs.items()}


@pytest.fixture(scope="module")
def bundle(
    network: CellNet,
    graphs: dict[str, onnx.ModelProto],
    photographs: list[Path],
    tmp_path_factory: pytest.TempPathFactory,
) -> Bundle:
    folder = tmp_path_factory.mktemp("bundles") / "small"
    request = BundleRequest(
        "small", CellModel(network, SAMPLINGS), ["fp32"], [], photographs[:1], {}
    )
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(cell_model, "export_graph", lambda _, spec: graphs[spec.name])
        return write_bundle(request, folder, lambda line: None)


def cells(
    plane: NDArray[np.float64], cell: tuple[int, int], rows: int, columns: int
) -> NDArray[np.float32]:
    """A plane as cells (h * w, rows, columns), its last samples repeated where it is too small."""
    h, w = cell
    padding = ((0, h * rows - plane.shape[0]), (0, w * columns - plane.shape[1]))
    whole = np.pad(plane, padding, "edge")
    split = whole.reshape(rows, h, columns, w).transpose(1, 3, 0, 2)
    return np.ascontiguousarray(split.reshape(1, h * w, rows, columns), np.float32)


def inputs_by_definition(
    jpeg: bytes, graph: str, rows: int, columns: int
) -> dict[str, NDArray[np.float32]]:
    """What the network is given, from the coefficients, by the float64 reference alone."""
    planes, steps = [], []
    for component in read_coefficients(jpeg).components:
        assert component.blocks is not None
        assert component.table is not None
        planes.append(reference.centred_samples(component.blocks, component.table) / 255)
        steps.append(component.table.ravel())
    inputs = {
        "luma": cells(planes[0], (2, 2), rows, columns),
        "steps": np.concatenate(steps)[None].astype(np.float32),
    }
    if graph != "grey":
        h, v = FACTORS[graph]
        chroma = [cells(plane, (2 // v, 2 // h), rows, columns) for plane in planes[1:]]
        inputs["chroma"] = np.concatenate(chroma, axis=1)
    return inputs


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("engine_name", ["onnxruntime", "openvino"])
@pytest.mark.parametrize("graph", GRAPHS)
def test_pipeline_equals_pytorch(
    network: CellNet,
    bundle: Bundle,
    libjpeg: Libjpeg,
    graph: str,
    engine_name: str,
    size: tuple[int, int],
) -> None:
    jpeg = libjpeg.encode(synthetic(*size, 1 if graph == "grey" else 3), FILES[graph], quality=40)
    engine = Captured(create_engine(engine_name, bundle, "fp32", threads=1))
    pipeline = Pipeline(bundle.spec, engine, threads=1)
    pixels = np.empty(pipeline.read(jpeg), np.uint8)
    pipeline.restore(pixels)

    assert engine.graph == graph
    rows, columns = engine.inputs["luma"].shape[2:]
    expected_inputs = inputs_by_definition(jpeg, graph, rows, columns)
    assert set(engine.inputs) == set(expected_inputs)
    for name, expected in expected_inputs.items():
        np.testing.assert_allclose(engine.inputs[name], expected, atol=1e-5, rtol=0)
    answers = run_torch(network, graph, expected_inputs)
    for output, expected in zip(engine.outputs.values(), answers, strict=True):
        np.testing.assert_allclose(output, expected, atol=1e-4, rtol=0)
    assert_shows(pixels, answers)


def assert_shows(pixels: NDArray[np.uint8], answers: list[NDArray[np.float32]]) -> None:
    """The pixels are those of PyTorch's planes, by JFIF's conversion, within its rounding."""
    height, width = pixels.shape[:2]
    planes = [
        part.reshape(2, 2, *part.shape[1:]).transpose(2, 0, 3, 1)
        .reshape(2 * part.shape[1], 2 * part.shape[2])[:height, :width] * 255.0
        for answer in answers
        for part in np.split(answer[0], len(answer[0]) // 4)
    ]  # fmt: skip
    luma = np.clip(planes[0] + 128, 0, 255)
    if len(planes) == 1:
        assert np.abs(pixels - luma).max() <= 0.51
        return
    cb, cr = (np.clip(plane, -128, 127) for plane in planes[1:])
    rgb = np.stack(
        [luma + 1.402 * cr, luma - 0.344136 * cb - 0.714136 * cr, luma + 1.772 * cb], axis=2
    )
    assert np.abs(pixels - np.clip(rgb, 0, 255)).max() <= 2  # each plane may be rounded first
