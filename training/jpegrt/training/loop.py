"""The training loop: resumable, seeded, one recipe."""

import copy
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader
from torch.utils.tensorboard import SummaryWriter
from tqdm import tqdm

from jpegrt.runtime.errors import UsageError
from jpegrt.training.average import WeightAverage
from jpegrt.training.devices import in_bfloat16, on_device
from jpegrt.training.images import find_images
from jpegrt.training.networks import build_network
from jpegrt.training.optimizer import clip_gradients, create_optimizer
from jpegrt.training.recipe import Recipe
from jpegrt.training.tasks import create_task
from jpegrt.training.weights import find_weights, load_grown, save_weights

CHECKPOINT_SECONDS = 60
LOG_STEPS = 50


class Training:
    """One run: its state, its checkpoint file and its logs, all under runs/<recipe>/."""

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
    ) -> None:
        """steps: ends the run after so many steps, which the schedule then fills, whatever the
        recipe says.
        device: what the network is trained on; a run may go on on another.
        workers: processes that make batches. How many does not change the batches.

        Raises FileNotFoundError, ValueError, UsageError; nothing is written then.
        """
        self._recipe, self._steps = recipe, steps or recipe.schedule.steps
        self._device = torch.device(device)
        self._folder = runs / recipe.name
        self._checkpoint = self._folder / "checkpoint.pt"
        if self._checkpoint.exists() and not resume:
            raise UsageError(
                f"{self._checkpoint} exists: pass --resume to go on, or choose another --runs"
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
        self.average = WeightAverage(self.network, schedule.ema)
        self._optimizer = create_optimizer(trained, schedule)
        self.step, self._seconds = 0, 0.0
        if self._checkpoint.exists():
            self._restore_checkpoint()

        files = find_images(data, recipe.data.sets, recipe.data.validation_every)
        self._validation = self._task.validation(files.validation)
        batches = self._task.batches(files.training, self.step)
        self._loader: DataLoader[Any] = DataLoader(
            batches,
            batch_size=None,
            num_workers=workers,
            prefetch_factor=8,
        )
        self._folder.mkdir(parents=True, exist_ok=True)
        self._log = SummaryWriter(str(self._folder), purge_step=self.step)

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
        self._save_checkpoint()
        tqdm.write(self._validate())
        self._log.close()
        return self._weights_file

    def _train(self, stopped: list[int]) -> None:
        last_saved = last_validated = self._seconds
        with tqdm(desc=self._recipe.name, unit="step", initial=self.step) as bar:
            for batch in self._loader:
                if self.progress >= 1 or stopped:
                    break
                started = time.monotonic()
                loss = self._train_on(on_device(batch, self._device))
                if self._device.type == "cuda":
                    torch.cuda.synchronize(self._device)  # or the time would be that of enqueuing
                self._seconds += time.monotonic() - started
                bar.update()
                if self.step % LOG_STEPS == 0:
                    bar.set_postfix_str(f"{self.progress:.1%} done, loss {loss.item():.4f}")
                if self._seconds - last_saved > CHECKPOINT_SECONDS:
                    self._save_checkpoint()
                    last_saved = self._seconds
                if self._seconds - last_validated > 60 * self._recipe.schedule.validate_minutes:
                    tqdm.write(self._validate())
                    last_validated = self._seconds

    @property
    def _weights_file(self) -> Path:
        return self._folder / f"{self._recipe.name}.safetensors"

    def _train_on(self, batch: Any) -> Tensor:
        schedule = self._recipe.schedule
        rate = schedule.learning_rate_at(self.step, self.progress)
        with in_bfloat16(self._device):
            losses = self._task.losses(self.network, batch)
        loss = torch.stack(list(losses.values())).sum()
        self.network.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        clip_gradients(self._parameters, schedule, rate)
        self._optimizer.step(rate)
        self.average.update(self.network, self.step)
        self.step += 1
        if self.step % LOG_STEPS == 0:
            self._log_losses(losses, loss)
        return loss.detach()

    def _log_losses(self, terms: dict[str, Tensor], loss: Tensor) -> None:
        self._log.add_scalar("loss", loss.item(), self.step)
        if len(terms) > 1:
            for name, term in terms.items():
                self._log.add_scalar(f"loss terms/{name}", term.item(), self.step)

    def _validate(self) -> str:
        part = self._recipe.schedule.part
        gains = self._validation.gains(copy.deepcopy(self.average.network).cpu())
        for name, gain in gains.items():
            self._log.add_scalar(f"{part} gain, dB/{name}", gain, self.step)
        listed = "  ".join(f"{name} {gain:+.3f}" for name, gain in gains.items())
        minutes = self._seconds / 60
        return f"step {self.step}, {minutes:.0f} min, {part} dB over the input: {listed}"

    def _save_checkpoint(self) -> None:
        state: dict[str, Any] = {
            "network": self.network.state_dict(),
            "average": self.average.network.state_dict(),
            "optimizer": self._optimizer.state_dict(),
            "step": self.step,
            "seconds": self._seconds,
        }
        temporary = self._checkpoint.with_suffix(".part")
        torch.save(state, temporary)
        temporary.replace(self._checkpoint)
        save_weights(self.average.network, self._weights_file)

    def _restore_checkpoint(self) -> None:
        try:
            state = torch.load(self._checkpoint, map_location=self._device, weights_only=True)
            self.network.load_state_dict(state["network"])
            self.average.network.load_state_dict(state["average"])
            self._optimizer.load_state_dict(state["optimizer"])
            self.step, self._seconds = state["step"], state["seconds"]
        except Exception as error:  # what torch raises of broken files shares no base class
            raise UsageError(
                f"{self._checkpoint} is damaged, or of another network than recipe "
                f"{self._recipe.name} has: delete it, or choose another --runs"
            ) from error


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
