"""Output files: named, checked beforehand, and written whole or not at all."""

import os
import tempfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from jpegrt.runtime.errors import RestoreError, UsageError


def output_path(source: Path, folder: Path) -> Path:
    return folder / f"{source.stem}.png"


def check_writable(path: Path, *, overwrite: bool) -> None:
    """Raises UsageError if `path` cannot be written, before any work is done for it."""
    if path.suffix.lower() != ".png":
        raise UsageError(f"{path}: outputs are PNG files, so name it something.png")
    if path.exists() and not overwrite:
        raise UsageError(f"{path} exists: pass --overwrite to replace it")
    if path.is_dir():
        raise UsageError(f"{path} is a folder")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"{path.parent} cannot be made: {error.strerror}") from error
    if not os.access(path.parent, os.W_OK):
        raise UsageError(f"{path.parent} cannot be written to: choose another output")


def write_png(pixels: NDArray[np.uint8], path: Path) -> None:
    """Writes uint8 (H, W) or (H, W, 3) RGB. Raises RestoreError, and then leaves nothing behind."""
    handle, temporary = -1, ""
    try:
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".part")
        with os.fdopen(handle, "wb") as file:
            Image.fromarray(pixels).save(file, "PNG")
        os.chmod(temporary, 0o666 & ~_umask())
        os.replace(temporary, path)
    except OSError as error:
        _remove(temporary)
        raise RestoreError(f"{path} cannot be written: {error.strerror or error}") from error
    except BaseException:
        _remove(temporary)
        raise


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _remove(path: str) -> None:
    if path and os.path.exists(path):
        os.unlink(path)
