"""Training sets as a few archives, to be carried where they are trained on.

A folder of packs holds `000.tar`, `001.tar` and so on, each of lossless WebP files SET/NAME.webp of
the images' RGB, NAME the image's own with its suffix, and `packs.json`, written last: the archives'
checksums and every set's images. Paths lead through archives: PACKS/000.tar/SET/NAME.webp.
"""

import hashlib
import io
import json
import tarfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from jpegrt.runtime.errors import UsageError

INDEX = "packs.json"
FORMAT = 1
SUFFIX = ".webp"


@dataclass(frozen=True)
class PackedImage:
    """name: SET/NAME, as in the folder; webp: its lossless file."""

    name: str
    webp: bytes

    @property
    def member(self) -> str:
        return self.name + SUFFIX


def encode(name: str, rgb: NDArray[np.uint8]) -> PackedImage:
    """rgb: (H, W, 3)."""
    buffer = io.BytesIO()
    Image.fromarray(rgb).save(buffer, "WebP", lossless=True, quality=100, method=4)
    return PackedImage(name, buffer.getvalue())


def packed_files(packs: Path, set_name: str) -> list[Path]:
    """The paths of a set's images, in the order of their names; none if it has not been packed.

    Raises UsageError if an archive is missing, or not the one that was written.
    """
    index = packs / INDEX
    if not index.is_file():
        return []
    members: list[tuple[str, Path]] = []
    for archive in _checked_archives(index):
        for member in _members(archive):
            if member.rpartition("/")[0] == set_name:
                members.append((member.removesuffix(SUFFIX), archive / member))
    return [path for _, path in sorted(members)]


def read_packed(path: Path) -> bytes | None:
    """The file that a path through an archive leads to; None if it leads through none."""
    for archive in path.parents:
        if archive.suffix == ".tar" and archive.is_file():
            offset, size = _members(archive)[path.relative_to(archive).as_posix()]
            with archive.open("rb") as file:
                file.seek(offset)
                return file.read(size)
    return None


class PackWriter:
    """Writes packs, each whole or not at all; what an earlier writer left is taken up."""

    def __init__(self, folder: Path, largest_bytes: int) -> None:
        """Raises UsageError if the folder holds finished packs."""
        if (folder / INDEX).exists():
            raise UsageError(f"{folder} holds finished packs: choose another folder, or delete it")
        folder.mkdir(parents=True, exist_ok=True)
        self._folder, self._largest = folder, largest_bytes
        self.written: list[str] = []
        self._archives: list[Path] = []
        while (archive := self._next_archive()).exists():
            self.written += [member.removesuffix(SUFFIX) for member in _members(archive)]
            self._archives.append(archive)

    def write(self, images: Iterable[PackedImage]) -> None:
        """All that are not in `written`, in their order; then the index.

        Raises UsageError if one alone is larger than a pack.
        """
        pack: list[PackedImage] = []
        size = _END
        for image in images:
            needed = _stored(image)
            if needed + _END > self._largest:
                raise UsageError(
                    f"{image.name} alone takes {needed / 2**20:.1f} MiB: allow larger packs "
                    "(--megabytes), or leave it out"
                )
            if size + needed > self._largest:
                self._write_archive(pack)
                pack, size = [], _END
            pack.append(image)
            size += needed
        if pack:
            self._write_archive(pack)
        archives = {archive.name: _sha256(archive) for archive in self._archives}
        index = {"format": FORMAT, "archives": archives}
        _write_whole(self._folder / INDEX, (json.dumps(index, indent=2) + "\n").encode())

    def _next_archive(self) -> Path:
        return self._folder / f"{len(self._archives):03}.tar"

    def _write_archive(self, images: list[PackedImage]) -> None:
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as tar:
            for image in images:
                member = tarfile.TarInfo(image.member)
                member.size = len(image.webp)
                tar.addfile(member, io.BytesIO(image.webp))
        archive = self._next_archive()
        _write_whole(archive, buffer.getvalue())
        self._archives.append(archive)


# A tar ends in two blocks of zeros, and more up to a whole record.
_END = 2 * tarfile.BLOCKSIZE + tarfile.RECORDSIZE


def _stored(image: PackedImage) -> int:
    """Bytes of a tar: a header, and whole blocks."""
    return tarfile.BLOCKSIZE * (1 + -(-len(image.webp) // tarfile.BLOCKSIZE))


def _write_whole(path: Path, content: bytes) -> None:
    temporary = path.with_suffix(".part")
    temporary.write_bytes(content)
    temporary.replace(path)


def _sha256(archive: Path) -> str:
    return _sha256_as_of(archive, archive.stat().st_mtime_ns)


@lru_cache
def _sha256_as_of(archive: Path, _mtime_ns: int) -> str:
    with archive.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _checked_archives(index: Path) -> Iterator[Path]:
    try:
        written = json.loads(index.read_text())
        known, archives = written["format"], dict(written["archives"])
    except (ValueError, KeyError, TypeError) as error:
        raise UsageError(f"{index} is broken: fetch the packs again") from error
    if known != FORMAT:
        raise UsageError(f"{index} is of format {known}, not {FORMAT}: pack the images again")
    for name, checksum in archives.items():
        archive = index.parent / name
        if not archive.is_file():
            raise UsageError(f"{archive} is missing: fetch the packs again")
        if _sha256(archive) != checksum:
            raise UsageError(f"{archive} is not the archive that was packed: fetch it again")
        yield archive


def _members(archive: Path) -> dict[str, tuple[int, int]]:
    """Of each its name -> offset, size."""
    return _members_as_of(archive, archive.stat().st_mtime_ns)


@lru_cache
def _members_as_of(archive: Path, _mtime_ns: int) -> dict[str, tuple[int, int]]:
    try:
        with tarfile.open(archive, "r:") as tar:
            return {member.name: (member.offset_data, member.size) for member in tar}
    except tarfile.TarError as error:
        raise UsageError(f"{archive} is broken: fetch it again, or delete it") from error
