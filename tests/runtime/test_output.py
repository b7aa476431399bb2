"""Outputs: checked beforehand, and written whole or not at all."""

import errno
import os
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import numpy as np
import pytest
from PIL import Image
from tests.kernels.images import synthetic

from jpegrt.runtime.errors import RestoreError, UsageError
from jpegrt.runtime.journal import JOURNAL_NAME
from jpegrt.runtime.output import (
    check_writable,
    output_path,
    remove_parts,
    write_json,
    write_png,
    written_whole,
)

PIXELS = synthetic(20, 30)


def no_space(*_: object, **__: object) -> NoReturn:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def nothing(*_: object, **__: object) -> None:
    """Does not fail."""


def interrupted(*_: object, **__: object) -> NoReturn:
    raise KeyboardInterrupt


@pytest.mark.parametrize("channels", [1, 3])
def test_pixels_are_kept(tmp_path: Path, channels: int) -> None:
    pixels = synthetic(9, 14, channels)
    write_png(pixels, tmp_path / "a.png")
    with Image.open(tmp_path / "a.png") as image:
        assert image.format == "PNG"
        np.testing.assert_array_equal(np.asarray(image), pixels)
    assert os.listdir(tmp_path) == ["a.png"]


def test_files_have_ordinary_permissions(tmp_path: Path) -> None:
    (tmp_path / "plain").touch()
    write_png(PIXELS, tmp_path / "a.png")
    modes = [stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("plain", "a.png")]
    assert modes[0] == modes[1]


@pytest.mark.parametrize(
    ("half_way", "at_the_end", "raised"),
    [
        (no_space, nothing, RestoreError),
        (nothing, no_space, RestoreError),
        (interrupted, nothing, KeyboardInterrupt),
    ],
)
def test_a_failed_write_leaves_what_was_there(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    half_way: Callable[[], None],
    at_the_end: Callable[..., None],
    raised: type[BaseException],
) -> None:
    old = tmp_path / "old.png"
    old.write_bytes(b"what was there")
    monkeypatch.setattr(os, "replace", at_the_end)
    for path in (old, tmp_path / "new.png"):
        with pytest.raises(raised) as caught, written_whole(path) as file:
            file.write(b"\x89PNG, and then")
            file.flush()
            half_way()
        if raised is RestoreError:
            assert str(caught.value) == f"{path} cannot be written: No space left on device"
    assert os.listdir(tmp_path) == ["old.png"]
    assert old.read_bytes() == b"what was there"


def test_missing_folders_are_made(tmp_path: Path) -> None:
    write_png(PIXELS, tmp_path / "missing" / "too" / "a.png")
    assert os.listdir(tmp_path / "missing" / "too") == ["a.png"]


@pytest.mark.parametrize("error", [None, errno.EPERM])
def test_what_is_new_is_written_without_leave(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: int | None
) -> None:
    def no_links(*_: object) -> NoReturn:
        assert error
        raise OSError(error, os.strerror(error))

    if error:  # as on FAT
        monkeypatch.setattr(os, "link", no_links)
    write_json([1], tmp_path / "a.json", overwrite=False)
    assert os.listdir(tmp_path) == ["a.json"]
    assert (tmp_path / "a.json").stat().st_nlink == 1


def test_a_file_that_appeared_meanwhile_is_kept(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"precious")
    with pytest.raises(RestoreError, match=r"a\.png cannot be written: File exists"):
        write_png(PIXELS, tmp_path / "a.png", overwrite=False)
    assert (tmp_path / "a.png").read_bytes() == b"precious"
    assert os.listdir(tmp_path) == ["a.png"]


def test_outputs_take_their_inputs_stem() -> None:
    assert output_path(Path("a.b.jpeg"), Path("out")) == Path("out/a.b.png")
    assert output_path(Path("in/a"), Path("out"), ".webp") == Path("out/in/a.webp")


def test_check_makes_nothing(tmp_path: Path) -> None:
    check_writable(tmp_path / "new" / "deep" / "a.png", overwrite=False)
    assert os.listdir(tmp_path) == []


def test_check_refuses(tmp_path: Path) -> None:
    (tmp_path / "there.png").touch()
    (tmp_path / "folder.png").mkdir()
    os.mkfifo(tmp_path / "pipe.png")
    for name in ("dangling.png", "dangling"):
        (tmp_path / name).symlink_to(tmp_path / "nowhere")
    for path, overwrite, reason in [
        ("there.png", False, "exists: pass --overwrite"),
        ("folder.png", True, "is a folder"),
        ("there.png/a.png", False, "cannot be written"),
        ("pipe.png", True, "is no ordinary file"),
        ("dangling.png", False, "exists: pass --overwrite"),
        ("dangling/a.png", False, "dangling cannot be written to"),
        ("a" * 300 + ".png", False, "cannot be written: File name too long"),
    ]:
        with pytest.raises(UsageError, match=reason):
            check_writable(tmp_path / path, overwrite=overwrite)
    check_writable(tmp_path / "dangling.png", overwrite=True)
    check_writable(tmp_path / "there.png", overwrite=True)
    assert (tmp_path / "there.png").exists()


def test_parts_of_killed_processes_are_removed(tmp_path: Path) -> None:
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    alive = f".jpegrt-{os.getpid()}-1.part"
    kept = [alive, ".jpegrt-x-1.part", "a.part", JOURNAL_NAME]
    for name in (f".jpegrt-{gone.pid}-1.part", *kept):
        (tmp_path / name).touch()
    remove_parts(tmp_path)
    assert sorted(os.listdir(tmp_path)) == sorted(kept)
