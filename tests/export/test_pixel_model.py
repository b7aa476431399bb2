"""Networks that take pixels as bundles: their graphs, and what sessions make of them."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from numpy.typing import NDArray
from tests.export.small import run_onnx
from tests.kernels.c_programs import Libjpeg
from tests.kernels.images import synthetic
from tests.runtime.command_line import CommandLine
from tests.training.photographs import write_photographs
from tests.training.pixel_recipes import write_pixel_recipe
from torch import Tensor, nn

from jpegrt.export.bundle_writer import BundleRequest, write_bundle
from jpegrt.export.models import model_of
from jpegrt.export.pixel_model import PixelModel
from jpegrt.kernels import reference
from jpegrt.runtime.bundle import Bundle
from jpegrt.runtime.errors import UsageError
from jpegrt.runtime.resize import enlarge
from jpegrt.runtime.session import Session
from jpegrt.training.networks.jscnn import JSCNN, Activation
from jpegrt.training.recipe import load_recipe
from jpegrt.training.weights import save_weights

SCALES = [1, 2, 3, 4]
SIZES = [(1, 1, 1), (1, 1, 6), (2, 17, 33), (3, 31, 20)]


def random_network(activation: Activation = "after", channels: int = 8) -> JSCNN:
    """Every weight and statistic matters; residuals are about as large as a trained network's."""
    torch.manual_seed(0)
    network = JSCNN(channels, 2, activation)
    with torch.no_grad():
        for module in network.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.weight.uniform_(0.5, 1.5)
                module.bias.uniform_(-0.2, 0.2)
                assert module.running_mean is not None and module.running_var is not None
                module.running_mean.uniform_(-0.2, 0.2)
                module.running_var.uniform_(0.5, 2)
        network.last.weight.uniform_(-0.02, 0.02)
    return network.eval()


@torch.no_grad()
def run_torch(network: JSCNN, image: NDArray[np.float32], scale: int) -> NDArray[np.float32]:
    """By the definition: bicubic interpolation in float64, then the network."""
    enlarged = np.stack([enlarge(plane[0], scale) for plane in image])[:, None]
    restored: NDArray[np.float32] = network(torch.from_numpy(enlarged).float()).numpy()
    return restored


def bundle_of(network: Any, scale: int, folder: Path, files: list[Path]) -> Bundle:
    request = BundleRequest(
        "small", PixelModel(network, scale), ["fp32"], [], files, {"summary": "small"}
    )
    return write_bundle(request, folder, lambda line: None)


@pytest.fixture(scope="module")
def network() -> JSCNN:
    return random_network()


@pytest.fixture(scope="module", params=SCALES)
def bundle(
    request: pytest.FixtureRequest,
    network: JSCNN,
    photographs: list[Path],
    tmp_path_factory: pytest.TempPathFactory,
) -> Bundle:
    """One for each of SCALES, which is exported once."""
    folder = tmp_path_factory.mktemp("bundles") / "small"
    return bundle_of(network, request.param, folder, photographs[:1])


def assert_equals_pytorch(graph: onnx.ModelProto, network: JSCNN, scale: int) -> None:
    random = np.random.default_rng(0)
    for n, rows, columns in SIZES:
        image = random.uniform(-0.5, 0.5, (n, 1, rows, columns)).astype(np.float32)
        (found,) = run_onnx(graph, {"image": image})
        expected = run_torch(network, image, scale)
        np.testing.assert_allclose(found, expected, atol=1e-5, rtol=0)
        assert not np.allclose(expected[0, 0], enlarge(image[0, 0], scale), atol=1e-3)


def test_graphs_equal_pytorch(network: JSCNN, bundle: Bundle) -> None:
    graph = onnx.load_from_string(bundle.read_graph("luma", "fp32"))
    (given,), (answer,) = graph.graph.input, graph.graph.output
    assert (given.name, answer.name) == ("image", "image_restored")
    for value in (given, answer):
        n, planes, *sides = value.type.tensor_type.shape.dim
        assert [d.dim_value for d in (n, planes, *sides)] == [0, 1, 0, 0]
    assert all(node.op_type != "BatchNormalization" for node in graph.graph.node)
    assert_equals_pytorch(graph, network, bundle.manifest["scale"])


def test_activations_before_the_convolutions() -> None:
    """Batch norms behind an addition stay."""
    network = random_network("before")
    model = PixelModel(network)
    graph = model.export(model.specs[0])
    assert sum(node.op_type == "BatchNormalization" for node in graph.graph.node) == 3
    assert_equals_pytorch(graph, network, 1)


@pytest.mark.parametrize("engine", ["onnxruntime", "openvino"])
def test_sessions_answer_as_pytorch_does(
    network: JSCNN, bundle: Bundle, libjpeg: Libjpeg, engine: str
) -> None:
    """In levels of 16 bits: 0.001 of 255, and half a level of those."""
    scale = bundle.manifest["scale"]
    session = Session(str(bundle.folder), engine=engine, threads=1)
    assert session.enlargement == scale
    plain = Session("none")
    for size in ((1, 1), (17, 33), (45, 31)):
        jpeg = libjpeg.encode(synthetic(*size, 1), "1x1", quality=40)
        image = (plain.restore(jpeg).astype(np.float32) - 128) * np.float32(1 / 255)
        expected = run_torch(network, image[None, None], scale)[0, 0] * 255.0 + 128
        found = session.restore16(jpeg) / 257
        assert found.shape == (scale * size[0], scale * size[1])
        assert np.abs(found - np.clip(expected, 0, 255)).max() < 1e-3 + 0.5 / 257


def test_sessions_restore_the_luma_of_colour(network: JSCNN, bundle: Bundle) -> None:
    scale = bundle.manifest["scale"]
    colour = synthetic(9, 14, 3)
    restored = Session(str(bundle.folder), threads=1).restore(colour)
    assert restored.shape == (9 * scale, 14 * scale, 3)
    luma = (reference.luma_of(colour.astype(np.float64)) - 128) / 255
    expected = run_torch(network, luma[None, None].astype(np.float32), scale)[0, 0] * 255.0 + 128
    inside = ((restored > 0) & (restored < 255)).all(-1)  # where no component was clipped
    difference = reference.luma_of(restored.astype(np.float64)) - expected
    assert inside.mean() > 0.3
    assert np.abs(difference[inside]).max() < 0.6


def test_the_manifest_states_the_network(network: JSCNN, bundle: Bundle) -> None:
    manifest = bundle.manifest
    scale = manifest["scale"]
    assert (manifest["domain"], manifest["cell_px"]) == ("luma", 1)
    assert manifest["size_rule"] == {
        "minimum_px": 1,
        "multiple_px": 1,
        # 7 layers of the enlarged image, and the interpolation.
        "receptive_field_px": {1: 7, 2: 4 + 2, 3: 3 + 2, 4: 2 + 2}[scale],
    }
    assert manifest["parameters"] == sum(p.numel() for p in network.parameters())
    # 3 x 3 convolutions of 1 to 8, 8 to 8 five times, 8 to 1, for each enlarged pixel.
    assert manifest["multiply_adds_per_px"] == scale**2 * 9 * (8 + 5 * 64 + 8)
    assert manifest["summary"] == "small"
    verification = manifest["precisions"]["fp32"]["verification"]
    assert set(verification) == {"openvino", "onnxruntime"}
    for graphs in verification.values():
        assert graphs["luma"]["largest_error"] < 1e-5
        assert set(graphs["luma"]["psnr_loss_db"]) == {"luma"}


class Halving(nn.Module):
    """RGB, on whole 4 x 4 blocks of at least 8, which it enlarges by 2."""

    domain, enlargement, minimum_px, multiple_px, receptive_field_px = "rgb", 2, 8, 4, 3

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.down = nn.Conv2d(3, 8, 4, stride=4)
        self.up = nn.ConvTranspose2d(8, 3, 8, stride=8)

    def forward(self, image: Tensor) -> Tensor:
        restored: Tensor = self.up(self.down(image))
        return restored


def test_networks_with_a_size_rule(photographs: list[Path], tmp_path: Path) -> None:
    network = Halving().eval()
    bundle = bundle_of(network, 1, tmp_path / "bundle", photographs[:1])
    assert bundle.manifest["size_rule"] == {
        "minimum_px": 8,
        "multiple_px": 4,
        "receptive_field_px": 3,
    }
    assert bundle.manifest["multiply_adds_per_px"] == round((3 * 8 * 16 + 8 * 3 * 64) / 16)
    assert bundle.manifest["colour_rule"].startswith("RGB")
    figures = bundle.manifest["precisions"]["fp32"]["verification"]["onnxruntime"]["rgb"]
    assert set(figures["psnr_loss_db"]) == {"whole"}
    for size in ((5, 5), (8, 12), (13, 18)):
        pixels = synthetic(*size, 3)
        padded = np.pad(pixels, [(0, max(8, -(-s // 4) * 4) - s) for s in size] + [(0, 0)], "edge")
        image = torch.from_numpy(padded).permute(2, 0, 1)[None].float() / 255 - 128 / 255
        with torch.no_grad():
            expected = network(image)[0].permute(1, 2, 0).numpy() * 255 + 128
        expected = np.clip(expected[: 2 * size[0], : 2 * size[1]], 0, 255)
        found = Session(str(bundle.folder), threads=1).restore16(pixels) / 257
        assert np.abs(found - expected).max() < 1e-3 + 0.5 / 257


def test_scales_are_those_of_the_recipe(tmp_path: Path) -> None:
    recipe = load_recipe(write_pixel_recipe(tmp_path, scales=(3, 2, 3)))
    network = random_network()
    scales = [model_of(recipe, network, scale).manifest()["scale"] for scale in (None, 2, 3)]
    assert scales == [2, 2, 3]
    with pytest.raises(UsageError, match="small-pixels trains no scale 4: choose one of 2, 3"):
        model_of(recipe, network, 4)


def test_what_no_bundle_holds_is_refused(tmp_path: Path) -> None:
    network = random_network()
    network.domain = "spectrum"  # type: ignore[misc]
    with pytest.raises(UsageError, match="jscnn takes a spectrum: it cannot be exported yet"):
        model_of(load_recipe(write_pixel_recipe(tmp_path)), network, None)


def test_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    recipe, runs = write_pixel_recipe(tmp_path, activation="after"), tmp_path / "runs"
    torch.manual_seed(0)
    network = JSCNN(16, 1, "after")
    with torch.no_grad():
        network.last.weight.uniform_(-0.02, 0.02)
    (runs / recipe.stem).mkdir(parents=True)
    save_weights(network, runs / recipe.stem / f"{recipe.stem}.safetensors")
    for name in ("meadows", "streets"):
        write_photographs(tmp_path / name, 2)
    jpegrt = CommandLine(capsys)
    arguments = ("export", recipe, "--data", tmp_path, "--runs", runs)
    outcome = jpegrt(*arguments, "-o", tmp_path / "x2", "--scale", "2")
    assert (outcome.code, outcome.out) == (0, f"{tmp_path / 'x2'}: fp32, default fp32\n")
    assert onnx.load(tmp_path / "x2" / "luma.fp32.onnx").graph.input[0].name == "image"

    photograph = tmp_path / "meadows" / "00.png"
    outcome = jpegrt("restore", photograph, "-o", tmp_path / "a.png", "--model", tmp_path / "x2")
    assert outcome.code == 0
    assert (tmp_path / "a.png").exists()

    outcome = jpegrt(*arguments, "-o", tmp_path / "x4", "--scale", "4")
    assert outcome.code == 2
    assert "trains no scale 4: choose one of 1, 2, 3" in outcome.complaint
    assert not (tmp_path / "x4").exists()
