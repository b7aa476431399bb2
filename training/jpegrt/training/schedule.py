"""How long a run is, and how its steps are made."""

import math
from dataclasses import dataclass
from math import inf

OPTIMIZERS = ("muon", "adam", "sgd")
DECAYS = ("cosine", "exponential")
LOSSES = ("log", "mse", "l1")


@dataclass(frozen=True)
class Schedule:
    """part: which weights are trained; the names are the architecture's (`architectures`). The
        others are frozen.
    start_from: the recipe whose weights a run begins with (its network may be smaller); none if
        empty.
    minutes: length of the run, which the learning rate's decay fills; steps: its length in steps,
        instead of minutes unless 0.
    loss: "log" is the mean over the patches of the logarithm of their mean squared error, "mse" the
        mean squared, "l1" the mean absolute error.
    optimizer: "muon" (Adam for what is no convolution between features), "adam", or "sgd".
    momentum: of "sgd". weight_decay: of "sgd", where it is part of the gradient, and of "adam",
        where it is not.
    learning_rate_end: what the learning rate decays to, by the "cosine" or "exponential" decay.
    stairs: into how many the decay is divided, each at one rate; 0 is a smooth one.
    clip_norm: the largest norm of all gradients together; 0 is none.
    clip_tau: gradients are clipped to [-clip_tau / learning rate, clip_tau / learning rate], the
        rate that of the step; 0 leaves them.
    ema: decay of the averaged weights, which are the ones kept.
    """

    part: str = "all"
    start_from: str = ""
    minutes: float = 60
    steps: int = 0
    batch: int = 24
    loss: str = "log"
    optimizer: str = "muon"
    momentum: float = 0.9
    weight_decay: float = 0.0
    learning_rate: float = 1e-3
    learning_rate_end: float = 0.0
    decay: str = "cosine"
    stairs: int = 0
    warmup_steps: int = 100
    clip_norm: float = 1.0
    clip_tau: float = 0.0
    ema: float = 0.999
    seed: int = 0
    validate_minutes: float = 5

    def __post_init__(self) -> None:
        for name, choices in (("loss", LOSSES), ("optimizer", OPTIMIZERS), ("decay", DECAYS)):
            if getattr(self, name) not in choices:
                raise ValueError(
                    f"{name} must be one of {', '.join(choices)}, got {getattr(self, name)!r}"
                )
        for name in ("minutes", "batch", "learning_rate", "warmup_steps", "validate_minutes"):
            if not 0 < getattr(self, name) < inf:
                raise ValueError(f"{name} must be positive, got {getattr(self, name)}")
        if self.stairs < 0 or self.stairs == 1:
            raise ValueError(f"stairs must be 0, or at least 2, got {self.stairs}")
        for name in ("steps", "weight_decay", "clip_norm", "clip_tau", "seed"):
            if not 0 <= getattr(self, name) < inf:
                raise ValueError(f"{name} must not be negative, got {getattr(self, name)}")
        for name in ("ema", "momentum"):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(f"{name} must be from 0 to below 1, got {getattr(self, name)}")
        if self.weight_decay and self.optimizer == "muon":
            raise ValueError('weight_decay is of "sgd" and "adam", take it out')
        if self.clip_norm and self.clip_tau:
            raise ValueError("one of clip_norm and clip_tau must be 0")
        if not 0 <= self.learning_rate_end <= self.learning_rate:
            raise ValueError(
                f"learning_rate_end must be from 0 to learning_rate, got {self.learning_rate_end}"
            )
        if self.decay == "exponential" and self.learning_rate_end == 0:
            raise ValueError("the exponential decay needs a learning_rate_end above 0")

    def learning_rate_at(self, step: int, progress: float) -> float:
        """progress: of the run, 0 to 1."""
        highest, lowest = self.learning_rate, self.learning_rate_end
        if self.stairs:
            progress = min(int(progress * self.stairs) / (self.stairs - 1), 1.0)
        if self.decay == "cosine":
            rate = lowest + (highest - lowest) * (0.5 + 0.5 * math.cos(math.pi * progress))
        else:
            rate = highest * (lowest / highest) ** progress
        return rate * min(1.0, (step + 1) / self.warmup_steps)
