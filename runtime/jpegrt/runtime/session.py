"""Sessions: JPEGs or pixels in, restored pixels out."""

import os
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal, overload

import numpy as np
from numpy.typing import NDArray

from jpegrt.kernels import NativeError, Pipeline, Status, Timings
from jpegrt.kernels.coefficients import DEFAULT_MAX_PIXELS, CoefficientReader
from jpegrt.kernels.cuda import Cuda
from jpegrt.kernels.pipeline import require_pixels
from jpegrt.runtime.admission import ALLOW_MORE_PIXELS, Admission
from jpegrt.runtime.bundle import find_bundle
from jpegrt.runtime.deblocking import create_deblocking_engine, deblocking_spec
from jpegrt.runtime.engines import (
    check_options,
    choose_precision,
    create_engine,
    resolve_engine,
    runs_on_gpu,
)
from jpegrt.runtime.errors import RestoreError, UsageError, one_line
from jpegrt.runtime.memory import Memory, bytes_per_px, tile_px_for
from jpegrt.runtime.pixel_files import is_pixel_file, read_pixels
from jpegrt.runtime.strength import blended, deepened, enlarged
from jpegrt.runtime.strips import Pixels, Strips
from jpegrt.runtime.told_steps import ToldSteps

MOST_THREADS = 1024  # the native core's limit

# A file's bytes or its name, or pixels: uint8 (H, W) or (H, W, 3) RGB.
Source = bytes | str | os.PathLike[str] | NDArray[np.uint8]


@dataclass(frozen=True)
class Account:
    """What was done to an image.

    model, precision, engine: what ran; "none", "-" and "-" of a plain decode.
    strength: how much of the model's output is in the pixels, 0 to 1; 0 is a plain decode.
    choice: why, in a sentence, if it was chosen for this image.
    """

    model: str
    precision: str
    engine: str
    strength: float
    choice: str | None = None


PLAINLY = Account("none", "-", "-", 0.0)


class Session:
    """Restores images with one model. Threads may share it; they take turns.

    Every model restores JPEGs. Those that take pixels (domain luma or rgb in their manifest, which
    `takes_pixels` tells) restore arrays, and PNG, WebP and PNM files too; the output of one that
    enlarges is `enlargement` times as wide and as high.

    model: a shipped model's name, a bundle's folder, or "none" for a plain decoder.
    precision: one of the bundle's, or of those that TensorRT's engines are built in; None is the
        default.
    engine: one of `engines.ENGINE_NAMES`.
    device: the ordinal of the GPU, for an engine that runs on one. A model on coefficients is then
        restored there as a whole; of one that takes pixels the network alone runs there.
    engines: the folder of TensorRT's engines; None is the bundle's own, then the user's cache, into
        which those that are missing are built.
    threads: at most MOST_THREADS; 0 = one for each CPU that this process may use.
    allow_damaged: restore what is there of truncated or corrupt files instead of refusing them.
    max_pixels: larger images are refused before memory is taken, and smaller ones that would be
        larger when restored.
    memory: what an image and the engine that restores it may take beyond the program itself, in
        bytes or as "512M", "2G" or "25%" of the machine's. Images that would need more are restored
        in tiles, whose pixels are those of the whole image but for the engine's rounding of sums;
        those that need more in tiles too are refused. None chooses the tiles as 25% does and
        refuses none. Pixels that `restore` returns come on top, and models that see the whole image
        (cisr) are not bounded by it.
    project: None, or the slack in quantisation steps, 0 or more, within which the DCT coefficients
        of what is restored are kept to the file's, in components sampled 1x1. A trained model gains
        little by it, about 0.01 dB, one that smooths too much up to 1 dB; files of encoders that
        do not simply round, such as mozjpeg, need slack. Not for models that take pixels.
    strength: how much of the restoration is taken, 0 to 1: the plain decode (by bicubic
        interpolation, if the model enlarges; it is then held whole) plus so much of what the model
        changes in it.
    enlarge: False stops a model that deblocks and then enlarges in between: its images keep their
        size. Models that do not enlarge do all they do.
    Raises UsageError if there is no such model, precision or engine, or a number is out of range.
    """

    def __init__(
        self,
        model: str = "cellnet",
        *,
        precision: str | None = None,
        engine: str = "auto",
        device: int | None = None,
        engines: Path | None = None,
        threads: int = 0,
        allow_damaged: bool = False,
        max_pixels: int = DEFAULT_MAX_PIXELS,
        memory: Memory | int | str | None = None,
        project: float | None = None,
        strength: float = 1.0,
        enlarge: bool = True,
    ) -> None:
        if not 0 <= strength <= 1:
            raise UsageError(f"strength must be from 0 to 1, not {strength}")
        if not 0 <= threads <= MOST_THREADS:
            raise UsageError(f"threads must be from 0 to {MOST_THREADS}, not {threads}")
        threads = threads or min(usable_cpus(), MOST_THREADS)
        # What to do about an image that is refused: the command line's option, the argument here.
        self._advice = {Status.TOO_LARGE: ALLOW_MORE_PIXELS}
        if not allow_damaged:
            self._advice[Status.DAMAGED] = (
                "; to restore what is there, pass --allow-damaged (allow_damaged=True)"
            )
        self.model_name, self.precision, self.engine_name = "none", "-", "-"
        self.takes_pixels, self.enlargement = False, 1
        self.strength, self._decodes = strength, model == "none" or strength == 0
        self._allow_damaged, self._max_pixels, self._threads = allow_damaged, max_pixels, threads
        self._header = CoefficientReader()
        spec = network = cuda = None
        self._told_steps: ToldSteps | None = None
        if model == "none":
            if device is not None or engines is not None:
                raise UsageError(
                    "without a model nothing runs on a GPU: name no device and no folder of engines"
                )
        else:
            bundle = find_bundle(model)
            self.model_name = bundle.name
            self.engine_name = resolve_engine(engine)
            check_options(self.engine_name, device, engines)
            self.precision = choose_precision(self.engine_name, bundle, precision)
            spec = bundle.spec if enlarge else deblocking_spec(bundle)
            self.takes_pixels, self.enlargement = spec.takes_pixels, spec.enlargement
            if runs_on_gpu(self.engine_name):
                gpu = open_gpu(device or 0)
                cuda = None if spec.takes_pixels else gpu
            if not self._decodes:
                create = create_engine if enlarge else create_deblocking_engine
                network = create(
                    self.engine_name,
                    bundle,
                    self.precision,
                    threads,
                    device=device or 0,
                    folder=engines,
                )
                if spec.domain == "cells" and cuda is None:
                    network = self._told_steps = ToldSteps(network)
        try:
            self._memory = Memory.of(memory)
            if cuda and self._memory.is_limit:
                raise UsageError(
                    "images are restored whole on a GPU: leave out --memory (memory), or choose an "
                    "engine that runs on the CPU"
                )
            if self._decodes:
                spec = cuda = None
                project = project if model == "none" else None  # which is refused of none
            self._tile_px = 0 if cuda else tile_px_for(self._memory, spec)
            self._admission = Admission(
                max_pixels, self._memory, self.enlargement, self._tile_px, bytes_per_px(spec)
            )
            self._pipeline = Pipeline(
                spec,
                network,
                cuda=cuda,
                threads=threads,
                allow_damaged=allow_damaged,
                max_pixels=max_pixels,
                project=project,
                tile_px=self._tile_px,
            )
        except (NativeError, ValueError) as error:
            raise UsageError(one_line(error)) from error
        # Of strengths below 1, made when it is needed.
        self._plain = self._pipeline if self._decodes else None
        self._last, self._account = self._pipeline, PLAINLY
        self._size = 0, 0  # of the image at hand
        self._turn = threading.Lock()
        self._deblocking: Session | None = None  # made when it is needed
        self._open_deblocking = partial(
            Session,
            model,
            precision=precision,
            engine=engine,
            device=device,
            engines=engines,
            threads=threads,
            allow_damaged=allow_damaged,
            max_pixels=max_pixels,
            memory=memory,
            enlarge=False,
        )

    def restore(self, source: Source) -> NDArray[np.uint8]:
        """The restored image: uint8 (H, W) if grey, else (H, W, 3) RGB; of CMYK and YCCK (H, W, 4)
        CMYK, 0 for no ink and 255 for all, however the file stores them.

        source: the bytes or the file of a JPEG; for a model that takes pixels, also of a PNG, WebP
            or PNM, or an array, uint8 (H, W) or (H, W, 3) RGB.
        Raises RestoreError.
        """
        return self.restore_timed(source)[0]

    def restore16(self, source: Source) -> NDArray[np.uint16]:
        """As `restore`, in uint16 of the whole range: 257 is one level of 8 bits.

        Rounded from what the network computed, so smooth areas have no steps.
        """
        return self.restore_timed(source, 16)[0]

    @overload
    def restore_timed(
        self, source: Source, depth: Literal[8] = 8
    ) -> tuple[NDArray[np.uint8], Timings]: ...
    @overload
    def restore_timed(
        self, source: Source, depth: Literal[16]
    ) -> tuple[NDArray[np.uint16], Timings]: ...
    @overload
    def restore_timed(
        self, source: Source, depth: int
    ) -> tuple[NDArray[np.uint8] | NDArray[np.uint16], Timings]: ...
    def restore_timed(
        self, source: Source, depth: int = 8
    ) -> tuple[NDArray[np.uint8] | NDArray[np.uint16], Timings]:
        """The restored image, in 8 or 16 bits, and how long each stage took."""
        with self.strips(source, depth) as strips:
            pixels = strips.joined()
            return pixels, self.timings

    @overload
    def deblocked(self, source: Source, depth: Literal[8] = 8) -> NDArray[np.uint8]: ...
    @overload
    def deblocked(self, source: Source, depth: Literal[16]) -> NDArray[np.uint16]: ...
    @overload
    def deblocked(self, source: Source, depth: int) -> Pixels: ...
    def deblocked(self, source: Source, depth: int = 8) -> Pixels:
        """The image without artefacts, at its own size: what a model that deblocks and then enlarges
        has in between, at all its strength; of others, what they restore. As `restore`'s, in 8 or 16
        bits.

        The first time the part that deblocks is loaded, which may take as much memory again. Raises
        RestoreError, and UsageError if the model deblocks at no time: "none", and those that enlarge
        first.
        """
        if self.model_name == "none":
            raise UsageError("model none decodes and deblocks nothing: choose another model")
        if self.enlargement == 1:
            return self.restore_timed(source, depth)[0]
        with self._turn:
            self._deblocking = self._deblocking or self._open_deblocking()
        return self._deblocking.restore_timed(source, depth)[0]

    @property
    def takes_steps(self) -> bool:
        """Whether there is `restore_told`."""
        return self._told_steps is not None

    def restore_told(
        self, jpeg: bytes, steps: NDArray[np.floating]
    ) -> tuple[NDArray[np.uint16], Timings]:
        """All of a grey JPEG's restoration, in 16 bits, by a model that is told these quantisation
        steps, (8, 8), instead of the file's; and how long each stage took. Raises RestoreError."""
        assert self._told_steps is not None
        with self.strips_at(1, jpeg, 16) as strips:
            self._told_steps.steps = np.ascontiguousarray(steps.reshape(1, 64), np.float32)
            try:
                return strips.joined().astype(np.uint16, copy=False), self.timings
            finally:
                self._told_steps.steps = None

    def strips(self, source: Source, depth: int = 8) -> AbstractContextManager[Strips]:
        """The restored image in strips, in 8 or 16 bits: `restore`'s pixels, some rows at a time,
        so that images whose pixels are more than the memory for them can be written to a file.

        The session is the caller's until the context ends. Raises RestoreError, here and for a
        strip.
        """
        return self.strips_at(self.strength, source, depth)

    @contextmanager
    def strips_at(self, strength: float, source: Source, depth: int = 8) -> Iterator[Strips]:
        """As `strips`, at another strength than the session's; if that is 0, at 0."""
        if depth not in (8, 16):
            raise UsageError(f"depth must be 8 or 16, not {depth}")
        if self.strength == 0:
            strength = 0
        source = content_of(source)
        with self._turn, self._explained(source):
            try:
                yield self._made(source, depth, strength)
            except MemoryError as error:  # an engine's too
                width, height = self._size
                raise RestoreError(
                    f"not enough memory for an image of {width} x {height} pixels"
                ) from error

    @property
    def timings(self) -> Timings:
        """Of the image last restored; in strips, of those that were made."""
        return self._last.timings

    @property
    def account(self) -> Account:
        """What was done to the image last restored, or to be restored in strips."""
        return self._account

    def _made(self, source: bytes | NDArray[np.uint8], depth: int, strength: float) -> Strips:
        """Raises NativeError or RestoreError."""
        decodes = self._decodes or strength == 0
        if isinstance(source, bytes) and (not self.takes_pixels or is_jpeg(source)):
            self._admit_jpeg(source, depth, blended=not decodes and strength < 1)
        else:
            source = self._admitted_pixels(source, depth)
        self._last, self._account = self._pipeline, PLAINLY
        if decodes:
            return self._base(source, depth)
        ran = self.model_name, self.precision, self.engine_name
        self._account = Account(*ran, strength)
        if isinstance(source, bytes):
            shape = self._pipeline.read(source)
        else:
            shape = self._pipeline.load_pixels(source)
        if strength == 1:
            return _strips_of(self._pipeline, shape, depth)
        base = self._base(source, depth)
        rows = self._plain.strips() if self._plain and base.count > 1 else [range(shape[0])]
        self._last = self._pipeline
        restored = _strips_of(self._pipeline, shape, 16)
        return blended(base, rows, restored, self._pipeline.strips(), strength)

    def _base(self, source: bytes | NDArray[np.uint8], depth: int) -> Strips:
        """What strength 0 is, of a JPEG's bytes or of pixels. Raises NativeError."""
        if isinstance(source, bytes):
            if self._plain is None:
                self._plain = Pipeline(
                    threads=self._threads,
                    allow_damaged=self._allow_damaged,
                    max_pixels=self._max_pixels,
                    tile_px=self._tile_px,
                )
            self._last = self._plain
            decoded = _strips_of(self._plain, self._plain.read(source), depth)
            if self.enlargement == 1:
                return decoded
            pixels = decoded.joined()
        else:
            pixels = deepened(source, depth)
        return Strips.of(enlarged(pixels, self.enlargement))

    @contextmanager
    def _explained(self, source: bytes | NDArray[np.uint8]) -> Iterator[None]:
        """Has the native core's refusals say what to do."""
        try:
            yield
        except NativeError as error:
            advice = self._advice.get(error.status, "")
            if error.status is Status.NOT_JPEG and is_pixel_file(bytes(source[:16])):
                advice = "; other images need a model of the domain luma or rgb"
            raise RestoreError(f"{error}{advice}") from error

    def _admit_jpeg(self, jpeg: bytes, depth: int, *, blended: bool = False) -> None:
        """blended: whether it is decoded plainly besides. Raises NativeError or RestoreError."""
        header = self._header.read_header(jpeg, max_pixels=self._max_pixels)
        samples = sum(component.width * component.height for component in header.components)
        held = len(jpeg) + (4 if blended else 2) * samples
        self._size = header.width, header.height
        self._admission.admit(*self._size, len(header.components), held, depth)

    def _admitted_pixels(self, source: bytes | NDArray[np.uint8], depth: int) -> NDArray[np.uint8]:
        """Of an array, or of a file other than a JPEG. Raises RestoreError."""
        if isinstance(source, bytes):
            source = read_pixels(source, self._max_pixels)
        try:
            require_pixels(source)
        except ValueError as error:
            raise RestoreError(str(error)) from error
        if not self.takes_pixels:
            self._pipeline.load_pixels(source)  # which says why not
        height, width = source.shape[:2]
        self._size = width, height
        self._admission.admit(*self._size, 3, source.nbytes, depth)
        return source


def open_gpu(device: int) -> Cuda:
    """Raises UsageError."""
    if device < 0:
        raise UsageError(f"device must be 0 or more, not {device}")
    try:
        return Cuda(device)
    except NativeError as error:
        raise UsageError(
            f"no GPU to restore on ({error}): choose an engine that runs on the CPU, "
            "as --engine auto does"
        ) from error


def _strips_of(pipeline: Pipeline, shape: tuple[int, ...], depth: int) -> Strips:
    """Of the image that a pipeline has read."""
    rows = pipeline.strips()

    def make(index: int) -> Pixels:
        pixels = np.empty((len(rows[index]), *shape[1:]), np.uint8 if depth == 8 else np.uint16)
        pipeline.restore_strip(index, pixels)
        return pixels

    return Strips(shape, depth, len(rows), make)


def content_of(source: Source) -> bytes | NDArray[np.uint8]:
    """A file's bytes, or pixels. Raises RestoreError."""
    return source if isinstance(source, bytes | np.ndarray) else read_file(Path(source))


def is_jpeg(content: bytes) -> bool:
    return content.startswith(b"\xff\xd8")


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
