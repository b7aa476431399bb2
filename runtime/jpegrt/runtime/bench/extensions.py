"""Baselines that other parts of jpegrt register, so that the runtime never imports what they need.

An entry point of the group `jpegrt.baselines` is a function (bundle, case, threads, device) that
returns the call to time, whose answer are the pixels, or None if it cannot take this case.
"""

from collections.abc import Callable
from importlib.metadata import entry_points

import numpy as np
from numpy.typing import NDArray

from jpegrt.runtime.bench.workload import Case
from jpegrt.runtime.bundle import Bundle
from jpegrt.runtime.errors import UsageError

GROUP = "jpegrt.baselines"

# The extra that a baseline needs, unless it is [export].
_EXTRAS = {"ncnn": "ncnn"}

Prepare = Callable[[Bundle, Case, int, str], Callable[[], NDArray[np.uint8]] | None]


def names() -> list[str]:
    return sorted({entry.name for entry in entry_points(group=GROUP)})


def load(name: str) -> Prepare:
    """Raises UsageError if it is not registered, or lacks a package."""
    found = [entry for entry in entry_points(group=GROUP) if entry.name == name]
    if not found:
        raise UsageError(f"no baseline {name} is registered: install jpegrt again")
    try:
        prepare: Prepare = found[0].load()
    except ModuleNotFoundError as error:
        raise UsageError(
            f"baseline {name} needs the package {error.name}: run "
            f"pip install 'jpegrt[{_EXTRAS.get(name, 'export')}]'"
        ) from error
    return prepare
