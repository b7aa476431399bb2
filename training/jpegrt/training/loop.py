"""The training loop: resumable, seeded, one recipe."""

import math
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader
from torch.utils.tensorboard import SummaryWriter
from tqdm import tqdm

from jpegrt.runtime.errors import UsageError
from jpegrt.training.average import WeightAverage
from jpegrt.training.batches import Batch, PatchBatches
from jpegrt.training.images import PatchSource, find_images
from jpegrt.training.loss import log_squared_error
from jpegrt.training.networks import build_cellnet
from jpegrt.training.networks.cellnet import CellNet
from jpegrt.training.optimizer import MuonAndAdam
from jpegrt.training.recipe import Recipe
from jpegrt.training.validation import Validation
from jpegrt.training.weights import find_weights, load_grown, save_weights

CHECKPOINT_SECONDS = 60


class Training:
    """One run: its state, its checkpoint file and its logs, all under runs/<recipe>/."""

    def __init__(
        self, recipe: Recipe, data: Path, runs: Path, *, resume: bool, steps: int | None = None
    ) -> None:
        """steps: ends the run after so many steps, which the schedule then fills, whatever the
        recipe's minutes.

        Raises FileNotFoundError, ValueError, UsageError; nothing is written then.
        """
        self._recipe, self._steps = recipe, steps
        self._folder = runs / recipe.name
        self._checkpoint = self._folder / "checkpoint.pt"
        if self._checkpoint.exists() and not resume:
            raise UsageError(
                f"{self._checkpoint} exists: pass --resume to go on, or choose another --runs"
            )
        schedule = recipe.schedule
        torch.manual_seed(schedule.seed)

        self.network = build_cellnet(recipe.network)
        if schedule.start_from:
            load_grown(self.network, find_weights(schedule.start_from, runs))
        self.network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        trained: nn.Module = getattr(self.network, schedule.part)
        self.network.requires_grad_(False)
        trained.requires_grad_(True)
        self._parameters = list(trained.parameters())
        self.average = WeightAverage(self.network, schedule.ema)
        self._optimizer = MuonAndAdam(trained, schedule.learning_rate)
        self.step, self._seconds = 0, 0.0
        if self._checkpoint.exists():
            self._restore_checkpoint()

        files = find_images(data, recipe.data.sets, recipe.data.validation_every)
        self._validation = Validation(files.validation, recipe.degradation, self.network.cell_px)
        batches = PatchBatches(
            PatchSource(files.training, recipe.data.patch_px),
            recipe.degradation,
            cell_px=self.network.cell_px,
            batch=schedule.batch,
            seed=schedule.seed,
            first_step=self.step,
        )
        self._loader: DataLoader[Batch] = DataLoader(
            batches, batch_size=None, num_workers=1, prefetch_factor=8
        )
        self._folder.mkdir(parents=True, exist_ok=True)
        self._log = SummaryWriter(str(self._folder), purge_step=self.step)

    @property
    def progress(self) -> float:
        """0 to 1."""
        if self._steps is not None:
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
                loss = self._train_on(batch)
                self._seconds += time.monotonic() - started
                bar.update()
                if self.step % 50 == 0:
                    self._log.add_scalar("loss", loss.item(), self.step)
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

    def _train_on(self, batch: Batch) -> Tensor:
        schedule = self._recipe.schedule
        warmup = min(1.0, (self.step + 1) / schedule.warmup_steps)
        cosine = 0.5 + 0.5 * math.cos(math.pi * self.progress)
        with torch.autocast("cpu", torch.bfloat16):
            loss = part_loss(self.network, schedule.part, batch)
        self.network.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self._parameters, 1.0)
        self._optimizer.step(schedule.learning_rate * warmup * cosine)
        self.average.update(self.network, self.step)
        self.step += 1
        return loss.detach()

    def _validate(self) -> str:
        part = self._recipe.schedule.part
        gains = self._validation.gains(self.average.network, part)
        for quality, gain in gains.items():
            self._log.add_scalar(f"{part} gain, dB/quality {quality}", gain, self.step)
        listed = "  ".join(f"Q{quality} {gain:+.3f}" for quality, gain in gains.items())
        return f"step {self.step}, {self._seconds / 60:.0f} min, {part} dB over JPEG: {listed}"

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
            state = torch.load(self._checkpoint, weights_only=True)
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


def part_loss(network: CellNet, part: str, batch: Batch) -> Tensor:
    """The loss of the part being trained; the other part only supplies features."""
    luma = batch.luma.contiguous(memory_format=torch.channels_last)
    if part == "luma":
        restored, _ = network.luma(luma, batch.steps[:, :64])
        return log_squared_error(restored, batch.target_luma, batch.steps[:, :64])
    assert batch.chroma is not None and batch.target_chroma is not None
    with torch.no_grad():
        restored_luma, features = network.luma(luma, batch.steps[:, :64])
    restored = network.chroma(restored_luma, features, batch.chroma, batch.steps, batch.sampling)
    return log_squared_error(restored, batch.target_chroma, batch.steps[:, 64:128])
