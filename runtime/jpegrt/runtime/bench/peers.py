"""Other restorers' command-line tools, where they are on the PATH: a file to a file, a process each."""

import os
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from jpegrt.runtime.bench.rounds import Contender
from jpegrt.runtime.bench.workload import GREY, Case
from jpegrt.runtime.errors import RestoreError, one_line


@dataclass(frozen=True)
class Tool:
    """arguments: {source} and {target} are files. suffix: of what it writes. takes_grey: whether it
    restores JPEGs of one component."""

    name: str
    program: str
    arguments: tuple[str, ...]
    suffix: str
    takes_grey: bool


TOOLS = (
    Tool("jpeg-quantsmooth", "jpegqs", ("--info", "0", "{source}", "{target}"), ".jpg", True),
    Tool("jpeg2png", "jpeg2png", ("-f", "{source}", "-o", "{target}"), ".png", False),
)


def usable(subsampling: str) -> list[Tool]:
    """The installed ones that take such JPEGs."""
    takers = [tool for tool in TOOLS if tool.takes_grey or subsampling != GREY]
    return [tool for tool in takers if shutil.which(tool.program)]


def reasons_against(subsamplings: Sequence[str]) -> list[str]:
    """Why tools are left out of a run on such JPEGs."""
    reasons = []
    for tool in TOOLS:
        if not shutil.which(tool.program):
            reasons.append(f"{tool.name}: no {tool.program} on the PATH")
        elif GREY in subsamplings and not tool.takes_grey:
            reasons.append(f"{tool.name} on grey JPEGs, which it does not take")
    return reasons


def contender(
    tool: Tool, case: Case, folder: Path, threads: int
) -> tuple[Contender, NDArray[np.uint8]]:
    """The tool on this JPEG, and the pixels that it makes. Raises RestoreError."""
    source, target = folder / "source.jpg", folder / f"{tool.program}{tool.suffix}"
    source.write_bytes(case.jpeg)
    files = {"source": str(source), "target": str(target)}
    command = [tool.program, *(argument.format(**files) for argument in tool.arguments)]
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads)}

    def call() -> None:
        _run(command, environment)

    call()
    mode = "L" if case.original.ndim == 2 else "RGB"
    with Image.open(target) as image:
        pixels = np.asarray(image.convert(mode))
    if pixels.shape != case.original.shape:
        raise RestoreError(f"{tool.program} gives another size, {pixels.shape}: it is not timed")
    return Contender(tool.name, call), pixels


def _run(command: Sequence[str], environment: dict[str, str]) -> None:
    result = subprocess.run(
        command, check=False, capture_output=True, text=True, errors="replace", env=environment
    )
    if result.returncode:
        raise RestoreError(f"{command[0]} failed: {one_line(result.stderr)[-200:]}")
