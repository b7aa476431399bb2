"""The processes that train one network together, on a device each.

`torchrun` starts them and Lightning Fabric joins them; a process that torchrun did not start is
alone. Each draws a share of every batch. All step by the mean of their gradients, in the same order,
so that their weights stay equal. The first one writes what is kept.
"""

import os
from collections.abc import Iterable, Sequence

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

from jpegrt.runtime.errors import UsageError


class Processes:
    """This process's view of them."""

    def __init__(self, device: str) -> None:
        """device: "cpu", or "cuda", of which each process takes one; alone, any of PyTorch's.

        Raises UsageError if there are fewer devices than processes.
        """
        self._fabric = _fabric(device)
        self._fabric.launch()
        # Fabric does not know all that PyTorch calls a device.
        self.device = self._fabric.device if device == "cuda" else torch.device(device)
        self.count: int = self._fabric.world_size
        self.rank: int = self._fabric.global_rank
        self.first = self.rank == 0

    def share(self, batch: int) -> int:
        """How many of a batch's patches each process draws. Raises UsageError if that is not whole."""
        if batch % self.count:
            raise UsageError(
                f"a batch of {batch} patches cannot be split evenly over {self.count} processes: "
                "start a number that divides it, or change the recipe's batch"
            )
        return batch // self.count

    def average(self, tensors: Sequence[Tensor]) -> None:
        """Each becomes, in place, its mean over the processes."""
        if self.count > 1 and tensors:
            means = self._reduced(torch.cat([tensor.flatten() for tensor in tensors]), "mean")
            for tensor, mean in zip(
                tensors, means.split_with_sizes([t.numel() for t in tensors]), strict=True
            ):
                tensor.copy_(mean.view(tensor.shape))

    def average_gradients(self, parameters: Iterable[nn.Parameter]) -> None:
        """Processes that did not use a parameter count with a gradient of zero; if none used it, it
        has no gradient, as in one process."""
        if self.count == 1:
            return
        parameters = list(parameters)
        used = torch.tensor([float(p.grad is not None) for p in parameters], device=self.device)
        gradients = [torch.zeros_like(p) if p.grad is None else p.grad for p in parameters]
        self.average([used, *gradients])
        for parameter, gradient, share in zip(parameters, gradients, used.tolist(), strict=True):
            parameter.grad = gradient if share else None

    def agree(self, seconds: float, stopped: bool) -> tuple[float, bool]:
        """The first one's seconds, and whether any of them was told to stop."""
        if self.count == 1:
            return seconds, stopped
        mine = torch.tensor([seconds if self.first else 0.0, stopped], dtype=torch.float64)
        first_ones, number_stopped = self._reduced(mine.to(self.device), "sum").tolist()
        return first_ones, number_stopped > 0

    def wait(self) -> None:
        """For all to come here."""
        self._fabric.barrier()

    def _reduced(self, tensor: Tensor, operation: str) -> Tensor:
        reduced = self._fabric.all_reduce(tensor, reduce_op=operation)
        assert isinstance(reduced, Tensor)
        return reduced


def _fabric(device: str) -> Fabric:
    if torch.distributed.is_torchelastic_launched():
        here, everywhere = (int(os.environ[name]) for name in ("LOCAL_WORLD_SIZE", "WORLD_SIZE"))
        if device == "cuda" and torch.cuda.device_count() < here:
            raise UsageError(
                f"{here} processes need a GPU each, and PyTorch finds {torch.cuda.device_count()}: "
                "start fewer (torchrun --nproc-per-node)"
            )
        return Fabric(
            accelerator=device, strategy="ddp", devices=here, num_nodes=everywhere // here
        )
    return Fabric(accelerator="cuda" if device == "cuda" else "cpu", devices=1)
