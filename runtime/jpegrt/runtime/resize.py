"""Bicubic resizing by whole factors, in NumPy: how low-resolution images are made and shown.

Cubic convolution (Keys, 1981, a = -1/2), pixel centres on pixel centres. Reducing stretches the
kernel over the pixels that become one, so that nothing aliases: MATLAB's imresize. Nothing is
rounded or clipped but by `rounded`.
"""

from collections.abc import Callable
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.uint8] | NDArray[np.uint16] | NDArray[np.float32] | NDArray[np.float64]
Matrix = Callable[[int, int], NDArray[np.float64]]  # size and factor to what multiplies an axis


def reduce(image: Samples, factor: int) -> NDArray[np.float64]:
    """(H, W) or (H, W, C) to a factor-th of each side, rounded up.

    Beyond the edges the image is mirrored, as in MATLAB.
    """
    _require_factor(factor)
    return _resize(image, factor, reducing_matrix)


def enlarge(image: Samples, factor: int) -> NDArray[np.float64]:
    """(H, W) or (H, W, C) to `factor` times each side.

    Beyond the edges are the nearest pixels, as in the native core (`reference.bicubic`); MATLAB
    mirrors, which differs in the outermost 2 * factor pixels.
    """
    _require_factor(factor)
    return _resize(image, factor, enlarging_matrix)


def rounded(image: NDArray[np.float64]) -> NDArray[np.uint8]:
    """Levels, rounded half up and clipped to 8 bits."""
    return np.clip(np.floor(image + 0.5), 0, 255).astype(np.uint8)


def _require_factor(factor: int) -> None:
    if type(factor) is not int or factor < 1:
        raise ValueError(f"a factor must be a positive integer, got {factor!r}")


def _resize(image: Samples, factor: int, matrix: Matrix) -> NDArray[np.float64]:
    down, across = (matrix(side, factor) for side in image.shape[:2])
    resized: NDArray[np.float64] = np.einsum(
        "yh,hw...,xw->yx...", down, image.astype(np.float64), across, optimize=True
    )
    return resized


@lru_cache(64)
def reducing_matrix(size: int, factor: int) -> NDArray[np.float64]:
    """What `reduce` multiplies an axis by, (ceil(size / factor), size). Not to be written to."""
    matrix = np.zeros((-(-size // factor), size))
    for out in range(len(matrix)):
        centre = (out + 0.5) * factor - 0.5
        taps = np.arange(np.ceil(centre - 2 * factor), centre + 2 * factor).astype(int)
        weights = _cubic((taps - centre) / factor)
        mirrored = taps % (2 * size)
        mirrored = np.where(mirrored < size, mirrored, 2 * size - 1 - mirrored)
        np.add.at(matrix[out], mirrored, weights / weights.sum())
    return matrix


@lru_cache(64)
def enlarging_matrix(size: int, factor: int) -> NDArray[np.float64]:
    """What `enlarge` multiplies an axis by, (factor * size, size). Not to be written to."""
    matrix = np.zeros((factor * size, size))
    for out in range(len(matrix)):
        centre = (out + 0.5) / factor - 0.5
        taps = np.floor(centre) + np.arange(-1, 3)
        inside = np.clip(taps, 0, size - 1).astype(int)
        np.add.at(matrix[out], inside, _cubic(taps - centre))
    return matrix


def _cubic(distance: NDArray[np.float64]) -> NDArray[np.float64]:
    d = np.abs(distance)
    near = 1.5 * d**3 - 2.5 * d**2 + 1
    far = -0.5 * d**3 + 2.5 * d**2 - 4 * d + 2
    return np.where(d < 1, near, np.where(d < 2, far, 0.0))
