"""What training minimises, and what it is judged by."""

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


# Squared, of samples / 255: half a level. Of a smaller error nothing is to be seen, nor learned.
_INVISIBLE = (0.5 / 255) ** 2


def _log_error(restored: Tensor, original: Tensor) -> Tensor:
    return ((restored.float() - original).square().mean((1, 2, 3)) + _INVISIBLE).log().mean()


def _squared_error(restored: Tensor, original: Tensor) -> Tensor:
    return (restored.float() - original).square().mean()


def _absolute_error(restored: Tensor, original: Tensor) -> Tensor:
    return (restored.float() - original).abs().mean()


# By a schedule's name: of two (N, C, H, W) of centred samples / 255.
PIXEL_LOSSES = {"log": _log_error, "mse": _squared_error, "l1": _absolute_error}


# Of pixels, that is with the error of rounding to them: without it the chroma of a grey photograph
# has no error, and a gain without bound.
_ROUNDING_ERROR = 1 / 12 / 255**2


def error_db(restored: Tensor, original: Tensor) -> float:
    """Mean squared error of samples / 255, in dB (a lower one is better)."""
    return 10 * float(((restored - original).square().mean() + _ROUNDING_ERROR).log10())
