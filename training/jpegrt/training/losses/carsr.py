"""The three steps in which CAR-SR is trained (section 3 of its paper)."""

from typing import Literal, get_args

import torch
from torch import Tensor
from torch.nn import functional as F

from jpegrt.training.networks.carsr import CARSR

Step = Literal["car", "sr", "joint"]


def carsr_loss(network: CARSR, step: Step, image: Tensor, low: Tensor, high: Tensor) -> Tensor:
    """Mean absolute error of what the step trains.

    "car": the first stage's image against low, Y. "sr": the second stage, on images of the first,
    which gets no gradient and keeps its batch statistics, against high, X. "joint": both stages
    against high. image, low: (N, 3, H, W); high: (N, 3, sH, sW). Raises ValueError.
    """
    if step not in get_args(Step):
        raise ValueError(f"step must be one of {', '.join(get_args(Step))}, got {step!r}")
    if step == "car":
        return F.l1_loss(network.car(image), low)
    if step == "joint":
        return F.l1_loss(network(image), high)
    was_training = network.car.training
    network.car.eval()
    with torch.no_grad():
        deblocked = network.car(image)
    network.car.train(was_training)
    return F.l1_loss(network.sr(deblocked), high)
