"""Finds the TensorRT engine of a graph, and has it built if there is none."""

import logging
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from jpegrt.runtime.bundle import Bundle, find_bundle_folder
from jpegrt.runtime.engine_files import engine_cache, engine_name, read_engine
from jpegrt.runtime.errors import UsageError, one_line

_COMMAND = "import sys; from jpegrt.runtime.cli import main; sys.exit(main())"
_LOG = logging.getLogger("jpegrt")

_building = threading.Lock()
# Commands that failed in this process: each of many images would try, and wait, again.
_failures: dict[tuple[str, ...], "_Failure"] = {}
# For how many times as long as it took a failure stands: trying again then costs a tenth of the time,
# and who has cured its cause need not start the process anew.
_STANDS_TIMES = 10


@dataclass(frozen=True)
class Runner:
    """What runs engines here. flavour: as in EngineFacts; version: its library's; target: as "sm89"."""

    flavour: str
    version: str
    target: str

    def __str__(self) -> str:
        return f"{self.flavour} {self.version} on {self.target}"


@dataclass(frozen=True)
class _Failure:
    """stands_until_s: by the monotonic clock."""

    reason: str
    stands_until_s: float


@dataclass(frozen=True)
class EngineSearch:
    """Where a bundle's engines of one precision are looked for.

    folder: None is the bundle's own folder `engines`, then the user's cache. What the cache lacks, or
        has stale or damaged, is built there. Nothing is written into a folder that was named.
    """

    bundle: Bundle
    precision: str
    runner: Runner
    folder: Path | None = None

    def read(self, graph: str) -> tuple[Path, bytes]:
        """A graph's engine, checked: its file and its bytes. Raises UsageError."""
        runner = self.runner
        name = engine_name(graph, self.precision, runner.flavour, runner.version, runner.target)
        if self.folder:
            if not (self.folder / name).exists():
                raise UsageError(self._missing(graph, self.folder))
            return self._read(self.folder / name)
        if (shipped := self.bundle.folder / "engines" / name).exists():
            return self._read(shipped)
        cached = engine_cache(self.bundle.name) / name
        with _building:
            try:
                return self._read(cached)
            except UsageError as error:
                if not _can_build():
                    if cached.exists():
                        raise
                    raise UsageError(self._missing(graph, cached.parent)) from error
            _build(self._command(graph))
            return self._read(cached)

    def _read(self, engine: Path) -> tuple[Path, bytes]:
        runner = self.runner
        content = read_engine(
            engine,
            self.bundle,
            flavour=runner.flavour,
            version=runner.version,
            target=runner.target,
        )
        return engine, content

    def _command(self, graph: str) -> list[str]:
        """Of `jpegrt`, which builds the graph's engine into the cache."""
        bundle, runner = self.bundle, self.runner
        found = find_bundle_folder(bundle.name)
        model = bundle.name if found == bundle.folder else str(bundle.folder)
        options = ["--flavour", runner.flavour, "--target", runner.target]
        return ["build", model, *options, "--precision", self.precision, "--graph", graph]

    def _missing(self, graph: str, folder: Path) -> str:
        others = sorted(folder.glob(f"{graph}.{self.precision}.*.engine"))
        found = f", only {', '.join(engine.name for engine in others)}" if others else ""
        output = f" -o {self.folder}" if self.folder else ""
        return (
            f"{folder} has no engine of {self.bundle.name}'s graph {graph} in {self.precision} "
            f"for {self.runner}{found}; run jpegrt {' '.join(self._command(graph))}{output}, "
            f"on a machine with pip install 'jpegrt[{self.runner.flavour}]' if there is none here"
        )


def _can_build() -> bool:
    """Whether the export part is installed; a builder that is missing is told by the command."""
    return all(find_spec(name) for name in ("jpegrt.export", "onnx", "onnxruntime"))


def _build(command: list[str]) -> None:
    """Runs jpegrt in a process of its own: a builder takes gigabytes, and may end its process.

    Raises UsageError.
    """
    key = tuple(command)
    failure, started_s = _failures.get(key), time.monotonic()
    if failure and started_s < failure.stands_until_s:
        raise UsageError(failure.reason)
    _LOG.info("building an engine, once: jpegrt %s", " ".join(command))
    lines = [""]
    with subprocess.Popen(
        [sys.executable, "-c", _COMMAND, *command],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
    ) as process:
        assert process.stderr
        for line in process.stderr:
            lines.append(one_line(line).removeprefix("jpegrt: "))
            _LOG.info("%s", lines[-1])
    if process.returncode:
        if lines[-1].endswith(
            "could not be built"
        ):  # a count, of the one that the line before names
            lines.pop()
        reason = lines[-1] or f"its exit code is {process.returncode}"
        failed_s = time.monotonic()
        failure = _failures[key] = _Failure(
            f"the engine could not be built by jpegrt {' '.join(command)}: {reason}",
            failed_s + _STANDS_TIMES * (failed_s - started_s),
        )
        raise UsageError(failure.reason)
