"""What training minimises."""

from torch import Tensor

from jpegrt.training.networks.cellnet import error_size

# Of a patch, in squared units of the error that its steps make likely (about 1 on average). Below
# it a patch counts less and less: nothing can be learned from the last thousandths of a flat one.
_NEGLIGIBLE = 0.01


def log_squared_error(restored: Tensor, original: Tensor, steps: Tensor) -> Tensor:
    """Mean over the patches of the logarithm of their mean squared error.

    That is what a mean PSNR is made of: a dB at quality 90 is worth one at quality 10, and one on a
    smooth image is worth one on a detailed image. Errors are in units of what the (N, 64) steps
    make likely.
    """
    error = (restored.float() - original) / error_size(steps)
    return (error.square().mean((1, 2, 3)) + _NEGLIGIBLE).log().mean()
