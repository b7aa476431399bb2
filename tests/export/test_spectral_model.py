"""hrcnn as a bundle: its graph, its precisions, and what sessions make of it."""

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from numpy.typing import NDArray
from tests.export.small import run_onnx
from tests.kernels.c_programs import Libjpeg
from tests.kernels.images import synthetic
from tests.kernels.samplings import SAMPLINGS
from tests.runtime.command_line import CommandLine

from jpegrt.export.bundle_writer import BundleRequest, write_bundle
from jpegrt.export.inspection import inspect_graph
from jpegrt.export.profiles import tensor_shape
from jpegrt.export.spectral_model import SpectralModel
from jpegrt.kernels import CoefficientReader, reference, spectrum_from_blocks
from jpegrt.runtime.bundle import Bundle
from jpegrt.runtime.errors import RestoreError
from jpegrt.runtime.session import Session
from jpegrt.training.networks.hrcnn import HRCNN, DetailBlock

SIZES = [(1, 1), (8, 8), (9, 25), (45, 31)]


def random_network() -> HRCNN:
    """Every weight matters; residuals are about as large as a trained network's."""
    torch.manual_seed(0)
    network = HRCNN()
    with torch.no_grad():
        for parameter in network.decoding.parameters():
            parameter.add_(0.002 * torch.randn_like(parameter))
        for block in network.detail:
            assert isinstance(block, DetailBlock)
            block.project.weight.uniform_(-0.02, 0.02)
            assert block.project.bias is not None
            block.project.bias.uniform_(-0.005, 0.005)
    return network.eval()


@pytest.fixture(scope="module")
def network() -> HRCNN:
    return random_network()


@pytest.fixture(scope="module")
def bundle(
    network: HRCNN, photographs: list[Path], tmp_path_factory: pytest.TempPathFactory
) -> Bundle:
    model = SpectralModel(network)
    model.crop_px = 64
    precisions = ["fp32", "fp16", "int8", "int8-symmetric"]
    request = BundleRequest("small", model, precisions, photographs[2:], photographs[:1], {})
    folder = tmp_path_factory.mktemp("bundles") / "small"
    return write_bundle(request, folder, lambda line: None)


@torch.no_grad()
def luma_of(network: HRCNN, jpeg: bytes, component: int = 0) -> NDArray[np.float64]:
    """What PyTorch restores of one component of a file, in levels, whole blocks."""
    found = CoefficientReader().read(jpeg).components[component]
    assert found.blocks is not None
    assert found.table is not None
    spectrum = torch.from_numpy(spectrum_from_blocks(found.blocks, found.table, 1 / 255))[None]
    restored: NDArray[np.float64] = network(spectrum)[0, 0].numpy().astype(np.float64)
    return np.clip(restored * 255 + 128, 0, 255)


def test_the_graph_equals_pytorch(network: HRCNN, bundle: Bundle) -> None:
    graph = onnx.load_from_string(bundle.read_graph("luma", "fp32"))
    (given,), (answer,) = graph.graph.input, graph.graph.output
    assert (given.name, answer.name) == ("spectrum", "luma_restored")
    transposed = [node for node in graph.graph.node if node.op_type == "ConvTranspose"]
    weights = {tensor.name: tensor for tensor in graph.graph.initializer}
    kernels = {
        tuple(weights[node.input[1]].dims) for node in transposed if node.input[1] in weights
    }
    assert (65, 1, 14, 14) in kernels
    random = np.random.default_rng(0)
    for n, rows, columns in ((1, 1, 1), (2, 1, 3), (1, 2, 1), (3, 5, 7)):
        spectrum = random.normal(0, 0.3, (n, 64, rows, columns)).astype(np.float32)
        (found,) = run_onnx(graph, {"spectrum": spectrum})
        with torch.no_grad():
            expected = network(torch.from_numpy(spectrum)).numpy()
        assert found.shape == (n, 1, 8 * rows, 8 * columns)
        np.testing.assert_allclose(found, expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize("engine", ["onnxruntime", "openvino"])
@pytest.mark.parametrize("size", SIZES)
def test_sessions_answer_as_pytorch_does(
    network: HRCNN, bundle: Bundle, libjpeg: Libjpeg, engine: str, size: tuple[int, int]
) -> None:
    """In levels of 16 bits: 0.001 of 255, and half a level of those."""
    session = Session(str(bundle.folder), precision="fp32", engine=engine, threads=1)
    jpeg = libjpeg.encode(synthetic(*size, 1), "1x1", quality=30)
    expected = luma_of(network, jpeg)[: size[0], : size[1]]
    found = session.restore16(jpeg) / 257
    assert np.abs(found - expected).max() < 1e-3 + 0.5 / 257
    decoded = Session("none").restore(jpeg)
    assert size == (1, 1) or np.abs(found - decoded).max() > 1  # the network does something


@pytest.mark.parametrize("sampling", ["4:4:4", "4:2:0", "4:1:1"])
def test_luma_of_colour(network: HRCNN, bundle: Bundle, libjpeg: Libjpeg, sampling: str) -> None:
    session = Session(str(bundle.folder), precision="fp32", threads=1)
    for size in ((19, 33), (40, 24)):
        pale = synthetic(*size, 3) // 4 + 90
        jpeg = libjpeg.encode(pale, SAMPLINGS[sampling], quality=60)
        found = session.restore16(jpeg) / 257
        expected = luma_of(network, jpeg)[: size[0], : size[1]]
        inside = ((found > 0) & (found < 255)).all(-1)
        assert inside.mean() > 0.9
        luma = reference.luma_of(found)
        # The conversion's constants have three digits, of chroma of up to 30 levels.
        assert np.abs(luma - expected)[inside].max() < 0.03


def test_rgb_is_restored_component_by_component(
    network: HRCNN, bundle: Bundle, libjpeg: Libjpeg
) -> None:
    session = Session(str(bundle.folder), precision="fp32", threads=1)
    jpeg = libjpeg.encode(synthetic(17, 23, 3), "1x1,1x1,1x1", "rgb", quality=40)
    found = session.restore16(jpeg) / 257
    expected = np.stack([luma_of(network, jpeg, c) for c in range(3)], -1)[:17, :23]
    assert np.abs(found - expected).max() < 1e-3 + 0.5 / 257


def test_subsampled_luma_is_refused(bundle: Bundle, libjpeg: Libjpeg) -> None:
    session = Session(str(bundle.folder), threads=1)
    jpeg = libjpeg.encode(synthetic(20, 20, 3), SAMPLINGS["luma subsampled"], quality=60)
    with pytest.raises(RestoreError, match="luma has fewer samples than chroma, which a model of"):
        session.restore(jpeg)
    other = libjpeg.encode(synthetic(20, 20, 3), SAMPLINGS["4:2:0"], quality=60)
    assert session.restore(other).shape == (20, 20, 3)


def test_pixels_are_refused(bundle: Bundle) -> None:
    session = Session(str(bundle.folder), threads=1)
    assert (session.takes_pixels, session.enlargement) == (False, 1)
    with pytest.raises(RestoreError, match="this session's takes JPEGs"):
        session.restore(synthetic(16, 16, 3))


def test_the_manifest_states_the_network(network: HRCNN, bundle: Bundle) -> None:
    manifest = bundle.manifest
    assert (manifest["domain"], manifest["cell_px"], manifest["scale"]) == ("spectral", 1, 1)
    assert manifest["size_rule"]["receptive_field_px"] == network.receptive_field_px
    assert manifest["parameters"] == 507_157
    details = sum(p.numel() for p in network.detail.parameters() if p.ndim == 4)
    decoding = 65 * 14 * 14 / 64
    # And the border.
    assert decoding < manifest["multiply_adds_per_px"] - details < decoding + 100


def weight_type(product: onnx.NodeProto, graph: onnx.GraphProto) -> int:
    """As the weight is stored."""
    types = {tensor.name: tensor.data_type for tensor in graph.initializer}
    producer = {output: node for node in graph.node for output in node.output}
    name = product.input[1]
    stored: int = types[name if name in types else producer[name].input[0]]
    return stored


@pytest.mark.parametrize(
    ("precision", "reduced"),
    [("fp16", onnx.TensorProto.FLOAT16), ("int8", onnx.TensorProto.INT8)],
)
def test_precisions(bundle: Bundle, precision: str, reduced: int) -> None:
    """They pass; the decoding and the residuals stay exact."""
    assert precision in bundle.precisions
    graph = onnx.load_from_string(bundle.read_graph("luma", precision)).graph
    types = {
        operator: [weight_type(node, graph) for node in graph.node if node.op_type == operator]
        for operator in ("Conv", "ConvTranspose")
    }
    assert set(types["ConvTranspose"]) == {onnx.TensorProto.FLOAT}
    assert types["Conv"].count(reduced) == 12
    assert types["Conv"].count(onnx.TensorProto.FLOAT) == 2  # of the border
    producer = {output: node.op_type for node in graph.node for output in node.output}
    sums = [node for node in graph.node if node.op_type == "Add"]
    assert len(sums) == 4
    assert all(producer[name] != "DequantizeLinear" for node in sums for name in node.input)


def test_symmetric_integers(bundle: Bundle) -> None:
    """Exact enough as defined; engines may round more, and have it left out."""
    precisions = bundle.manifest["precisions"] | bundle.manifest["rejected_precisions"]
    for engine in ("onnxruntime", "float16 emulation"):
        figures = precisions["int8-symmetric"]["verification"][engine]["luma"]
        assert max(figures["psnr_loss_db"]["luma"].values()) < 0.05


def test_tools_know_its_input(bundle: Bundle) -> None:
    assert tensor_shape("luma", (-1, 64, -1, -1), (2, 512, 769), bundle.spec) == (2, 64, 64, 97)
    graph = onnx.load_from_string(bundle.read_graph("luma", "fp32"))
    facts = inspect_graph(graph, bundle.spec)
    plane = 4 * 1024 * 1024
    assert 64 * plane <= facts.peak_bytes < 200 * plane


def test_commands(
    bundle: Bundle, photographs: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    jpegrt = CommandLine(capsys)
    outcome = jpegrt(
        "verify", bundle.folder, "--precision", "int8", "--images", photographs[0].parent
    )
    assert outcome.code == 0, outcome.err
    assert "passes" in outcome.out
    arguments = ("--model", bundle.folder, "--limit", "1", "--quality", "20")
    outcome = jpegrt("evaluate", "--images", photographs[0].parent, *arguments)
    assert outcome.code == 0, outcome.err
    assert "\n     20 |" in outcome.out
