"""Files to restore: named, in folders, by patterns or in lists; and where each goes."""

import glob
import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from jpegrt.runtime.errors import UsageError

JPEG_SUFFIXES = frozenset((".jpg", ".jpeg", ".jpe", ".jfif"))
PIXEL_SUFFIXES = frozenset((".png", ".webp", ".pnm", ".ppm", ".pgm"))


@dataclass(frozen=True)
class Input:
    """place: where it stands below the folder or the pattern that found it."""

    path: Path
    place: Path


def find_inputs(
    names: Sequence[str], suffixes: frozenset[str], *, recursive: bool, apart_from: Path
) -> list[Input]:
    """Files as they are, of folders the files with one of `suffixes`, and what patterns match.

    recursive: folders in folders too. apart_from: a folder that is not searched, the output's.
    A name that is neither there nor a pattern is kept: reading it says what is wrong.
    Raises UsageError where a folder or pattern holds nothing.
    """
    found: list[Input] = []
    for name in names:
        if os.path.isdir(name):
            found += _in_folder(Path(name), suffixes, recursive, apart_from)
        elif glob.has_magic(name) and not os.path.lexists(name):
            found += _by_pattern(name, apart_from)
        else:
            found.append(Input(Path(name), Path(os.path.basename(name))))
    return found


def listed_inputs(name: str) -> list[Input]:
    """Of a list of files, one a line, or ended by NULs as find -print0 does; "-" is stdin.

    Relative names keep their folders, others their last part only. Raises UsageError.
    """
    if name == "-" and sys.stdin is None:  # where a program starts us without it
        raise UsageError("- stands for a stream that is closed: name a file")
    try:
        content = sys.stdin.buffer.read() if name == "-" else Path(name).read_bytes()
    except OSError as error:
        raise UsageError(f"{name} cannot be read: {error.strerror or error}") from error
    lines = content.split(b"\0") if b"\0" in content else content.splitlines()
    paths = [Path(os.fsdecode(line)) for line in lines if line.strip()]
    if not paths:
        raise UsageError(f"{name} lists no files")
    return [Input(path, _place(path)) for path in paths]


def _place(path: Path) -> Path:
    return Path(path.name) if path.is_absolute() or ".." in path.parts else path


def _in_folder(
    folder: Path, suffixes: frozenset[str], recursive: bool, apart_from: Path
) -> list[Input]:
    paths = sorted(path for path in _walk(folder, recursive, apart_from) if _wanted(path, suffixes))
    if not paths:
        advice = "" if recursive else "; --recursive looks into its folders too"
        raise UsageError(f"{folder} holds no images to restore{advice}")
    return [Input(path, path.relative_to(folder)) for path in paths]


def _wanted(path: Path, suffixes: frozenset[str]) -> bool:
    return path.suffix.lower() in suffixes and not _is_hidden(path) and _is_no_device(path)


def _is_hidden(path: Path) -> bool:
    """Such as the resource forks that macOS leaves."""
    return path.name.startswith(".")


def _is_no_device(path: Path) -> bool:
    """Reading a FIFO could wait for ever. Links to nothing are kept: reading them says so."""
    return path.is_file() or (path.is_symlink() and not path.exists())


def _walk(folder: Path, recursive: bool, apart_from: Path) -> Iterator[Path]:
    def fail(error: OSError) -> None:
        raise UsageError(f"{error.filename} cannot be read: {error.strerror}") from error

    for where, folders, files in os.walk(folder, onerror=fail):
        inner = (Path(where, name) for name in folders)
        folders[:] = [
            path.name
            for path in inner
            if recursive and not _is_hidden(path) and not _same(path, apart_from)
        ]
        yield from (Path(where, name) for name in files)


def _by_pattern(pattern: str, apart_from: Path) -> list[Input]:
    """Places are below the part of the pattern that has no wildcards."""
    parts = Path(pattern).parts
    fixed = next(n for n, part in enumerate(parts) if glob.has_magic(part))
    root = Path(*parts[:fixed])

    @cache
    def is_apart(folder: Path) -> bool:
        return _same(folder, apart_from) or (folder != folder.parent and is_apart(folder.parent))

    matches = (Path(name) for name in glob.iglob(pattern, recursive=True))
    paths = sorted(path for path in matches if _is_no_device(path) and not is_apart(path.parent))
    if not paths:
        raise UsageError(f"no file matches {pattern}")
    return [Input(path, path.relative_to(root)) for path in paths]


def _same(path: Path, other: Path) -> bool:
    return os.path.realpath(path) == os.path.realpath(other)
