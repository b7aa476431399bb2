"""Output files: named, checked beforehand, and written whole or not at all."""

import errno
import json
import os
import stat
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

import numpy as np
from numpy.typing import NDArray

from jpegrt.runtime.errors import RestoreError, UsageError
from jpegrt.runtime.image_formats import ImageFormat
from jpegrt.runtime.metadata import Metadata

_PART, _PART_SUFFIX = ".jpegrt-", ".part"


def output_path(place: Path, folder: Path, suffix: str = ".png") -> Path:
    return folder / place.with_name(f"{place.stem}{suffix}")


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
def written_whole(
    path: Path, *, overwrite: bool = True, before_rename: Callable[[Path], None] | None = None
) -> Iterator[IO[bytes]]:
    """A file to write that becomes `path` when the block ends well, and else leaves nothing.

    An existing `path` stays as it was until then, and for good without `overwrite`.
    before_rename: gets the whole file's name until then.
    Raises RestoreError for a full disk and the like.
    """
    temporary = path.with_name(f"{_PART}{os.getpid()}-{threading.get_ident()}{_PART_SUFFIX}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("wb") as file:
            yield file
        if before_rename:
            before_rename(temporary)
        if overwrite:
            temporary.replace(path)
        else:
            _rename_to_new(temporary, path)
    except OSError as error:
        raise RestoreError(f"{path} cannot be written: {error.strerror or error}") from error
    finally:
        with suppress(OSError):  # it became `path`, or was never made
            temporary.unlink()


def remove_parts(folder: Path) -> None:
    """Removes what killed processes have left of files that `written_whole` began in a folder."""
    for part in folder.glob(f"{_PART}*{_PART_SUFFIX}"):
        process = part.name.removeprefix(_PART).partition("-")[0]
        with suppress(OSError, ValueError):
            try:
                os.kill(int(process), 0)
            except ProcessLookupError:
                part.unlink()


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
    png = ImageFormat("png", 8 * pixels.itemsize).encode(pixels, Metadata())
    with written_whole(path, overwrite=overwrite) as file:
        file.write(png)


def write_json(content: object, path: Path, *, overwrite: bool = True) -> None:
    """Writes JSON, whole or not at all. Raises RestoreError."""
    with written_whole(path, overwrite=overwrite) as file:
        file.write((json.dumps(content, indent=1, allow_nan=False) + "\n").encode())
