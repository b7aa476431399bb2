"""The standard test sets, in a folder of folders."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from jpegrt.runtime.errors import UsageError
from jpegrt.runtime.evaluation import LOSSLESS_SUFFIXES, load_original

# Name in the papers' tables -> what people call its folder, whatever the case.
SETS = {
    "Set5": ("set5",),
    "Set14": ("set14",),
    "B100": ("b100", "bsd100", "bsds100"),
    "Classic5": ("classic5",),
    "LIVE1": ("live1",),
}
# B100's own files are JPEGs.
_SUFFIXES = LOSSLESS_SUFFIXES | {".jpg", ".jpeg"}


def find_sets(
    folder: Path, limit: int | None = None, only: Sequence[str] | None = None
) -> dict[str, list[Path]]:
    """The images of every set that is there, by name, the first `limit` of each.

    only: sets by their name or a folder's; None: all.
    Raises UsageError if one of these is unknown or not there, or there is no set at all.
    """
    chosen = [_known(name) for name in only] if only is not None else list(SETS)
    try:
        if not folder.is_dir():
            raise UsageError(f"{folder} is not a folder: name one that holds the sets' folders")
        folders = {path.name.lower(): path for path in sorted(folder.iterdir()) if path.is_dir()}
        found = {}
        for name in chosen:
            images = [
                path
                for alias in SETS[name]
                if alias in folders
                for path in sorted(folders[alias].iterdir())
                if path.suffix.lower() in _SUFFIXES
            ]
            if images:
                found[name] = images[:limit]
    except OSError as error:
        raise UsageError(f"{folder} cannot be read: {error.strerror}") from error
    if absent := [SETS[name][0] for name in chosen if name not in found]:
        if only is not None:
            raise UsageError(f"{folder} has no images in {', '.join(absent)}")
        if not found:
            raise UsageError(
                f"{folder} holds none of the folders {', '.join(absent)} with images in them"
            )
    return found


def _known(name: str) -> str:
    for known, aliases in SETS.items():
        if name.lower() in aliases:
            return known
    raise UsageError(f"unknown set {name}: choose from {', '.join(SETS)}")


def load_image(path: Path) -> NDArray[np.uint8]:
    """RGB (H, W, 3), or (H, W) if it is grey. Raises RestoreError."""
    rgb = load_original(path, colour=True)
    return np.ascontiguousarray(rgb[..., 0]) if (rgb == rgb[..., :1]).all() else rgb
