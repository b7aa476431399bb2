"""cisr as a bundle and as a single file: its graphs, and what sessions make of them."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from numpy.typing import NDArray
from tests.export.small import run_onnx
from tests.kernels.c_programs import Libjpeg
from tests.kernels.images import Pixels, synthetic
from torch import nn

from jpegrt.export.bundle_weights import load_bundle_weights
from jpegrt.export.bundle_writer import BundleRequest, write_bundle
from jpegrt.export.unfolded_model import UnfoldedModel
from jpegrt.kernels import (
    GraphSpec,
    ModelSpec,
    NativeError,
    Pipeline,
    Tensors,
    find_blocking_edges,
    non_local,
    reference,
)
from jpegrt.runtime.bundle import Bundle
from jpegrt.runtime.errors import RestoreError, UsageError
from jpegrt.runtime.session import Session
from jpegrt.training.networks import cisr
from jpegrt.training.networks.cisr import CISR

SCALES = [2, 3, 4]
SIZES = [(1, 1), (2, 5), (17, 24), (31, 19)]
UNFOLDINGS = 2
GRAPHS = ("arm_guide", "arm", "rem_guide", "rem")


def random_network(scale: Any = 2, **options: Any) -> CISR:
    """Every weight matters; residuals are about as large as a trained network's."""
    torch.manual_seed(0)
    sizes = {"groups": 1, "blocks": 1, "channels": 4, "reduction": 2, "unfoldings": UNFOLDINGS}
    network = CISR(scale, **{**sizes, **options})
    with torch.no_grad():
        for module in (*network.arm, *network.rem):
            assert isinstance(module, cisr.RestorationModule)
            for parameter in module.tail[-1].parameters():
                parameter.uniform_(-0.05, 0.05)
    return network.eval()


@torch.no_grad()
def run_torch(network: CISR, pixels: Pixels) -> NDArray[np.float64]:
    """(H, W, 3) levels to (sH, sW, 3) levels."""
    image = np.ascontiguousarray(pixels.transpose(2, 0, 1)[None], np.float32)
    image = (image - 128) * np.float32(1 / 255)
    keys = torch.from_numpy(find_blocking_edges(image))
    restored: NDArray[np.float64] = network(torch.from_numpy(image), keys).double().numpy()
    levels: NDArray[np.float64] = restored[0].transpose(1, 2, 0) * 255 + 128
    return levels.clip(0, 255)


def blocky(height: int, width: int) -> Pixels:
    """With visible borders between blocks, so that there are keys to leave out."""
    pixels = synthetic(height, width, 3, seed=1) // 2 + 64
    step = 24 * ((np.arange(height) // 8)[:, None] + np.arange(width) // 8 & 1)
    return np.asarray(pixels + step[..., None], np.uint8)


class Torch:
    """Runs the modules themselves. Keeps the names of the graphs that ran."""

    def __init__(self, model: UnfoldedModel) -> None:
        self.modules = {spec.name: model.module(spec) for spec in model.specs}
        self.calls: list[str] = []

    @torch.no_grad()
    def run(self, graph: str, inputs: Tensors, outputs: Tensors) -> None:
        self.calls.append(graph)
        found = self.modules[graph](*(torch.from_numpy(array) for array in inputs.values()))
        found = found if isinstance(found, tuple) else (found,)
        for tensor, answer in zip(outputs.values(), found, strict=True):
            assert tensor.shape == tuple(answer.shape)
            tensor[:] = answer.numpy()


def spec_of(network: CISR, **changes: Any) -> ModelSpec:
    graphs = [GraphSpec(name, 3) for name in GRAPHS]
    given: dict[str, Any] = {
        "graphs": graphs,
        "domain": "rgb",
        "enlargement": network.enlargement,
        "unfoldings": UNFOLDINGS,
        **changes,
    }
    return ModelSpec(1, 1 / 255, **given)


def restore(pipeline: Pipeline, pixels: Pixels) -> NDArray[np.float64]:
    restored = np.empty(pipeline.load_pixels(pixels), np.uint16)
    pipeline.restore(restored)
    return restored / 257


@pytest.mark.parametrize("scale", SCALES)
def test_the_loop_is_the_networks(scale: int) -> None:
    network = random_network(scale)
    engine = Torch(UnfoldedModel(network))
    pipeline = Pipeline(spec_of(network), engine, threads=1)
    for size in SIZES:
        pixels, engine.calls = blocky(*size), []
        expected = run_torch(network, pixels)
        found = restore(pipeline, pixels)
        assert found.shape == (scale * size[0], scale * size[1], 3)
        assert np.abs(found - expected).max() < 1e-3 + 0.5 / 257
        assert engine.calls == list(GRAPHS) * UNFOLDINGS
    image = np.ascontiguousarray(pixels.transpose(2, 0, 1)[None], np.float32) / np.float32(255)
    assert 0.2 < find_blocking_edges(image).mean() < 0.9  # the keys were of some use


def test_a_window(monkeypatch: pytest.MonkeyPatch) -> None:
    network = random_network()
    pixels = blocky(25, 22)
    everywhere = run_torch(network, pixels)

    def within(guide: Any, value: Any, h: Any, keys: Any) -> torch.Tensor:
        arrays = (tensor.numpy() for tensor in (guide, value, h, keys))
        return torch.from_numpy(non_local(*(np.ascontiguousarray(a) for a in arrays), window_px=3))

    monkeypatch.setattr(cisr, "non_local", within)
    expected = run_torch(network, pixels)
    found = restore(Pipeline(spec_of(network, window_px=3), Torch(UnfoldedModel(network))), pixels)
    assert np.abs(found - expected).max() < 1e-3 + 0.5 / 257
    assert np.abs(found - everywhere).max() > 0.05


def test_grey_images(libjpeg: Libjpeg) -> None:
    """Three times the same; what comes out is the luma of what the network makes."""
    network = random_network(3)
    pixels = blocky(14, 21)[..., 0]
    pipeline = Pipeline(spec_of(network), Torch(UnfoldedModel(network)))
    found = restore(pipeline, pixels)
    expected = reference.luma_of(run_torch(network, np.stack([pixels] * 3, -1)))
    assert found.shape == (42, 63)
    assert np.abs(found - expected).max() < 2e-3 + 0.5 / 257


def test_images_that_take_too_long_are_refused() -> None:
    network = random_network()
    engine = Torch(UnfoldedModel(network))
    pipeline = Pipeline(spec_of(network), engine)
    large = np.zeros((513, 512, 3), np.uint8)
    with pytest.raises(NativeError, match="of up to 262144 pixels: export it with --window for"):
        restore(pipeline, large)
    assert engine.calls == []
    assert restore(pipeline, np.zeros((1, 1, 3), np.uint8)).shape == (2, 2, 3)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"domain": "luma"}, "domain is not rgb|no graph for grey images"),
        ({"domain": "cells", "enlargement": 1}, "domain is not rgb"),
        ({"unfoldings": 65}, "unfoldings are more than 64"),
        ({"window_px": 65536}, "window_px is more than 65535"),
        ({"graphs": [GraphSpec("arm", 3)]}, "graphs are not arm, arm_guide, rem and rem_guide"),
        (
            {"graphs": [GraphSpec(n, 3) for n in ("arm", "arm", "rem", "rem_guide")]},
            "graphs are not arm, arm_guide, rem and rem_guide",
        ),
        (
            {"graphs": [GraphSpec("rgb", 3)], "unfoldings": 0, "window_px": 1},
            "not unfolded has a window_px",
        ),
    ],
)
def test_models_that_make_no_sense_are_refused(changes: dict[str, Any], said: str) -> None:
    network = random_network()
    with pytest.raises(NativeError, match=said):
        Pipeline(spec_of(network, **changes), Torch(UnfoldedModel(network)))


@pytest.mark.parametrize(
    "options",
    [
        {"shared_weights": False},
        {"connection": "arm-rem", "unfoldings": 1},
        {"non_local": "traditional"},
        {"non_local": "none"},
    ],
)
def test_ablations_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match="only the unfolded cisr with shared weights"):
        UnfoldedModel(random_network(**options))


@pytest.fixture(scope="module")
def network() -> CISR:
    return random_network(3)


@pytest.fixture(scope="module")
def bundle(
    network: CISR, photographs: list[Path], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Bundle]:
    model = UnfoldedModel(network)
    model.crop_px = 48
    request = BundleRequest("small", model, ["fp32", "fp16"], [], photographs[:1], {})
    folder = tmp_path_factory.mktemp("bundles") / "small"
    yield write_bundle(request, folder, lambda line: None)


def test_sessions_answer_as_pytorch_does(network: CISR, bundle: Bundle, libjpeg: Libjpeg) -> None:
    """From pixels, and from JPEGs of colour, plainly decoded."""
    session = Session(str(bundle.folder), precision="fp32", threads=1)
    plain = Session("none")
    for size in SIZES[1:]:
        jpeg = libjpeg.encode(blocky(*size), "2x2,1x1,1x1", quality=20)
        decoded = plain.restore(jpeg)
        expected = run_torch(network, decoded)
        for source in (jpeg, decoded):
            found = session.restore16(source) / 257
            assert np.abs(found - expected).max() < 1e-3 + 0.5 / 257


@torch.no_grad()
def test_the_last_deblocked_image(network: CISR, bundle: Bundle, libjpeg: Libjpeg) -> None:
    """Of colour and grey, from pixels and JPEGs."""
    session = Session(str(bundle.folder), precision="fp32", engine="onnxruntime", threads=1)
    pixels = blocky(17, 22)
    image = np.ascontiguousarray(pixels.transpose(2, 0, 1)[None], np.float32)
    image = (image - 128) * np.float32(1 / 255)
    keys = torch.from_numpy(find_blocking_edges(image))
    low = network.forward_stages(torch.from_numpy(image), keys)[-1].low
    assert low is not None
    expected = (low[0].permute(1, 2, 0).numpy() * 255.0 + 128).clip(0, 255)
    found = session.deblocked(pixels, 16) / 257
    assert np.abs(found - expected).max() < 1e-3 + 0.5 / 257
    assert np.abs(found - pixels).mean() > 0.3
    grey = session.deblocked(np.stack([pixels[..., 0]] * 3, -1), 16)
    difference = session.deblocked(pixels[..., 0], 16) - reference.luma_of(grey.astype(float))
    assert np.abs(difference).max() < 2
    jpeg = libjpeg.encode(pixels, "2x2,1x1,1x1", quality=20)
    decoded = Session("none").restore(jpeg)
    np.testing.assert_array_equal(session.deblocked(jpeg), session.deblocked(decoded))


def test_too_large_to_deblock(bundle: Bundle) -> None:
    with pytest.raises(RestoreError, match="export it with --window for larger ones"):
        Session(str(bundle.folder)).deblocked(np.zeros((600, 600, 3), np.uint8))


def test_the_bundle(network: CISR, bundle: Bundle) -> None:
    manifest = bundle.manifest
    assert (manifest["domain"], manifest["scale"]) == ("rgb", network.enlargement)
    assert (manifest["unfoldings"], "window_px" in manifest) == (UNFOLDINGS, False)
    assert [graph["name"] for graph in manifest["graphs"]] == list(GRAPHS)
    figures = manifest["precisions"]["fp32"]["verification"]["onnxruntime"]
    assert set(figures) == set(GRAPHS)
    assert set(figures["rem"]["psnr_loss_db"]) == set(figures["arm"]["psnr_loss_db"]) == {"whole"}
    assert max(graph["largest_error"] for graph in figures.values()) < 1e-5
    stored = sum(
        int(np.prod(tensor.dims))
        for name in GRAPHS
        for tensor in onnx.load_from_string(bundle.read_graph(name, "fp32")).graph.initializer
    )
    assert stored < 1.2 * manifest["parameters"] + 1000  # each weight once, whatever J


def test_precisions(network: CISR, bundle: Bundle) -> None:
    session = Session(str(bundle.folder), precision="fp16", threads=1)
    pixels = blocky(16, 20)
    assert np.abs(session.restore16(pixels) / 257 - run_torch(network, pixels)).max() < 1


def test_the_bundle_has_all_weights(network: CISR, bundle: Bundle) -> None:
    again = random_network(3)
    for parameter in again.parameters():
        nn.init.zeros_(parameter)
    load_bundle_weights(again, bundle)
    assert all(map(torch.equal, again.parameters(), network.parameters()))


def test_a_window_is_in_the_manifest() -> None:
    assert UnfoldedModel(random_network(), window_px=5).manifest()["window_px"] == 5


def test_too_large_for_a_session(bundle: Bundle) -> None:
    with pytest.raises(RestoreError, match="export it with --window for larger ones"):
        Session(str(bundle.folder)).restore(np.zeros((600, 600, 3), np.uint8))


@pytest.mark.slow
def test_a_single_file_equals_pytorch(network: CISR) -> None:
    model = UnfoldedModel(network).export_single()
    assert [value.name for value in model.graph.input] == ["image", "keys"]
    random = np.random.default_rng(0)
    for n, rows, columns in ((1, 1, 1), (1, 9, 14), (1, 23, 8)):
        image = random.uniform(-0.5, 0.5, (n, 3, rows, columns)).astype(np.float32)
        keys = (random.random((n, 1, rows, columns)) < 0.8).astype(np.float32)
        for mask in (keys, np.ones_like(keys), np.zeros_like(keys)):
            (found,) = run_onnx(model, {"image": image, "keys": mask})
            with torch.no_grad():
                expected = network(torch.from_numpy(image), torch.from_numpy(mask)).numpy()
            np.testing.assert_allclose(found, expected, atol=1e-3 / 255, rtol=0)
    weights = sum(int(np.prod(tensor.dims)) for tensor in model.graph.initializer)
    assert weights < sum(p.numel() for p in network.parameters()) + 2000  # each once
