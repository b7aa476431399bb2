"""The loss of C-JPG SR: three L1 terms, the third a cycle (eq. 2 to 5 of its paper)."""

from torch import Tensor
from torch.nn import functional as F


def bicubic_downsampled(image: Tensor, scale: int) -> Tensor:
    """(N, C, sH, sW) to (N, C, H, W), antialiased, a = -1/2: as Pillow's BICUBIC, unrounded."""
    size = (image.shape[2] // scale, image.shape[3] // scale)
    return F.interpolate(image.float(), size, mode="bicubic", antialias=True, align_corners=False)


def cjpgsr_loss(recovered: Tensor | None, restored: Tensor, low: Tensor, high: Tensor) -> Tensor:
    """L1(recovered, low) + L1(restored, high) + L1(bicubic down of restored, low), equal weights.

    recovered, restored: of `CJPGSR.forward_stages`; low: (N, 3, H, W); high: (N, 3, sH, sW), s a
    whole number. Each term is a mean over samples; eq. 4 divides the third by s^2 H W, though it
    has H W terms, which is taken for a slip. Without the recovering stage the second term is all
    (section 4.2.1).
    """
    enlarged = F.l1_loss(restored, high)
    if recovered is None:
        return enlarged
    cycle = F.l1_loss(bicubic_downsampled(restored, high.shape[2] // low.shape[2]), low)
    return F.l1_loss(recovered, low) + enlarged + cycle
