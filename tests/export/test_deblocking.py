"""What networks that deblock and then enlarge have in between, in bundles and in sessions."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from numpy.typing import NDArray
from tests.kernels.images import Pixels, synthetic
from tests.training.probing import randomised
from torch import nn

from jpegrt.export.bundle_writer import BundleRequest, write_bundle
from jpegrt.export.pixel_model import PixelModel
from jpegrt.kernels import reference
from jpegrt.runtime import Session, UsageError
from jpegrt.runtime.bundle import MANIFEST, Bundle
from jpegrt.training.networks import build_network
from jpegrt.training.networks.cjpgsr import CJPGSR

CAR = {"car_channels": 24, "car_layers": 2, "channels": 8, "blocks": 1}
OPTIONS: dict[str, dict[str, Any]] = {
    "carsr": {"architecture": "carsr", "scale": 2, **CAR},
    "cjpgsr": {"architecture": "cjpgsr", "scale": 4, "channels": 8, "groups": 1},
}


def random_network(architecture: str) -> Any:
    """Every weight and statistic matters."""
    network = randomised(build_network(OPTIONS[architecture]), 0.08)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            assert module.running_mean is not None and module.running_var is not None
            module.running_mean.uniform_(-0.2, 0.2)
            module.running_var.uniform_(0.5, 2)
            nn.init.uniform_(module.weight, 0.5, 1.5)
    return network.eval()


@torch.no_grad()
def deblocked_in_torch(network: Any, pixels: Pixels) -> NDArray[np.float64]:
    """(H, W, 3) levels to (H, W, 3) levels."""
    image = torch.from_numpy(pixels).permute(2, 0, 1)[None].float()
    low = network.forward_stages((image - 128) / 255)[0]
    levels: NDArray[np.float64] = low[0].permute(1, 2, 0).double().numpy() * 255 + 128
    return levels.clip(0, 255)


@pytest.fixture(scope="module", params=list(OPTIONS))
def exported(
    request: pytest.FixtureRequest,
    photographs: list[Path],
    tmp_path_factory: pytest.TempPathFactory,
) -> tuple[Any, Bundle]:
    network = random_network(request.param)
    asked = BundleRequest("small", PixelModel(network), ["fp32", "fp16"], [], photographs[:1], {})
    folder = tmp_path_factory.mktemp("bundles") / "small"
    return network, write_bundle(asked, folder, lambda line: None)


@pytest.mark.parametrize("engine", ["onnxruntime", "openvino"])
def test_sessions_answer_as_pytorch_does(exported: tuple[Any, Bundle], engine: str) -> None:
    network, bundle = exported
    session = Session(str(bundle.folder), precision="fp32", engine=engine, threads=1)
    for size in ((1, 1), (17, 24), (31, 19)):
        pixels = synthetic(*size)
        expected = deblocked_in_torch(network, pixels)
        found = session.deblocked(pixels, 16) / 257
        assert np.abs(found - expected).max() < 1e-3 + 0.5 / 257
        grey = pixels[..., 0]
        of_grey = deblocked_in_torch(network, np.stack([grey] * 3, -1))
        found = session.deblocked(grey, 16) / 257
        assert found.shape == size
        assert np.abs(found - reference.luma_of(of_grey)).max() < 2e-3 + 0.5 / 257
    assert np.abs(expected - pixels).mean() > 1  # it changes something
    whole = Session(str(bundle.folder), precision="fp16", engine=engine, threads=1)
    assert np.abs(whole.deblocked(pixels).astype(int) - expected).max() < 1.5


def test_the_bundle_has_the_stage_beside_the_whole(exported: tuple[Any, Bundle]) -> None:
    _, bundle = exported
    assert [graph.name for graph in bundle.spec.graphs] == ["rgb"]
    assert bundle.deblocking_graph == "deblocked"
    for engine in ("openvino", "onnxruntime"):
        figures = bundle.manifest["precisions"]["fp32"]["verification"][engine]
        assert set(figures) == {"rgb", "deblocked"}
        assert figures["deblocked"]["largest_error"] < 1e-5
        assert set(figures["deblocked"]["psnr_loss_db"]) == {"whole"}
    whole, stage = (
        {
            weight.raw_data
            for weight in onnx.load_from_string(bundle.read_graph(graph, "fp32")).graph.initializer
            if len(weight.raw_data) >= 512
        }
        for graph in ("rgb", "deblocked")
    )
    assert stage and stage < whole  # so none is stored twice


def test_networks_without_a_first_stage_have_no_such_graph() -> None:
    model = PixelModel(CJPGSR(4, 8, 1, recovering=False))
    assert [spec.name for spec in model.specs] == ["rgb"]
    assert "deblocking" not in model.manifest()


def test_a_bundle_without_it_is_told_of(exported: tuple[Any, Bundle], tmp_path: Path) -> None:
    _, bundle = exported
    folder = Path(shutil.copytree(bundle.folder, tmp_path / "bundle"))
    manifest = json.loads((folder / MANIFEST).read_text())
    del manifest["deblocking"]
    for precision in manifest["precisions"].values():
        del precision["files"]["deblocked"]
    (folder / MANIFEST).write_text(json.dumps(manifest))
    with pytest.raises(UsageError, match="small makes no deblocked image before it enlarges"):
        Session(str(folder), threads=1).deblocked(synthetic(8, 8))
