"""The training loop: resumable, seeded, one recipe."""

import copy
import math
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils.data import DataLoader
from torch.utils.tensorboard import SummaryWriter
from tqdm import tqdm

from jpegrt.runtime.errors import UsageError
from jpegrt.training.average import WeightAverage
from jpegrt.training.devices import in_bfloat16, on_device
from jpegrt.training.images import find_images
from jpegrt.training.networks import build_network
from jpegrt.training.optimizer import clip_gradients, create_optimizer
from jpegrt.training.processes import Processes
from jpegrt.training.recipe import Recipe
from jpegrt.training.seeded_batches import CutBatches, SeededBatches
from jpegrt.training.tasks import create_task
from jpegrt.training.weights import find_weights, load_grown, save_weights

CHECKPOINT_SECONDS = 60
LOG_STEPS = 50


class Training:
    """One run: its state, its checkpoint file and its logs, all under runs/<recipe>/.

    In each of several processes (`processes`) there is one; the first one's writes.

    gains: of the averaged weights, as last measured. stopped: whether a signal has ended `run`.
    """

    def __init__(
        self,
        recipe: Recipe,
        data: Path,
        runs: Path,
        *,
        resume: bool,
        steps: int | None = None,
        device: str = "cpu",
        workers: int = 1,
        degrade_on: str | None = None,
        wall_clock: bool = False,
    ) -> None:
        """steps: ends the run after so many steps, which the schedule then fills, whatever the
        recipe says.
        device: what the network is trained on; a run may go on on another.
        workers: processes that make batches. How many does not change the batches.
        degrade_on: where patches are degraded, "cpu" by libjpeg in the workers, or "device", which
        gives the same batches; by default on the device if that is a GPU.
        wall_clock: whether minutes are those that pass, not those of the steps alone.

        Raises FileNotFoundError, ValueError, UsageError; nothing is written then.
        """
        self._processes = Processes(device)
        self._device = self._processes.device
        share = self._processes.share(recipe.schedule.batch)
        recipe = replace(recipe, schedule=replace(recipe.schedule, batch=share))
        self._recipe, self._steps = recipe, steps or recipe.schedule.steps
        self._wall_clock = wall_clock
        self._folder = runs / recipe.name
        self.checkpoint_file = self._folder / "checkpoint.pt"
        if self.checkpoint_file.exists() and not resume:
            raise UsageError(
                f"{self.checkpoint_file} exists: pass --resume to go on, or choose another --runs"
            )
        schedule = recipe.schedule
        torch.manual_seed(schedule.seed)

        self.network = build_network(recipe.network)
        if schedule.start_from:
            load_grown(self.network, find_weights(schedule.start_from, runs))
        self.network.to(self._device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._task = create_task(recipe, self.network)
        trained = self._task.trained(self.network)
        self.network.requires_grad_(False)
        trained.requires_grad_(True)
        self._parameters = list(trained.parameters())
        self._statistics = _statistics(trained)
        self.average = WeightAverage(self.network, schedule.ema)
        self._optimizer = create_optimizer(trained, schedule)
        self.step, self._seconds, self._best = 0, 0.0, -math.inf
        self.gains: dict[str, float] = {}
        self.stopped = False
        if self.checkpoint_file.exists():
            self._restore_checkpoint()

        files = find_images(data, recipe.data.sets, recipe.data.validation_every)
        batches = self._task.batches(files.training, self.step)
        batches.rank = self._processes.rank
        self._degrader = _device_degrader(batches, degrade_on, self._device)
        self._loader: DataLoader[Any] = DataLoader(
            batches,
            batch_size=None,
            num_workers=workers,
            prefetch_factor=8,
        )
        if self.first:
            self._validation = self._task.validation(files.validation)
            self._folder.mkdir(parents=True, exist_ok=True)
            self._log = SummaryWriter(str(self._folder), purge_step=self.step)

    @property
    def first(self) -> bool:
        """Whether this process is the one that writes."""
        return self._processes.first

    @property
    def minutes(self) -> float:
        """That the run has had."""
        return self._seconds / 60

    @property
    def progress(self) -> float:
        """0 to 1."""
        if self._steps:
            return min(1.0, self.step / self._steps)
        return min(1.0, self._seconds / (60 * self._recipe.schedule.minutes))

    def run(self) -> Path:
        """Trains to the end, or to SIGINT or SIGTERM, which leave a checkpoint to resume from.

        Returns the file of the averaged weights.
        """
        with _stop_signals() as stopped:
            self._train(stopped)
        if self.first:
            self._save_checkpoint()
            tqdm.write(self._validate(scheduled=False))
            self._save_checkpoint()  # now with how good the best weights are
            self._log.close()
        self._processes.wait()
        return self.weights_file

    def _train(self, stopped: list[int]) -> None:
        last_saved = last_validated = self._seconds
        started = time.monotonic()
        with tqdm(
            desc=self._recipe.name, unit="step", initial=self.step, disable=not self.first
        ) as bar:
            for batch in self._loader:
                if self.progress >= 1 or self.stopped:
                    break
                if not self._wall_clock:
                    started = time.monotonic()
                loss = self._train_on(self._ready(batch))
                if self._device.type == "cuda":
                    torch.cuda.synchronize(self._device)  # or the time would be that of enqueuing
                now = time.monotonic()
                # All must do the same: how far the run is, and so the learning rate, is of seconds.
                seconds, self.stopped = self._processes.agree(now - started, bool(stopped))
                self._seconds, started = self._seconds + seconds, now
                bar.update()
                if not self.first:
                    continue
                if self.step % LOG_STEPS == 0:
                    bar.set_postfix_str(f"{self.progress:.1%} done, loss {loss.item():.4f}")
                if self._seconds - last_saved > CHECKPOINT_SECONDS:
                    self._save_checkpoint()
                    last_saved = self._seconds
                if self._seconds - last_validated > 60 * self._recipe.schedule.validate_minutes:
                    tqdm.write(self._validate(scheduled=True))
                    last_validated = self._seconds

    def _ready(self, batch: Any) -> Any:
        """On the device, and degraded."""
        batch = on_device(batch, self._device)
        return self._degrader.degrade_on_device(batch) if self._degrader else batch

    @property
    def weights_file(self) -> Path:
        """The averaged weights, as of the last checkpoint."""
        return self._folder / f"{self._recipe.name}.safetensors"

    @property
    def best_weights_file(self) -> Path:
        """The averaged weights that gained most on the held-out images, on average."""
        return self._folder / f"{self._recipe.name}.best.safetensors"

    def _train_on(self, batch: Any) -> Tensor:
        schedule = self._recipe.schedule
        rate = schedule.learning_rate_at(self.step, self.progress)
        with in_bfloat16(self._device):
            losses = self._task.losses(self.network, batch)
        loss = torch.stack(list(losses.values())).sum()
        self.network.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        self._processes.average_gradients(self._parameters)
        self._processes.average(self._statistics)
        clip_gradients(self._parameters, schedule, rate)
        self._optimizer.step(rate)
        self.average.update(self.network, self.step)
        self.step += 1
        if self.step % LOG_STEPS == 0 and self.first:
            self._log_losses(losses, loss)
        return loss.detach()

    def _log_losses(self, terms: dict[str, Tensor], loss: Tensor) -> None:
        self._log.add_scalar("loss", loss.item(), self.step)
        if len(terms) > 1:
            for name, term in terms.items():
                self._log.add_scalar(f"loss terms/{name}", term.item(), self.step)

    def _validate(self, *, scheduled: bool) -> str:
        part = self._recipe.schedule.part
        gains = self._validation.gains(copy.deepcopy(self.average.network).cpu())
        self.gains = gains
        mean = sum(gains.values()) / len(gains)
        # What is measured only because a run was stopped must not change it.
        if mean > self._best and (scheduled or self.progress >= 1):
            self._best = mean
            save_weights(self.average.network, self.best_weights_file)
        for name, gain in gains.items():
            self._log.add_scalar(f"{part} gain, dB/{name}", gain, self.step)
        listed = "  ".join(f"{name} {gain:+.3f}" for name, gain in gains.items())
        return f"step {self.step}, {self.minutes:.0f} min, {part} dB over the input: {listed}"

    def _save_checkpoint(self) -> None:
        state: dict[str, Any] = {
            "network": self.network.state_dict(),
            "average": self.average.network.state_dict(),
            "optimizer": self._optimizer.state_dict(),
            "step": self.step,
            "seconds": self._seconds,
            "best": self._best,
        }
        temporary = self.checkpoint_file.with_suffix(".part")
        torch.save(state, temporary)
        temporary.replace(self.checkpoint_file)
        save_weights(self.average.network, self.weights_file)

    def _restore_checkpoint(self) -> None:
        try:
            state = torch.load(self.checkpoint_file, map_location=self._device, weights_only=True)
            self.network.load_state_dict(state["network"])
            self.average.network.load_state_dict(state["average"])
            self._optimizer.load_state_dict(state["optimizer"])
            self.step, self._seconds = state["step"], state["seconds"]
            self._best = state.get("best", self._best)  # which runs of the past did not note
        except Exception as error:  # what torch raises of broken files shares no base class
            raise UsageError(
                f"{self.checkpoint_file} is damaged, or of another network than recipe "
                f"{self._recipe.name} has: delete it, or choose another --runs"
            ) from error


def _statistics(network: nn.Module) -> list[Tensor]:
    """What batch norms keep of the batches that they have seen."""
    norms = [module for module in network.modules() if isinstance(module, _BatchNorm)]
    kept = [statistic for norm in norms for statistic in (norm.running_mean, norm.running_var)]
    return [statistic for statistic in kept if statistic is not None]


def _device_degrader(
    batches: SeededBatches[Any], degrade_on: str | None, device: torch.device
) -> CutBatches[Any, Any] | None:
    """`batches`, told to draw cuts, if it is the device that degrades them."""
    if degrade_on == "cpu" or (degrade_on is None and device.type != "cuda"):
        return None
    if isinstance(batches, CutBatches) and batches.device_can:
        batches.only_cuts = True
        return batches
    if degrade_on == "device":
        raise UsageError("this recipe's patches can be degraded on the CPU alone: --degrade-on cpu")
    return None


@contextmanager
def _stop_signals() -> Iterator[list[int]]:
    """Collects SIGINT and SIGTERM instead of obeying them."""
    received: list[int] = []
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = {n: signal.signal(n, lambda number, _: received.append(number)) for n in numbers}
    try:
        yield received
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
