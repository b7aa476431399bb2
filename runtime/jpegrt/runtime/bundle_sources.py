"""Where bundles are fetched from: folders, zip files, and addresses of either."""

import http.client
import tempfile
import urllib.error
import urllib.request
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import IO, Protocol
from urllib.parse import quote, unquote

from jpegrt.runtime.bundle import MANIFEST
from jpegrt.runtime.errors import RestoreError, UsageError

_TIMEOUT_S = 30
_CHUNK_BYTES = 1 << 20


class TooLargeError(Exception):
    """More bytes than the caller takes, who says what to do."""


class Source(Protocol):
    """The files of one bundle."""

    def open(self, file: str) -> IO[bytes]:
        """A file by its plain name. Raises FileNotFoundError, or another OSError."""
        ...


class _Folder:
    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def open(self, file: str) -> IO[bytes]:
        return (self._folder / file).open("rb")


class _Address:
    def __init__(self, address: str) -> None:
        self._address = address

    def open(self, file: str) -> IO[bytes]:
        return _request(f"{self._address}/{quote(file)}")


class _Zip:
    """A bundle's files at the top of a zip file, or in a folder that has the bundle's name."""

    def __init__(self, archive: zipfile.ZipFile, name: str) -> None:
        self._archive = archive
        names = archive.namelist()
        self._prefix = "" if MANIFEST in names else f"{name}/"

    def open(self, file: str) -> IO[bytes]:
        try:
            return self._archive.open(self._prefix + file)
        except KeyError as error:
            raise FileNotFoundError(file) from error


@contextmanager
def open_source(where: str, name: str, limit_bytes: int) -> Iterator[Source]:
    """The bundle `name` at a folder, a zip file or an address (http, https, file).

    A folder or its address is the bundle's own, or holds its folder or its zip file.
    limit_bytes: of a zip file that is fetched.
    Raises UsageError if it is not there, RestoreError if a zip file is none or leads elsewhere, or
    TooLargeError.
    """
    kind, is_address, rest = where.partition("://")
    kind = kind.lower() if is_address else ""
    if kind == "file":
        where, kind = unquote(rest), ""
    if kind not in ("", "http", "https"):
        raise UsageError(f"{where} cannot be fetched from: name a folder or an http(s) address")
    found = _from_address(where.rstrip("/"), name, limit_bytes) if kind else _from_path(where, name)
    with found as source:
        yield source


@contextmanager
def _from_path(where: str, name: str) -> Iterator[Source]:
    path = Path(where)
    folder = next((f for f in (path / name, path) if (f / MANIFEST).is_file()), None)
    archive = next((f for f in (path, path / f"{name}.zip") if f.is_file()), None)
    if folder:
        yield _Folder(folder)
    elif archive:
        with _open_zip(archive, where, name) as source:
            yield source
    else:
        raise UsageError(f"{where} has no model {name}: it needs a folder or zip file of that name")


@contextmanager
def _from_address(where: str, name: str, limit_bytes: int) -> Iterator[Source]:
    archive = where
    if not where.endswith(".zip"):
        archive = f"{where}/{quote(name)}.zip"
        for address in (f"{where}/{quote(name)}", where):
            folder = _Address(address)
            if _is_there(folder):
                yield folder
                return
    with tempfile.TemporaryFile() as file:
        try:
            with _request(archive) as response:
                copy(response, file, limit_bytes)
        except FileNotFoundError as error:
            raise UsageError(
                f"{where} has no model {name}: neither its folder nor its zip file is there"
            ) from error
        with _open_zip(file, archive, name) as source:
            yield source


def _is_there(source: Source) -> bool:
    try:
        source.open(MANIFEST).close()
    except FileNotFoundError:
        return False
    return True


@contextmanager
def _open_zip(file: Path | IO[bytes], where: str, name: str) -> Iterator[Source]:
    try:
        with zipfile.ZipFile(file) as archive:
            for member in archive.namelist():
                if _leads_out(member):
                    raise RestoreError(
                        f"{where} is refused: its entry {member} would be written outside of the "
                        "model's folder"
                    )
            yield _Zip(archive, name)
    except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError) as error:  # or encrypted
        raise RestoreError(f"{where} is no zip file that can be read: {error}") from error


def _leads_out(member: str) -> bool:
    """Whether a zip's entry names something above the folder it is unpacked in, on any system."""
    windows = PureWindowsPath(member)
    return (
        PurePosixPath(member).is_absolute()
        or bool(windows.anchor)
        or ".." in windows.parts  # which splits at both strokes
    )


def is_own_name(file: str) -> bool:
    """Whether it is that of a visible file in the folder itself, on any system."""
    own = PureWindowsPath(file).name == file and not file.startswith(".")
    return own and bool(file) and file.isprintable()


def _request(address: str) -> IO[bytes]:
    """Raises FileNotFoundError, or RestoreError if nobody answers or it is refused."""
    try:
        response: IO[bytes] = urllib.request.urlopen(address, timeout=_TIMEOUT_S)
    except urllib.error.HTTPError as error:
        error.close()
        if error.code in (404, 410):
            raise FileNotFoundError(address) from error
        raise RestoreError(f"{address} cannot be fetched: {error.code} {error.reason}") from error
    except (OSError, http.client.HTTPException, ValueError) as error:
        reason = getattr(error, "reason", error)
        raise RestoreError(
            f"{address} cannot be fetched: {reason}; check the address and the network"
        ) from error
    return response


def copy(source: IO[bytes], target: IO[bytes], limit_bytes: int) -> int:
    """Copies all bytes; returns how many. Raises TooLargeError if there are more than the limit."""
    total = 0
    while chunk := source.read(min(_CHUNK_BYTES, limit_bytes + 1 - total)):
        total += len(chunk)
        if total > limit_bytes:
            raise TooLargeError
        target.write(chunk)
    return total
