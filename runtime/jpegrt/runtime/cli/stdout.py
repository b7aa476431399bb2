"""What commands print."""

import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO

from jpegrt.runtime.errors import RestoreError


def show(text: str) -> None:
    """Prints a line at once: the next may be minutes away, and a failure is to be told.

    Raises BrokenPipeError when the reader has gone, RestoreError for a full disk and the like; what
    is shown after that goes nowhere.
    """
    with _failures():
        print(text, flush=True)


def show_file(file: IO[bytes]) -> None:
    """Writes an image, all of it or with an error. Raises as `show` does."""
    with _failures():
        file.seek(0)
        shutil.copyfileobj(file, sys.stdout.buffer)
        sys.stdout.buffer.flush()


def finish() -> None:
    """Writes what others printed, while a failure can still be told. Raises as `show` does."""
    with _failures():
        if sys.stdout is not None:  # which it is where a program starts us without one
            sys.stdout.flush()


@contextmanager
def _failures() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        # What is still in the buffer would fail once more when Python exits.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if isinstance(error, BrokenPipeError):
            raise
        raise RestoreError(f"stdout cannot be written: {error.strerror}") from error
