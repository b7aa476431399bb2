"""Packing image folders, in several processes."""

from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from tqdm import tqdm

from jpegrt.runtime.errors import UsageError
from jpegrt.training.images import load_rgb, lossless_files
from jpegrt.training.packs import PackedImage, PackWriter, encode


def pack(data: Path, output: Path, sets: Sequence[str], largest_bytes: int, workers: int) -> str:
    """Writes the sets' images as packs, or goes on where it was stopped. Returns a line on them.

    largest_bytes: of an archive. Raises UsageError, FileNotFoundError.
    """
    files = [file for name in sets for file in lossless_files(data, name)]
    names = [file.relative_to(data).as_posix() for file in files]
    writer = PackWriter(output, largest_bytes)
    done = len(writer.written)
    if names[:done] != writer.written:
        raise UsageError(f"{output} holds packs of other images: delete it, or choose another")
    with ProcessPoolExecutor(workers) as processes:
        encoded = processes.map(_encode, files[done:], names[done:])
        writer.write(tqdm(encoded, "packing", len(files), initial=done, unit="image"))
    before = sum(file.stat().st_size for file in files)
    packs = sorted(output.glob("*.tar"))
    after = sum(archive.stat().st_size for archive in packs)
    return (
        f"{len(files)} images in {len(packs)} packs: {after / 2**20:.1f} MiB, "
        f"{after / before:.2f} of the files' size"
    )


def _encode(file: Path, name: str) -> PackedImage:
    return encode(name, load_rgb(file))
