"""The training loop: it learns, and a run that was stopped goes on as if it had not been."""

import os
import signal
import time
from collections.abc import Iterator
from contextlib import nullcontext
from math import log
from pathlib import Path

import numpy as np
import pytest
import torch
from tests.runtime.command_line import CommandLine
from tests.training.photographs import write_recipe
from torch import Tensor

from jpegrt.runtime.errors import UsageError
from jpegrt.training import loop
from jpegrt.training.batches import Batch, CutPatches, PatchBatches
from jpegrt.training.degradation import Degradation
from jpegrt.training.devices import on_device
from jpegrt.training.images import PatchSource, find_images
from jpegrt.training.loop import Training
from jpegrt.training.loss import log_squared_error
from jpegrt.training.networks import build_network
from jpegrt.training.networks.cellnet import error_size
from jpegrt.training.optimizer import MuonAndAdam
from jpegrt.training.recipe import Recipe, load_recipe
from jpegrt.training.weights import load_weights

STEPS = 8


@pytest.fixture(autouse=True)
def _signals() -> Iterator[None]:
    """A run that kept its signal handlers would make the tests deaf to Ctrl-C."""
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    yield
    after = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    for number, handler in zip((signal.SIGINT, signal.SIGTERM), before, strict=True):
        signal.signal(number, handler)
    assert after == before


@pytest.fixture
def recipe(tmp_path: Path) -> Recipe:
    return load_recipe(write_recipe(tmp_path))


def checkpoint(runs: Path, recipe: Recipe) -> dict[str, object]:
    state: dict[str, object] = torch.load(runs / recipe.name / "checkpoint.pt", weights_only=True)
    return state


def flat(state: object) -> list[object]:
    """The leaves of nested dictionaries and lists, without how long the run took."""
    if isinstance(state, dict):
        return [leaf for key in state if key != "seconds" for leaf in flat(state[key])]
    if isinstance(state, list):
        return [leaf for item in state for leaf in flat(item)]
    return [state]


def assert_equal(one: object, other: object) -> None:
    pairs = list(zip(flat(one), flat(other), strict=True))
    assert len(pairs) > 50
    for a, b in pairs:
        assert torch.equal(a, b) if isinstance(a, Tensor) and isinstance(b, Tensor) else a == b


def stop_at(monkeypatch: pytest.MonkeyPatch, step: int, number: signal.Signals) -> None:
    """Sends this process a signal in the middle of a step."""
    train = Training._train_on

    def train_and_signal(self: Training, batch: Batch) -> Tensor:
        if self.step == step:
            os.kill(os.getpid(), number)
        return train(self, batch)

    monkeypatch.setattr(Training, "_train_on", train_and_signal)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stopped_run_goes_on_as_if_unbroken(
    data: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    number: signal.Signals,
) -> None:
    recipe = load_recipe(write_recipe(tmp_path))
    unbroken = tmp_path / "unbroken"
    Training(recipe, data, unbroken, resume=False, steps=STEPS).run()

    broken = tmp_path / "broken"
    with monkeypatch.context() as patched:
        stop_at(patched, 3, number)
        Training(recipe, data, broken, resume=False, steps=STEPS).run()
    assert checkpoint(broken, recipe)["step"] == 4
    resumed = Training(recipe, data, broken, resume=True, steps=STEPS)
    assert (resumed.step, resumed.progress) == (4, 0.5)
    weights = resumed.run()

    assert checkpoint(broken, recipe)["step"] == STEPS
    assert_equal(checkpoint(unbroken, recipe), checkpoint(broken, recipe))
    assert weights.read_bytes() == (unbroken / recipe.name / weights.name).read_bytes()
    assert not list(broken.rglob("*.part"))


def test_without_resume_a_run_is_not_overwritten(
    recipe: Recipe, data: Path, tmp_path: Path
) -> None:
    Training(recipe, data, tmp_path / "runs", resume=False, steps=2).run()
    with pytest.raises(UsageError, match="pass --resume to go on, or choose another --runs"):
        Training(recipe, data, tmp_path / "runs", resume=False, steps=2)
    assert Training(recipe, data, tmp_path / "other", resume=True, steps=2).step == 0


@pytest.mark.parametrize("content", [b"", b"damaged", None])
def test_a_checkpoint_that_does_not_fit_is_named(
    recipe: Recipe, data: Path, tmp_path: Path, content: bytes | None
) -> None:
    path = tmp_path / "runs" / recipe.name / "checkpoint.pt"
    path.parent.mkdir(parents=True)
    if content is None:
        torch.save({"network": {}, "step": 3}, path)
    else:
        path.write_bytes(content)
    with pytest.raises(UsageError, match=r"checkpoint\.pt is damaged, or of another network"):
        Training(recipe, data, tmp_path / "runs", resume=True, steps=2)


def test_the_schedule_ends_at_zero(
    recipe: Recipe, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rates: list[float] = []
    monkeypatch.setattr(MuonAndAdam, "step", lambda _self, rate: rates.append(rate))
    Training(recipe, data, tmp_path / "runs", resume=False, steps=4).run()
    highest = recipe.schedule.learning_rate
    cosines = [1.0, 0.5 + 0.5 * 0.5**0.5, 0.5, 0.5 - 0.5 * 0.5**0.5]
    warmups = [1 / 3, 2 / 3, 1, 1]
    expected = [highest * c * w for c, w in zip(cosines, warmups, strict=True)]
    assert rates == pytest.approx(expected)


@pytest.mark.parametrize("part", ["luma", "chroma"])
def test_the_loss_of_a_batch_falls(data: Path, tmp_path: Path, part: str) -> None:
    recipe = load_recipe(write_recipe(tmp_path, part=part))
    training = Training(recipe, data, tmp_path / "runs", resume=False, steps=120)
    source = PatchSource(find_images(data, ["meadows"], 4).training, 32)
    degradation = Degradation((10, 20), samplings=recipe.degradation.samplings)
    batch = next(iter(PatchBatches(source, degradation, cell_px=2, batch=4, seed=0, first_step=0)))
    losses = [float(training._train_on(batch)) for _ in range(120)]
    assert losses[-1] < losses[0] + log(0.8)


def test_a_run_improves_on_images_it_has_not_seen(
    recipe: Recipe, data: Path, tmp_path: Path
) -> None:
    training = Training(recipe, data, tmp_path / "runs", resume=False, steps=120)
    assert training._validation.gains(training.average.network)["Q10"] == 0
    training.run()
    assert training._validation.gains(training.average.network)["Q10"] > 0.1


def test_chroma_leaves_luma_as_it_is(data: Path, tmp_path: Path) -> None:
    luma = load_recipe(write_recipe(tmp_path))
    runs = tmp_path / "runs"
    weights = Training(luma, data, runs, resume=False, steps=2).run()
    chroma = load_recipe(write_recipe(tmp_path, part="chroma", start_from=luma.name))
    training = Training(chroma, data, runs, resume=False, steps=2)
    training.run()
    expected = build_network(luma.network)
    load_weights(expected, weights)
    for trained in (training.network, training.average.network):
        state = trained.state_dict()
        same = {
            name: torch.equal(state[name], value) for name, value in expected.state_dict().items()
        }
        assert all(equal for name, equal in same.items() if name.startswith("luma."))
        assert not all(equal for name, equal in same.items() if name.startswith("chroma."))


def test_a_missing_start_is_named(data: Path, tmp_path: Path) -> None:
    recipe = load_recipe(write_recipe(tmp_path, part="chroma", start_from="absent"))
    with pytest.raises(FileNotFoundError, match="jpegrt train absent"):
        Training(recipe, data, tmp_path / "runs", resume=False, steps=2)
    assert not (tmp_path / "runs").exists()


def test_a_halved_error_is_worth_the_same_everywhere() -> None:
    """At every quality, and on smooth and detailed images: 6 dB."""
    original = torch.rand(2, 4, 8, 8)
    for step in (2.0, 90.0):
        steps = torch.full((2, 64), step)
        for smoothness in (1, 3):
            error = torch.randn(2, 4, 8, 8) * error_size(steps) / smoothness
            losses = [log_squared_error(original + e, original, steps) for e in (error, error / 2)]
            assert losses[0] - losses[1] == pytest.approx(
                log(4), rel=0.3 if smoothness > 1 else 0.1
            )


def test_command(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    recipe, runs = write_recipe(tmp_path), tmp_path / "runs"
    jpegrt = CommandLine(capsys)
    arguments = ("train", recipe, "--data", data, "--runs", runs, "--threads", "1")
    outcome = jpegrt(*arguments, "--steps", "3")
    assert outcome.code == 0
    weights = runs / "small-luma" / "small-luma.safetensors"
    assert outcome.out.splitlines()[-1] == f"averaged weights: {weights}"
    assert "Q10" in outcome.out + outcome.err
    written = {path.name.split(".")[0] for path in weights.parent.iterdir()}
    assert written == {"small-luma", "checkpoint", "events"}
    assert jpegrt(*arguments, "--steps", "5", "--resume").code == 0
    assert checkpoint(runs, load_recipe(recipe))["step"] == 5


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("channels = 16", "chanels = 16", "chanels"),
        ("batch = 4", "batch = 0", "batch must be positive"),
        ("batch = 4", "batch = 5", ".png cannot be read"),  # nothing wrong with the recipe
    ],
)
def test_mistakes_are_one_line_and_leave_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], old: str, new: str, said: str
) -> None:
    recipe, runs = write_recipe(tmp_path), tmp_path / "runs"
    recipe.write_text(recipe.read_text().replace(old, new, 1))
    for set_name in ("meadows", "streets"):
        (tmp_path / set_name).mkdir()
        for n in range(4):
            (tmp_path / set_name / f"{n:02}.png").write_bytes(b"no image")
    outcome = CommandLine(capsys)("train", recipe, "--data", tmp_path, "--runs", runs)
    assert (outcome.code, outcome.out) == (2, "")
    assert said in outcome.err.splitlines()[-1]
    assert "Traceback" not in outcome.err
    assert not runs.exists()


@pytest.mark.parametrize("text", ["0", "-5", "nan", "inf", "long"])
def test_minutes_are_a_positive_number(capsys: pytest.CaptureFixture[str], text: str) -> None:
    outcome = CommandLine(capsys)("train", "cellnet", "--data", ".", f"--minutes={text}")
    assert outcome.code == 2
    assert "--minutes" in outcome.err.splitlines()[-1]


# A device without data: an operation with a tensor that was left on the CPU fails there.
@pytest.mark.parametrize("part", ["luma", "chroma"])
def test_nothing_of_a_step_stays_on_the_cpu(part: str, tmp_path: Path, data: Path) -> None:
    recipe = load_recipe(write_recipe(tmp_path, part=part))
    training = Training(recipe, data, tmp_path / "runs", resume=False, steps=2, device="meta")
    batch = next(iter(training._loader))
    before = training.step
    loss = training._train_on(on_device(batch, torch.device("meta")))
    assert (loss.device.type, training.step) == ("meta", before + 1)
    gradients = [p.grad for p in training._parameters if p.grad is not None]
    assert gradients
    assert all(gradient.device.type == "meta" for gradient in gradients)


@pytest.mark.filterwarnings("ignore:This DataLoader will create")  # on a machine of one core
def test_the_number_of_workers_changes_nothing(recipe: Recipe, data: Path, tmp_path: Path) -> None:
    def trained_with(workers: int) -> dict[str, object]:
        runs = tmp_path / f"{workers}"
        Training(recipe, data, runs, resume=False, steps=STEPS, workers=workers).run()
        return checkpoint(runs, recipe)

    assert_equal(trained_with(1), trained_with(3))


def test_a_missing_gpu_is_named(
    recipe: Recipe, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / f"{recipe.name}.toml"
    outcome = CommandLine(capsys)("train", file, "--data", data, "--device", "cuda")
    assert outcome.code == 2
    assert "PyTorch finds no CUDA device" in outcome.err


@pytest.mark.parametrize("part", ["luma", "chroma"])
def test_a_run_that_degrades_on_the_device_learns_the_same(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, part: str
) -> None:
    """Its workers hand out cuts alone. Muon, and bfloat16, would make much of a last bit."""
    monkeypatch.setattr(loop, "in_bfloat16", lambda _device: nullcontext())
    path = write_recipe(tmp_path, part=part)
    path.write_text(path.read_text() + 'optimizer = "sgd"\n')
    recipe = load_recipe(path)
    networks = {}
    for place in ("cpu", "device"):
        training = Training(
            recipe, data, tmp_path / place, resume=False, steps=STEPS, degrade_on=place
        )
        cut = next(iter(training._loader))
        assert hasattr(cut, "tables") == (place == "device")
        start = {name: v.clone() for name, v in training.network.state_dict().items()}
        training.run()
        networks[place] = training.network.state_dict()
    moved = max(float((networks["cpu"][name] - start[name]).abs().max()) for name in start)
    apart = max(float((networks["cpu"][n] - networks["device"][n]).abs().max()) for n in start)
    assert apart < 1e-3 * moved


def test_what_a_device_cannot_degrade_is_told(
    recipe: Recipe, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(PatchBatches, "device_can", False)
    with pytest.raises(UsageError, match="on the CPU alone: --degrade-on cpu"):
        Training(recipe, data, tmp_path / "runs", resume=False, steps=1, degrade_on="device")


def test_the_best_weights_are_kept(
    recipe: Recipe, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Through a resume, too, and whatever is measured because a run was stopped."""
    gains = iter([1.0, 3.0, 9.0, 2.0])
    training = Training(recipe, data, tmp_path / "runs", resume=False, steps=STEPS)
    monkeypatch.setattr(training._validation, "gains", lambda _network: {"Q10": next(gains)})
    training._validate(scheduled=True)
    first = training.best_weights_file.read_bytes()
    next(training.average.network.parameters()).data += 1
    training._validate(scheduled=True)
    best = training.best_weights_file.read_bytes()
    assert best != first
    next(training.average.network.parameters()).data += 1
    training._validate(scheduled=False)
    training._save_checkpoint()
    resumed = Training(recipe, data, tmp_path / "runs", resume=True, steps=STEPS)
    monkeypatch.setattr(resumed._validation, "gains", lambda _network: {"Q10": next(gains)})
    resumed._validate(scheduled=True)
    assert resumed.best_weights_file.read_bytes() == best


@pytest.mark.parametrize("wall_clock", [False, True])
def test_minutes_of_the_wall_clock_count_waiting(
    recipe: Recipe, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wall_clock: bool
) -> None:
    cut = PatchBatches.cut

    def cut_slowly(self: PatchBatches, rng: np.random.Generator) -> CutPatches:
        time.sleep(0.5)
        return cut(self, rng)

    monkeypatch.setattr(PatchBatches, "cut", cut_slowly)
    training = Training(
        recipe, data, tmp_path / "runs", resume=False, steps=2, wall_clock=wall_clock
    )
    started = time.monotonic()
    training.run()
    taken = time.monotonic() - started
    counted = 60 * training.minutes
    assert counted >= 1 if wall_clock else counted <= taken - 0.5
