"""Networks that take pixels learn, and a run that was stopped goes on as if it had not been."""

import os
import signal
from math import log
from pathlib import Path
from typing import Any

import pytest
import torch
from tests.runtime.command_line import CommandLine
from tests.training.pixel_recipes import write_pixel_recipe
from tests.training.test_loop import assert_equal, checkpoint
from torch import Tensor, nn

from jpegrt.training.architectures import ARCHITECTURES
from jpegrt.training.average import WeightAverage
from jpegrt.training.loop import Training
from jpegrt.training.networks import build_network
from jpegrt.training.recipe import load_recipe
from jpegrt.training.tasks import TASKS, create_task
from jpegrt.training.tasks.pixels import PixelTask
from jpegrt.training.weights import load_weights, save_weights


@pytest.mark.parametrize("optimizer", ["muon", "adam", "sgd"])
def test_a_stopped_run_goes_on_as_if_unbroken(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, optimizer: str
) -> None:
    recipe = load_recipe(write_pixel_recipe(tmp_path, optimizer=optimizer))
    unbroken, broken = tmp_path / "unbroken", tmp_path / "broken"
    Training(recipe, data, unbroken, resume=False).run()

    train = Training._train_on

    def train_and_stop(self: Training, batch: Any) -> Tensor:
        if self.step == 3:
            os.kill(os.getpid(), signal.SIGTERM)
        return train(self, batch)

    with monkeypatch.context() as patched:
        patched.setattr(Training, "_train_on", train_and_stop)
        Training(recipe, data, broken, resume=False).run()
    assert checkpoint(broken, recipe)["step"] == 4
    weights = Training(recipe, data, broken, resume=True).run()
    assert_equal(checkpoint(unbroken, recipe), checkpoint(broken, recipe))
    assert weights.read_bytes() == (unbroken / recipe.name / weights.name).read_bytes()


@pytest.mark.parametrize("activation", ["before", "after"])
@pytest.mark.parametrize("loss", ["log", "mse", "l1"])
def test_the_loss_of_a_batch_falls(data: Path, tmp_path: Path, activation: str, loss: str) -> None:
    path = write_pixel_recipe(
        tmp_path,
        activation=activation,
        loss=loss,
        optimizer="muon",
        scales=(1,),
        uncompressed=0,
    )
    training = Training(load_recipe(path), data, tmp_path / "runs", resume=False, steps=80)
    batch = next(iter(training._loader.dataset))
    losses = [float(training._train_on(batch)) for _ in range(80)]
    assert losses[-1] < (losses[0] + log(0.9) if loss == "log" else 0.9 * losses[0])


def test_a_run_improves_on_images_it_has_not_seen(data: Path, tmp_path: Path) -> None:
    """In evaluation mode, with averaged weights and statistics."""
    path = write_pixel_recipe(tmp_path, scales=(1, 2), optimizer="muon")
    training = Training(load_recipe(path), data, tmp_path / "runs", resume=False, steps=150)
    new = training._validation.gains(training.average.network)
    assert set(new) == {"Q10", "Q20", "x2 Q30", "x2"}
    assert set(new.values()) == {0.0}
    training.run()
    trained = training._validation.gains(training.average.network)
    assert trained["Q10"] > 0.1
    assert trained["x2 Q30"] > 0.1


def test_the_average_has_the_statistics_too() -> None:
    network = nn.BatchNorm2d(3)
    average = WeightAverage(network, decay=0.0)
    for step in range(3):
        network(torch.rand(2, 3, 4, 4) + 5)
        average.update(network, step)
    assert not average.network.training
    assert int(network.num_batches_tracked or 0) == 3
    for kept, buffer in zip(average.network.buffers(), network.buffers(), strict=True):
        assert torch.equal(kept, buffer)
    halved = WeightAverage(network, decay=0.5)
    assert network.running_mean is not None
    before = network.running_mean.clone()
    network.running_mean += 2.0
    halved.update(network, step=100)
    assert halved.network.running_mean is not None
    assert torch.allclose(halved.network.running_mean, before + 1)


def test_statistics_survive_in_full_precision(tmp_path: Path) -> None:
    saved, loaded = nn.BatchNorm2d(3), nn.BatchNorm2d(3)
    assert saved.running_var is not None and saved.num_batches_tracked is not None
    saved.running_var.fill_(1e-9)
    saved.num_batches_tracked.fill_(90_000)
    with torch.no_grad():
        saved.weight.fill_(1 / 3)
    save_weights(saved, tmp_path / "a.safetensors")
    load_weights(loaded, tmp_path / "a.safetensors")
    for one, other in zip(saved.buffers(), loaded.buffers(), strict=True):
        assert torch.equal(one, other)
    assert torch.equal(loaded.weight, saved.weight.half().float())


class Repeating(nn.Module):
    """Enlarges by repeating pixels, after a gain that is learned."""

    def __init__(self, domain: str, enlargement: int) -> None:
        super().__init__()
        self.domain, self.enlargement = domain, enlargement
        self.gain = nn.Parameter(torch.tensor(0.5))

    def forward(self, image: Tensor) -> Tensor:
        e = self.enlargement
        return self.gain * image.repeat_interleave(e, 2).repeat_interleave(e, 3)


def test_a_network_that_enlarges_by_itself(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In RGB: it needs nothing but its name in TASKS."""
    monkeypatch.setitem(TASKS, "jscnn", PixelTask)
    network = Repeating("rgb", 2)
    monkeypatch.setattr("jpegrt.training.loop.build_network", lambda options: network)
    path = write_pixel_recipe(tmp_path, scales=(2,), loss="l1")
    path.write_text(path.read_text().replace("quality =", 'samplings = ["420"]\nquality ='))
    training = Training(load_recipe(path), data, tmp_path / "runs", resume=False, steps=40)
    before = training._validation.gains(training.average.network)["x2 Q30"]
    training.run()
    assert training._validation.gains(training.average.network)["x2 Q30"] > before + 0.5


@pytest.mark.parametrize(
    ("network", "scales", "said"),
    [
        (Repeating("luma", 2), (2, 3), r"scales must be \[2\], which is what the network enlarges"),
        (Repeating("rgb", 2), (2,), 'samplings must be some of "444"'),
        (Repeating("luma", 3), (3,), "patch_px must be a multiple of 3"),
    ],
)
def test_recipes_that_do_not_fit_their_network_are_refused(
    tmp_path: Path, network: Repeating, scales: tuple[int, ...], said: str
) -> None:
    recipe = load_recipe(write_pixel_recipe(tmp_path, scales=scales))
    with pytest.raises(ValueError, match=f"recipe small-pixels: {said}"):
        PixelTask(recipe, network)


def test_every_architecture_of_recipes_has_a_task(tmp_path: Path) -> None:
    assert set(TASKS) == set(ARCHITECTURES)
    recipe = load_recipe(write_pixel_recipe(tmp_path))
    network = build_network(recipe.network)
    assert create_task(recipe, network).trained(network) is network


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('architecture = "jscnn"', 'architecture = "unet"', "unknown architecture 'unet'"),
        ("batch = 4", 'part = "luma"', "part must be one of all, got 'luma'"),
        ("scales = [1, 2, 3]", "scales = [1, 2.0]", "has the wrong type"),
        ("quality = [10, 30]", "other_tables = 0.2", r"unknown keys \['other_tables'\]"),
    ],
)
def test_mistakes_are_refused(tmp_path: Path, old: str, new: str, said: str) -> None:
    path = write_pixel_recipe(tmp_path)
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))
    with pytest.raises(ValueError, match=said):
        load_recipe(path)


def test_a_run_starts_from_anothers_weights_and_statistics(data: Path, tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    path = write_pixel_recipe(tmp_path)
    first = Training(load_recipe(path), data, runs, resume=False)
    weights = first.run()
    second = path.with_name("second.toml")
    second.write_text(path.read_text().replace("steps = 8", f'start_from = "{path.stem}"'))
    training = Training(load_recipe(second), data, runs, resume=False)
    expected = build_network(load_recipe(path).network)
    load_weights(expected, weights)
    for name, value in expected.state_dict().items():
        assert torch.equal(training.network.state_dict()[name], value), name


def test_minutes_take_the_place_of_a_recipes_steps(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write_pixel_recipe(tmp_path)
    path.write_text(path.read_text().replace("steps = 8", "steps = 1_000_000"))
    arguments = ("--data", data, "--runs", tmp_path / "runs", "--minutes", "0.003")
    assert CommandLine(capsys)("train", path, *arguments).code == 0
    steps = checkpoint(tmp_path / "runs", load_recipe(path))["step"]
    assert isinstance(steps, int) and 0 < steps < 1000
