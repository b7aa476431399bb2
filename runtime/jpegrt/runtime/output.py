"""Output files: named, checked beforehand, and written whole or not at all."""

import errno
import json
import os
import stat
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from jpegrt.runtime.errors import RestoreError, UsageError
from jpegrt.runtime.png16 import png_from_uint16


def output_path(source: Path, folder: Path) -> Path:
    return folder / f"{source.stem}.png"


def check_writable(path: Path, *, overwrite: bool) -> None:
    """Raises UsageError if `path` cannot be written, before any work is done for it.

    Nothing is made: folders that `path` lacks are made when it is written.
    """
    try:
        mode = _mode(path)
    except OSError as error:
        raise UsageError(f"{path} cannot be written: {error.strerror}") from error
    if mode is not None:
        if stat.S_ISDIR(mode):
            raise UsageError(f"{path} is a folder: name a file in it")
        if not stat.S_ISREG(mode) and not stat.S_ISLNK(mode):
            raise UsageError(f"{path} is no ordinary file: choose another output")
        if not overwrite:
            raise UsageError(f"{path} exists: pass --overwrite to replace it")
    folder = path.parent
    while not os.path.lexists(folder):
        folder = folder.parent
    if not os.path.isdir(folder) or not os.access(folder, os.W_OK | os.X_OK):
        raise UsageError(f"{folder} cannot be written to: choose another output")


def _mode(path: Path) -> int | None:
    """Of what `path` names, or of the link itself where that leads nowhere; None: it is free."""
    for follow in (True, False):
        with suppress(FileNotFoundError):
            return path.stat(follow_symlinks=follow).st_mode
    return None


@contextmanager
def written_whole(path: Path, *, overwrite: bool = True) -> Iterator[IO[bytes]]:
    """A file to write that becomes `path` when the block ends well, and else leaves nothing.

    An existing `path` stays as it was until then, and for good without `overwrite`.
    Raises RestoreError for a full disk and the like.
    """
    temporary = path.with_name(f".jpegrt-{os.getpid()}-{threading.get_ident()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("wb") as file:
            yield file
        if overwrite:
            temporary.replace(path)
        else:
            _rename_to_new(temporary, path)
    except OSError as error:
        raise RestoreError(f"{path} cannot be written: {error.strerror or error}") from error
    finally:
        with suppress(OSError):  # it became `path`, or was never made
            temporary.unlink()


def _rename_to_new(temporary: Path, path: Path) -> None:
    """Raises FileExistsError if `path` has appeared meanwhile, which a rename would replace."""
    try:
        os.link(temporary, path)
    except OSError as error:
        if error.errno not in (errno.EPERM, errno.ENOTSUP, errno.ENOSYS):
            raise
        temporary.replace(path)  # a file system without links


def write_png(
    pixels: NDArray[np.uint8] | NDArray[np.uint16], path: Path, *, overwrite: bool = True
) -> None:
    """Writes uint8 or uint16, (H, W) or (H, W, 3) RGB, whole or not at all, with as many bits a
    sample. Raises RestoreError."""
    with written_whole(path, overwrite=overwrite) as file:
        if pixels.dtype == np.uint16:
            file.write(png_from_uint16(pixels.astype(np.uint16, copy=False)))
        else:
            Image.fromarray(pixels).save(file, "PNG")


def write_json(content: object, path: Path, *, overwrite: bool = True) -> None:
    """Writes JSON, whole or not at all. Raises RestoreError."""
    with written_whole(path, overwrite=overwrite) as file:
        file.write((json.dumps(content, indent=1, allow_nan=False) + "\n").encode())
