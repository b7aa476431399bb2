"""What a batch knows of itself after it was killed."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from jpegrt.runtime.errors import UsageError
from jpegrt.runtime.journal import JOURNAL_NAME, Journal, stamp

SETTINGS = {"model": "cellnet", "depth": 8}


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "a.jpg"
    path.write_bytes(b"a JPEG")
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "out"


@contextmanager
def opened(folder: Path, alone: bool = True, **settings: object) -> Iterator[Journal]:
    with Journal(folder, {**SETTINGS, **settings}, alone=alone) as journal:
        yield journal


def write(journal: Journal, source: Path, target: Path, *, finish: bool = True) -> None:
    target.write_bytes(b"an image")
    written = stamp(target)
    assert written
    journal.announce(source, target, written)
    if finish:
        journal.finish(target)


def test_what_is_finished(folder: Path, source: Path) -> None:
    target = folder / "a.png"
    with opened(folder) as journal:
        assert not journal.is_finished(source, target)
        write(journal, source, target)
        journal.fail(source, folder / "b.png", "why")
        assert journal.finished == 1
    for _ in range(2):  # opening changes nothing
        with opened(folder) as journal:
            assert journal.is_finished(source, target)
            assert not journal.is_finished(source, folder / "b.png")
            assert journal.finished == 0
    target.write_bytes(b"an image that somebody has worked on")
    with opened(folder) as journal:
        assert journal.is_finished(source, target)
    target.unlink()
    with opened(folder) as journal:
        assert not journal.is_finished(source, target)


def test_changed_inputs_are_not_finished(folder: Path, source: Path) -> None:
    with opened(folder) as journal:
        write(journal, source, folder / "a.png")
    source.write_bytes(b"another JPEG")
    with opened(folder) as journal:
        assert not journal.is_finished(source, folder / "a.png")


def test_killed_around_the_renaming(folder: Path, source: Path) -> None:
    target = folder / "a.png"
    with opened(folder) as journal:
        write(journal, source, target, finish=False)
    with opened(folder) as journal:
        assert journal.is_finished(source, target)  # it is the one that was announced
    target.unlink()
    with opened(folder) as journal:
        assert not journal.is_finished(source, target)
    target.write_bytes(b"another file that was there before")
    with opened(folder) as journal:
        assert not journal.is_finished(source, target)


def test_a_torn_line_costs_nothing_else(folder: Path, source: Path) -> None:
    with opened(folder) as journal:
        write(journal, source, folder / "a.png")
        write(journal, source, folder / "b.png")
    whole = (folder / JOURNAL_NAME).read_bytes()
    last = len(whole.splitlines()[-1]) + 1
    for cut in range(1, last):
        (folder / JOURNAL_NAME).write_bytes(whole[:-cut])
        with opened(folder) as journal:
            assert journal.is_finished(source, folder / "a.png")
            assert journal.is_finished(source, folder / "b.png")  # it is as announced
            write(journal, source, folder / "c.png")
        with opened(folder) as journal:
            assert journal.is_finished(source, folder / "c.png")
            assert journal.is_finished(source, folder / "b.png")


@pytest.mark.parametrize(
    "junk", [b"\xff\xfe\n", b"[]\n", b"3\n", b'{"output": "x"}\n', b'{"stamp": 3}\n']
)
def test_junk_is_passed_over(folder: Path, source: Path, junk: bytes) -> None:
    with opened(folder) as journal:
        write(journal, source, folder / "a.png")
    path = folder / JOURNAL_NAME
    path.write_bytes(path.read_bytes() + junk)
    with opened(folder) as journal:
        assert journal.is_finished(source, folder / "a.png")


def test_other_settings(folder: Path, source: Path) -> None:
    with opened(folder) as journal:
        write(journal, source, folder / "a.png")
    with opened(folder, depth=16) as journal:
        with pytest.raises(UsageError, match=r"a\.png was made with another depth: resume with"):
            journal.is_finished(source, folder / "a.png")
        write(journal, source, folder / "b.png")
    with opened(folder) as journal:
        assert journal.is_finished(source, folder / "a.png")


def test_one_at_a_time_when_resuming(folder: Path) -> None:
    refused = pytest.raises(UsageError, match="another jpegrt is writing into")
    with opened(folder, alone=False), opened(folder, alone=False), refused:
        Journal(folder, SETTINGS, alone=True)
    with opened(folder), pytest.raises(UsageError, match="wait until it has ended"):
        Journal(folder, SETTINGS, alone=False)


def test_lines_say_what_and_why(folder: Path, source: Path) -> None:
    with opened(folder) as journal:
        journal.fail(source, folder / "x" / "a\udcff.png", "is no JPEG")
    settings, failure = map(json.loads, (folder / JOURNAL_NAME).read_text().splitlines())
    assert settings == {"settings": SETTINGS}
    assert failure == {"output": "x/a\udcff.png", "input": str(source), "failed": "is no JPEG"}


def test_folders_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match="cannot be written"):
        Journal(tmp_path / "file" / "out", SETTINGS, alone=False)
