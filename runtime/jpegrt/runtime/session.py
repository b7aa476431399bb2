"""Sessions: JPEGs in, restored pixels out."""

import os
import threading
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from jpegrt.kernels import NativeError, Pipeline, Status, Timings
from jpegrt.kernels.coefficients import DEFAULT_MAX_PIXELS
from jpegrt.runtime.bundle import find_bundle
from jpegrt.runtime.engines import create_engine, resolve_engine
from jpegrt.runtime.errors import RestoreError, UsageError, one_line

MOST_THREADS = 1024  # the native core's limit

Jpeg = bytes | str | os.PathLike[str]


class Session:
    """Restores JPEGs with one model. Threads may share it; they take turns.

    model: a shipped model's name, a bundle's folder, or "none" for a plain decoder.
    precision: one of the bundle's; None is the bundle's default.
    engine: one of `engines.ENGINE_NAMES`.
    threads: at most MOST_THREADS; 0 = one for each CPU that this process may use.
    allow_damaged: restore what is there of truncated or corrupt files instead of refusing them.
    max_pixels: larger images are refused before memory is taken.
    Raises UsageError if there is no such model, precision or engine, or a number is out of range.
    """

    def __init__(
        self,
        model: str = "cellnet",
        *,
        precision: str | None = None,
        engine: str = "auto",
        threads: int = 0,
        allow_damaged: bool = False,
        max_pixels: int = DEFAULT_MAX_PIXELS,
    ) -> None:
        if not 0 <= threads <= MOST_THREADS:
            raise UsageError(f"threads must be from 0 to {MOST_THREADS}, not {threads}")
        threads = threads or min(usable_cpus(), MOST_THREADS)
        # What to do about an image that is refused: the command line's option, the argument here.
        self._advice = {Status.TOO_LARGE: "; to allow it, pass a larger --max-pixels (max_pixels)"}
        if not allow_damaged:
            self._advice[Status.DAMAGED] = (
                "; to restore what is there, pass --allow-damaged (allow_damaged=True)"
            )
        self.model_name, self.precision, self.engine_name = "none", "-", "-"
        spec = network = None
        if model != "none":
            bundle = find_bundle(model)
            self.model_name = bundle.name
            self.precision = bundle.choose_precision(precision)
            self.engine_name = resolve_engine(engine)
            spec = bundle.spec
            network = create_engine(self.engine_name, bundle, self.precision, threads)
        try:
            self._pipeline = Pipeline(
                spec, network, threads=threads, allow_damaged=allow_damaged, max_pixels=max_pixels
            )
        except (NativeError, ValueError) as error:
            raise UsageError(one_line(error)) from error
        self._turn = threading.Lock()

    def restore(self, jpeg: Jpeg) -> NDArray[np.uint8]:
        """The restored image of a JPEG's bytes or file: uint8 (H, W) if grey, else (H, W, 3) RGB.

        Raises RestoreError.
        """
        return self.restore_timed(jpeg)[0]

    def restore_timed(self, jpeg: Jpeg) -> tuple[NDArray[np.uint8], Timings]:
        """The restored image, and how long each stage took."""
        content = jpeg if isinstance(jpeg, bytes) else read_file(Path(jpeg))
        with self._turn:
            try:
                shape = self._pipeline.read(content)
                try:
                    pixels = np.empty(shape, np.uint8)
                    self._pipeline.restore(pixels)
                except MemoryError as error:  # an engine's too
                    raise RestoreError(
                        f"not enough memory for an image of {shape[1]} x {shape[0]} pixels"
                    ) from error
            except NativeError as error:
                raise RestoreError(f"{error}{self._advice.get(error.status, '')}") from error
            return pixels, self._pipeline.timings


def usable_cpus() -> int:
    """The CPUs that this process may use, which in a container can be fewer than there are."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def read_file(path: Path) -> bytes:
    """Raises RestoreError."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise RestoreError(f"cannot be read: {error.strerror or error}") from error
