"""The loss of CISR: both outputs of every unfolding, later ones weighted more (eq. 8)."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from jpegrt.training.networks.cisr import Estimate

# rho of section 4.1, by the number of unfoldings: of the full model and of the tiny one.
_PUBLISHED_WEIGHTS = {3: (0.3, 0.6, 1.0), 5: (0.2, 0.4, 0.6, 0.8, 1.0)}


def unfolding_weights(unfoldings: int) -> tuple[float, ...]:
    """rho_j: the paper's for 3 and 5 unfoldings, else j / J."""
    linear = tuple(j / unfoldings for j in range(1, unfoldings + 1))
    return _PUBLISHED_WEIGHTS.get(unfoldings, linear)


def cisr_loss(
    estimates: Sequence[Estimate], low: Tensor, high: Tensor, gamma: float = 1.0
) -> Tensor:
    """The mean over the unfoldings of rho_j (L1(low_j, low) + gamma L1(high_j, high)).

    estimates: of `CISR.forward_stages`; low: (N, 3, H, W); high: (N, 3, sH, sW). The norms are
    means over samples, so that gamma weighs images, not their sizes; estimates without `low` count
    by `high` alone.
    """
    terms = []
    for rho, estimate in zip(unfolding_weights(len(estimates)), estimates, strict=True):
        term = gamma * F.l1_loss(estimate.high, high)
        if estimate.low is not None:
            term = term + F.l1_loss(estimate.low, low)
        terms.append(rho * term)
    return torch.stack(terms).mean()
