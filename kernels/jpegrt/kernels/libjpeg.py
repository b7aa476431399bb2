"""The libjpeg that the native core was compiled with, on its own: its version, and its decode."""

import numpy as np
from numpy.typing import NDArray

from jpegrt.kernels._native import Status, check, lib


def libjpeg_version() -> str:
    """Such as "libjpeg-turbo 2.1.5"."""
    version: bytes = lib.jpegrt_libjpeg_version()
    return version.decode()


def plain_decode(jpeg: bytes, pixels: NDArray[np.uint8]) -> None:
    """Decodes into uint8 (H, W) luma or (H, W, 3) RGB, which have to be of the JPEG's size.

    Raises ValueError for another size or array, NativeError for a damaged file.
    """
    channels = 1 if pixels.ndim == 2 else pixels.shape[-1]
    if (
        pixels.dtype != np.uint8
        or pixels.ndim not in (2, 3)
        or not pixels.flags.c_contiguous
        or not pixels.flags.writeable
    ):
        raise ValueError("need writable C-contiguous uint8 pixels of shape (H, W) or (H, W, 3)")
    height, width = pixels.shape[:2]
    status = lib.jpegrt_plain_decode(
        jpeg, len(jpeg), width, height, channels, pixels.ctypes.data, pixels.strides[0]
    )
    if status == Status.INVALID_ARGUMENT:
        raise ValueError(f"the JPEG is not of {width} x {height} pixels in {channels} channels")
    check(status, "jpegrt_plain_decode")
