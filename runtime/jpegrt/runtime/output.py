"""Output files: named, checked beforehand, and written whole or not at all."""

import json
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

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


@contextmanager
def written_whole(path: Path) -> Iterator[IO[bytes]]:
    """A file to write that becomes `path` when the block ends well, and else leaves nothing.

    An existing `path` stays as it was until then. Raises RestoreError for a full disk and the like.
    """
    temporary = path.with_name(f".jpegrt-{os.getpid()}-{threading.get_ident()}.part")
    try:
        with temporary.open("wb") as file:
            yield file
        temporary.replace(path)
    except OSError as error:
        raise RestoreError(f"{path} cannot be written: {error.strerror or error}") from error
    finally:
        with suppress(OSError):  # it became `path`, or was never made
            temporary.unlink()


def write_png(pixels: NDArray[np.uint8], path: Path) -> None:
    """Writes uint8 (H, W) or (H, W, 3) RGB, whole or not at all. Raises RestoreError."""
    with written_whole(path) as file:
        Image.fromarray(pixels).save(file, "PNG")


def write_json(content: object, path: Path) -> None:
    """Writes JSON, whole or not at all. Raises RestoreError."""
    with written_whole(path) as file:
        file.write((json.dumps(content, indent=1, allow_nan=False) + "\n").encode())
