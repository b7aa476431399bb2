"""Fetches bundles: into the user's folder of models, whole and checked, or not at all."""

import hashlib
import http.client
import tempfile
from pathlib import Path

from jpegrt.runtime.bundle import (
    MANIFEST,
    Bundle,
    fetched_bundles,
    open_bundle,
    shipped_bundles,
)
from jpegrt.runtime.bundle_sources import Source, TooLargeError, copy, is_own_name, open_source
from jpegrt.runtime.errors import RestoreError, UsageError

LIMIT_BYTES = 1 << 30
_MANIFEST_LIMIT_BYTES = 16 << 20


def fetch_bundle(
    name: str,
    where: str,
    folder: Path | None = None,
    *,
    overwrite: bool = False,
    limit_bytes: int = LIMIT_BYTES,
) -> Bundle:
    """Installs the model `name` from `where` (see `open_source`) as a folder below `folder`.

    folder: None is where `--model NAME` finds it. limit_bytes: of all its files together.
    Every file is checked against the manifest's SHA-256 before the folder gets its name. That
    tells damage; whoever made the bundle is trusted.
    Raises UsageError if there is no such model, it is there already or the folder cannot be
    written, RestoreError if what was fetched is damaged, too large, or no bundle.
    """
    folder = folder or fetched_bundles()
    target = folder / name
    if not is_own_name(name):
        raise UsageError(f"{name} is no model's name: name the model itself, without a folder")
    if (shipped_bundles() / name / MANIFEST).exists():
        raise UsageError(f"model {name} comes with jpegrt: there is nothing to fetch")
    if target.exists() and not overwrite:
        raise UsageError(f"{target} exists: pass --overwrite to replace it")
    try:
        with open_source(where, name, limit_bytes) as source, _scratch(folder) as scratch:
            fetched = Path(scratch) / name
            _fetch(source, name, fetched, limit_bytes)
            _move(fetched, target, Path(scratch) / "replaced")
    except (OSError, http.client.HTTPException) as error:
        raise RestoreError(f"{name} cannot be fetched from {where}: {error}") from error
    except TooLargeError as error:
        raise RestoreError(
            f"{name} from {where} has more than {limit_bytes:,} bytes: to allow it, pass a larger "
            "--max-mib"
        ) from error
    return open_bundle(target)


def _scratch(folder: Path) -> "tempfile.TemporaryDirectory[str]":
    """On the same file system as what it is renamed to."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        return tempfile.TemporaryDirectory(dir=folder, prefix=".fetch-")
    except OSError as error:
        raise UsageError(
            f"{folder} cannot be written to ({error.strerror}): name another folder with --to"
        ) from error


def _move(fetched: Path, target: Path, replaced: Path) -> None:
    if target.exists():
        target.rename(replaced)  # deleted only once the new one is there
    try:
        fetched.rename(target)
    except OSError:
        if replaced.exists():
            replaced.rename(target)
        raise


def _fetch(source: Source, name: str, folder: Path, limit_bytes: int) -> None:
    """Raises RestoreError, TooLargeError or OSError."""
    folder.mkdir()
    try:
        _copy(source, MANIFEST, folder, _MANIFEST_LIMIT_BYTES)
        bundle = open_bundle(folder)
    except TooLargeError as error:
        raise RestoreError(
            f"{name} is not fetched: its {MANIFEST} is none, it is too large"
        ) from error
    except UsageError as error:
        reason = str(error).replace(f"{folder}/", "")
        raise RestoreError(f"{name} is not fetched: {reason}") from error
    if bundle.name != name:
        raise RestoreError(f"{name} is not fetched: its manifest is of the model {bundle.name}")
    left = limit_bytes
    for file, facts in bundle.manifest["files"].items():
        expected = facts.get("sha256") if isinstance(facts, dict) else None
        if not is_own_name(file) or file == MANIFEST or not isinstance(expected, str):
            raise RestoreError(
                f"{name} is not fetched: its manifest lists {file}, which is no plain file name "
                "with a SHA-256"
            )
        left -= _copy(source, file, folder, left)
        with (folder / file).open("rb") as content:
            found = hashlib.file_digest(content, "sha256").hexdigest()
        if found != expected:
            raise RestoreError(
                f"{name} is not fetched: {file} is not the file that its manifest lists (its "
                "SHA-256 differs); fetch it again, or from elsewhere"
            )


def _copy(source: Source, file: str, folder: Path, limit_bytes: int) -> int:
    try:
        with source.open(file) as content, (folder / file).open("xb") as copied:
            return copy(content, copied, limit_bytes)
    except FileNotFoundError as error:
        raise RestoreError(f"{file} is missing there; fetch from elsewhere") from error
