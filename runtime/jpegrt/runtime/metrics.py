"""PSNR, SSIM and PSNR-B as the restoration literature measures them, in NumPy alone.

Images are (H, W) or (H, W, 3), uint8 or float, samples 0 to `peak`; both of a pair have one shape.
Colour: PSNR takes all samples together, SSIM and PSNR-B are the mean of the three channels'.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.uint8] | NDArray[np.floating[Any]]
Plane = NDArray[np.float64]

SSIM_WINDOW_PX = 11
_SSIM_SIGMA_PX = 1.5
_UNIFORM_WINDOW_PX = 8
_SSIM_K1, _SSIM_K2 = 0.01, 0.03

# Rows of the SSIM map worked on at a time, so that the intermediate planes stay in the cache.
_STRIP_ROWS = 32


def psnr(a: Samples, b: Samples, peak: float = 255.0) -> float:
    """10 log10(peak^2 / MSE), dB; infinite for identical images."""
    _require_pair(a, b)
    return _decibels(_mean_squared_error(_as_float(a), _as_float(b)), peak)


@dataclass(frozen=True)
class SsimWindow:
    """What SSIM's means and variances are taken over.

    taps: of a separable window, symmetric, adding up to 1.
    """

    taps: tuple[float, ...]


def _gaussian_window() -> SsimWindow:
    offsets = np.arange(SSIM_WINDOW_PX) - SSIM_WINDOW_PX // 2
    taps = np.exp(-np.square(offsets) / (2 * _SSIM_SIGMA_PX**2))
    return SsimWindow(tuple((taps / taps.sum()).tolist()))


GAUSSIAN_WINDOW = _gaussian_window()
UNIFORM_WINDOW = SsimWindow((1 / _UNIFORM_WINDOW_PX,) * _UNIFORM_WINDOW_PX)


def ssim(
    a: Samples, b: Samples, peak: float = 255.0, window: SsimWindow = GAUSSIAN_WINDOW
) -> float:
    """Structural similarity, at most 1.

    Wang, Bovik, Sheikh, Simoncelli, "Image quality assessment: from error visibility to structural
    similarity", IEEE Transactions on Image Processing 13(4), 2004, equation (13), averaged over
    the image as in (17). As the authors' MATLAB code has it: a Gaussian window of 11 x 11 pixels
    (sigma 1.5, population variances), only where it lies wholly inside the image, no downsampling.

    The AR-CNN and JSCNN papers slide a uniform 8 x 8 window instead, which gives JPEGs of quality
    10 to 40 some 0.013 to 0.020 more: compare with their SSIM in UNIFORM_WINDOW alone.
    """
    _require_pair(a, b)
    if min(a.shape[:2]) < len(window.taps):
        raise ValueError(f"SSIM needs at least {len(window.taps)} pixels a side, got {a.shape[:2]}")
    return _channel_mean(lambda x, y: _ssim_plane(x, y, peak, window.taps), a, b)


def psnr_b(image: Samples, original: Samples, peak: float = 255.0, block: int = 8) -> float:
    """PSNR with the visible block edges of `image` counted as error, dB. Not symmetric.

    Yim, Bovik, "Quality assessment of deblocked images", IEEE Transactions on Image Processing
    20(1), 2011: MSE-B = MSE + BEF, PSNR-B = 10 log10(peak^2 / MSE-B). The paper's BEF_Tot, a sum
    over block sizes, has one term here, as in everyone's tables.
    """
    _require_pair(image, original)
    if block < 2 or min(image.shape[:2]) <= block:
        raise ValueError(
            f"PSNR-B needs blocks of at least 2 pixels and an image larger than one, "
            f"got {block} and {image.shape[:2]}"
        )

    def of_plane(x: Plane, y: Plane) -> float:
        return _decibels(_mean_squared_error(x, y) + _blocking_effect_factor(x, block), peak)

    return _channel_mean(of_plane, image, original)


def luma_bt601(rgb: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Studio-range BT.601 luma, (H, W, 3) to (H, W), 16 to 235: MATLAB's rgb2ycbcr.

    Not for a grey image, whose range it would squeeze: take a channel of that.
    """
    if rgb.ndim != 3 or rgb.shape[2] != 3 or rgb.dtype != np.uint8:
        raise ValueError(f"need uint8 of shape (H, W, 3), got {rgb.dtype} {rgb.shape}")
    luma = 16 + rgb @ (np.array([65.481, 128.553, 24.966]) / 255)
    return np.floor(luma + 0.5).astype(np.uint8)  # MATLAB rounds half up, np.round half to even


def _require_pair(a: Samples, b: Samples) -> None:
    if a.shape != b.shape:
        raise ValueError(f"the images differ in shape: {a.shape} and {b.shape}")
    if a.ndim not in (2, 3) or a.shape[2:] not in ((), (3,)) or a.size == 0:
        raise ValueError(f"need images of shape (H, W) or (H, W, 3), got {a.shape}")


def _as_float(image: Samples) -> NDArray[np.float64]:
    return image.astype(np.float64, copy=False)


def _channel_mean(metric: Callable[[Plane, Plane], float], a: Samples, b: Samples) -> float:
    if a.ndim == 2:
        return metric(_as_float(a), _as_float(b))
    return math.fsum(metric(_as_float(a[..., c]), _as_float(b[..., c])) for c in range(3)) / 3


def _mean_squared_error(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    return float(np.square(a - b).mean())


def _decibels(squared_error: float, peak: float) -> float:
    return 10 * math.log10(peak**2 / squared_error) if squared_error > 0 else math.inf


def _blocking_effect_factor(plane: Plane, block: int) -> float:
    """BEF = eta (D_B - D_B^C) where that is positive, else 0.

    D_B, D_B^C: mean squared difference of the pixels either side of a block edge, and of all other
    neighbours, horizontal and vertical ones pooled. eta = log2(block) / log2(shorter side).
    """
    totals, counts = np.zeros(2), np.zeros(2)  # of pairs elsewhere, and at edges
    for axis in (0, 1):
        squares = np.square(np.diff(plane, axis=axis)).sum(axis=1 - axis)
        is_edge = np.arange(1, len(squares) + 1) % block == 0
        totals += np.bincount(is_edge, squares, minlength=2)
        counts += np.bincount(is_edge, minlength=2) * plane.shape[1 - axis]
    elsewhere, at_edges = totals / counts
    eta = math.log2(block) / math.log2(min(plane.shape))
    return eta * max(float(at_edges - elsewhere), 0.0)


def _window_mean(plane: Plane, taps: tuple[float, ...]) -> Plane:
    """Weighted means of all n x n windows, (H, W) to (H - n + 1, W - n + 1).

    Separable, down and then across (after a transpose, so that both walk whole rows); the taps
    are symmetric, so pairs are added before they are weighted.
    """
    pairs, odd = divmod(len(taps), 2)
    for _ in range(2):
        rows = len(plane) - len(taps) + 1
        mean = plane[pairs : pairs + rows] * (taps[pairs] if odd else 0.0)
        for i in range(pairs):
            opposite = len(taps) - 1 - i
            pair = plane[i : i + rows] + plane[opposite : opposite + rows]
            pair *= taps[i]
            mean += pair
        plane = np.ascontiguousarray(mean.T)
    return plane


def _ssim_plane(x: Plane, y: Plane, peak: float, taps: tuple[float, ...]) -> float:
    rows, columns = (size - len(taps) + 1 for size in x.shape)
    total = 0.0
    for top in range(0, rows, _STRIP_ROWS):
        strip = slice(top, min(top + _STRIP_ROWS, rows) + len(taps) - 1)
        total += _ssim_sum(x[strip], y[strip], peak, taps)
    return float(total / (rows * columns))


def _ssim_sum(x: Plane, y: Plane, peak: float, taps: tuple[float, ...]) -> float:
    """The sum of equation (13) over all whole windows.

    The two variances occur only as their sum, so four filtered planes do instead of five.
    """
    c1, c2 = (_SSIM_K1 * peak) ** 2, (_SSIM_K2 * peak) ** 2
    mean_x, mean_y = _window_mean(x, taps), _window_mean(y, taps)
    means_product = mean_x * mean_y
    means_squares = np.square(mean_x) + np.square(mean_y)
    covariance = _window_mean(x * y, taps) - means_product
    variances = _window_mean(np.square(x) + np.square(y), taps) - means_squares
    similarity = (2 * means_product + c1) * (2 * covariance + c2)
    similarity /= (means_squares + c1) * (variances + c2)
    return float(similarity.sum())
