"""What differs between the devices that train."""

from contextlib import AbstractContextManager, nullcontext
from dataclasses import fields, replace
from typing import Any, TypeVar

import torch
from torch import Tensor

Batch = TypeVar("Batch", bound=Any)


def on_device(batch: Batch, device: torch.device) -> Batch:
    """A batch, which is a dataclass, with its tensors there."""
    values = {field.name: getattr(batch, field.name) for field in fields(batch)}
    moved: Batch = replace(
        batch, **{n: v.to(device) for n, v in values.items() if isinstance(v, Tensor)}
    )
    return moved


def in_bfloat16(device: torch.device) -> AbstractContextManager[Any]:
    """Convolutions in bfloat16, where the device has such arithmetic to choose."""
    if not torch.amp.is_autocast_available(device.type):
        return nullcontext()
    return torch.autocast(device.type, torch.bfloat16)
