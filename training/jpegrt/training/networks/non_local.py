"""The non-local operator of CISR in PyTorch: what `jpegrt.kernels.non_local` computes, with gradients.

H. Luo et al., "Super-resolving Compressed Images via Parallel and Series Integration of Artefacts
Removal and Resolution Enhancement", eq. 9 and 10; `jpegrt.kernels.reference.non_local` has the
definition. The kernel computes distances; here they are expanded into an attention:
    -|g(m) - g(n)|^2 / s = q(m) . k(n) + what depends on m only, which the softmax cancels,
    q(m) = [2 g(m), -1] / s,  k(n) = [g(n), |g(n)|^2],  s = h(m)^2 + 1e-6
So PyTorch's fused attention can run it, without a matrix of all pairs. The expansion cancels in low
precision: it is always computed in float32 at least.
"""

import torch
from torch import Tensor
from torch.nn import functional as F

# Keeps weights finite where h is 0.
_LEAST_SQUARED_H = 1e-6


def patches_of(image: Tensor) -> Tensor:
    """(N, C, H, W) to (N, 9 C, H * W): the 3x3 patch around each pixel, border replicated."""
    height, width = image.shape[2:]
    padded = F.pad(image, (1, 1, 1, 1), mode="replicate")
    shifted = [padded[:, :, y : y + height, x : x + width] for y in range(3) for x in range(3)]
    return torch.cat(shifted, 1).flatten(2)


def image_of(patches: Tensor, height: int, width: int) -> Tensor:
    """(N, 9 C, H * W) to (N, C, H, W): at each pixel the mean of the patches over it."""
    shifted = patches.reshape(*patches.shape[:2], height, width).chunk(9, 1)
    covered = torch.ones_like(shifted[0][:1, :1])

    def laid(i: int, part: Tensor) -> Tensor:
        y, x = divmod(i, 3)
        return F.pad(part, (x, 2 - x, y, 2 - y))[:, :, 1:-1, 1:-1]

    total = sum((laid(i, part) for i, part in enumerate(shifted)), torch.zeros_like(shifted[0]))
    count = sum((laid(i, covered) for i in range(9)), torch.zeros_like(covered))
    return total / count


def non_local(
    guide: Tensor, value: Tensor, h: Tensor | float, keys: Tensor | None = None
) -> Tensor:
    """Replaces every 3x3 patch of `value` by a mean of patches whose `guide` looks like its own.

    guide, value: (N, C, H, W). h: how unlike a patch may be, (N, 1, H, W) or one number, in the
    guide's units. keys: (N, 1, H, W) of any dtype, 0 where a patch must not be averaged over; None
    for nowhere. Returns what is like value; gradients reach guide, value and h.
    """
    height, width = value.shape[2:]
    with torch.autocast(value.device.type, enabled=False):
        dtype = torch.promote_types(value.dtype, torch.float32)
        value_patches = patches_of(value.to(dtype))
        # Distances do not change, and smaller numbers cancel less.
        centred = guide.to(dtype) - guide.to(dtype).mean((2, 3), keepdim=True)
        guide_patches = patches_of(centred)
        squared = torch.as_tensor(h, dtype=dtype, device=value.device) ** 2 + _LEAST_SQUARED_H
        squared = squared.expand(len(value), 1, height, width).flatten(2)
        queries = torch.cat((2 * guide_patches, -torch.ones_like(squared)), 1) / squared
        norms = guide_patches.square().sum(1, keepdim=True)
        # The fused attention wants queries, keys and values of one width.
        padded_value = torch.cat((value_patches, torch.zeros_like(norms)), 1)
        bias = None
        if keys is not None:
            is_key = keys.flatten(2) != 0
            bias = torch.zeros_like(norms).masked_fill(~is_key, -torch.inf)[:, None]
        filtered = F.scaled_dot_product_attention(
            queries.transpose(1, 2)[:, None],
            torch.cat((guide_patches, norms), 1).transpose(1, 2)[:, None],
            padded_value.transpose(1, 2)[:, None],
            attn_mask=bias,
            scale=1.0,
        )
        filtered = filtered[:, 0, :, :-1].transpose(1, 2)
        if keys is not None:
            filtered = torch.where(is_key.any(2, keepdim=True), filtered, value_patches)
        return image_of(filtered, height, width).to(value.dtype)
