"""What training minimises."""

from torch import Tensor

from jpegrt.training.networks.cellnet import error_size


def normalised_squared_error(restored: Tensor, original: Tensor, steps: Tensor) -> Tensor:
    """Mean squared error in units of the error that the (N, 64) steps make likely.

    PSNR is a mean of logarithms, so a dB at quality 90 is worth one at quality 10; the plain MSE
    would see only the worst files.
    """
    return ((restored.float() - original) / error_size(steps)).square().mean()
