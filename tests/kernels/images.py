"""Synthetic photographs: what makes a JPEG's coefficients and its rounding varied."""

import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]


def synthetic(height: int, width: int, channels: int = 3, seed: int = 0) -> Pixels:
    """Smooth gradients, hard edges and noise; (height, width, 3), or (height, width) for 1."""
    random = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width]
    levels = np.empty((height, width, channels))
    for c in range(channels):
        angle, wavelength, phase = random.uniform(0, 6.28), random.uniform(20, 90), random.random()
        along = x * np.cos(angle) + y * np.sin(angle)
        gradient = 128 + 90 * np.sin(along / wavelength + phase)
        disc = (x - width * random.random()) ** 2 + (y - height * random.random()) ** 2
        edge = 70 * (disc < (0.3 * max(height, width)) ** 2) * random.choice([-1, 1])
        levels[:, :, c] = gradient + edge + random.normal(0, 4, (height, width))
    pixels = np.clip(levels, 0, 255).astype(np.uint8)
    return pixels if channels > 1 else pixels[:, :, 0]
