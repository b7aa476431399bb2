"""Whole restores, and what they are made of: a session, its engine by hand, a file to a file."""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property, partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from jpegrt.kernels import Engine, Pipeline, Tensors
from jpegrt.runtime.bench.by_hand import Arrays, Load, load
from jpegrt.runtime.bench.checks import check_equal, check_near
from jpegrt.runtime.bench.cold_start import Process
from jpegrt.runtime.bench.rounds import Contender, silent
from jpegrt.runtime.bench.stages import restore_file
from jpegrt.runtime.bench.workload import Case
from jpegrt.runtime.bundle import Bundle, find_bundle
from jpegrt.runtime.engines import choose_precision, create_engine, resolve_engine
from jpegrt.runtime.errors import RestoreError, UsageError
from jpegrt.runtime.image_formats import ImageFormat
from jpegrt.runtime.session import Session

# Of the answers: the engine whose fp32 a model is verified against, where it is installed.
_REFERENCE_ENGINE = "onnxruntime"
_BY_HAND_TOLERANCE = {"cpu": 1e-3, "cuda": 1e-2}  # a quarter of a level; TF32 rounds more


@dataclass(frozen=True)
class Setup:
    """A model, by its name or its bundle's folder, in one precision on one engine, with so many
    threads."""

    model: str
    precision: str
    engine: str
    threads: int

    @property
    def name(self) -> str:
        return f"{self.bundle.name} {self.precision} {self.engine}"

    @cached_property
    def bundle(self) -> Bundle:
        return find_bundle(self.model)

    @property
    def process(self) -> Process:
        """A process that opens the same."""
        return Process(self.model, self.precision, self.engine, self.threads)

    def open(self, threads: int | None = None) -> Session:
        """A session; threads: others than its own."""
        return Session(
            self.model,
            precision=self.precision,
            engine=self.engine,
            threads=threads or self.threads,
        )

    def engine_object(self, precision: str, engine: str) -> Engine:
        return create_engine(engine, self.bundle, precision, self.threads)


def find_setups(
    models: Sequence[str],
    precisions: Sequence[str],
    engines: Sequence[str],
    threads: int,
) -> tuple[list[Setup], list[str]]:
    """Every model in every precision on every engine, and which of these there are not.

    precisions: none is each model's own on that engine. engines: as of `--engine`.
    Raises UsageError for a model or an engine that there is not, or if nothing is left.
    """
    setups: dict[str, Setup] = {}
    missing = []
    for model in models:
        bundle = find_bundle(model)
        for precision in precisions or (None,):
            for engine in map(resolve_engine, engines):
                try:
                    chosen = choose_precision(engine, bundle, precision)
                except UsageError as error:
                    missing.append(
                        f"{bundle.name}{f' {precision}' if precision else ''} on {engine}: {error}"
                    )
                    continue
                setup = Setup(model, chosen, engine, threads)
                setups[setup.name] = setup
    if not setups:
        raise UsageError(f"nothing to measure: {'; '.join(missing)}")
    return list(setups.values()), missing


@dataclass
class Recorder:
    """An engine that keeps a copy of what it was given and of what it answered."""

    engine: Engine
    calls: list[tuple[str, Arrays, Arrays]] = field(default_factory=list)

    def run(self, graph: str, inputs: Tensors, outputs: Tensors) -> None:
        self.engine.run(graph, inputs, outputs)
        given, answered = (
            {name: array.copy() for name, array in side.items()} for side in (inputs, outputs)
        )
        self.calls.append((graph, given, answered))


class Restores:
    """A setup's contenders, case by case, with one session and one of each engine for all of them."""

    def __init__(self, setup: Setup, device: str = "cpu") -> None:
        """device: "cuda" to have the engine by hand on a GPU too. Raises UsageError if the setup cannot be had."""
        self.setup = setup
        self.session = setup.open()
        self._devices = {"cpu": ""} | ({"cuda": " on CUDA"} if device == "cuda" else {})
        self._by_hand: dict[tuple[str, str], Load | None] = {}

    def contender(self, case: Case) -> tuple[Contender, NDArray[np.uint8]]:
        """Bytes to pixels, and the pixels, which are those of fp32 nearly. Raises RestoreError."""
        what = f"{self.setup.name}, {case.name},"
        pixels = self.session.restore(case.jpeg)
        check_equal(f"{what} a second time,", self.session.restore(case.jpeg), pixels)
        if self._reference is not None:
            check_near(what, pixels, _restore(self.setup.bundle, self._reference, case))

        def call() -> dict[str, float]:
            timings = self.session.restore_timed(case.jpeg)[1]
            return {
                "entropy decode": timings.entropy_decode_ms,
                "unpack": timings.unpack_ms,
                "network": timings.network_ms,
                "pixels": timings.pixels_ms,
            }

        return Contender(self.setup.name, call), pixels

    def file_contender(self, case: Case, folder: Path) -> Contender:
        """From a file to a PNG file, in `folder`."""
        source, target = folder / "source.jpg", folder / "restored.png"
        source.write_bytes(case.jpeg)
        call = partial(restore_file, self.session, source, target, ImageFormat())
        return Contender(f"{self.setup.name}, file to file", call)

    def by_hand(self, case: Case) -> Iterator[Contender]:
        """The engine alone on this image's tensor, if it is one that is called once an image."""
        recorder = Recorder(self._own_engine)
        _restore(self.setup.bundle, recorder, case)
        if len(recorder.calls) != 1:
            return
        ((graph, inputs, expected),) = recorder.calls
        for device, suffix in self._devices.items():
            bind = self._loaded(graph, device)
            if bind is None:
                continue
            name, run = f"{self.setup.name}, by hand{suffix}", bind(inputs)
            found = run()
            for output, array in expected.items():
                # The same network on the same numbers; but engines choose their own kernels.
                if not np.allclose(found[output], array, atol=_BY_HAND_TOLERANCE[device]):
                    raise RestoreError(f"{name} does not answer as in a restore: it is not timed")
            yield Contender(name, silent(run))

    def _loaded(self, graph: str, device: str) -> Load | None:
        if (graph, device) not in self._by_hand:
            setup = self.setup
            content = setup.bundle.read_graph(graph, setup.precision)
            self._by_hand[graph, device] = load(setup.engine, content, setup.threads, device)
        return self._by_hand[graph, device]

    @cached_property
    def _own_engine(self) -> Engine:
        return self.setup.engine_object(self.setup.precision, self.setup.engine)

    @cached_property
    def _reference(self) -> Engine | None:
        """The model's own fp32, on the reference engine where that is installed."""
        if "fp32" not in self.setup.bundle.precisions:
            return None
        engine = self.setup.engine
        with suppress(UsageError):
            engine = resolve_engine(_REFERENCE_ENGINE)
        return self.setup.engine_object("fp32", engine)


def _restore(bundle: Bundle, engine: Engine, case: Case) -> NDArray[np.uint8]:
    pipeline = Pipeline(bundle.spec, engine)
    pixels = np.empty(pipeline.read(case.jpeg), np.uint8)
    pipeline.restore(pixels)
    return pixels
