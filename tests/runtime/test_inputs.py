"""Which files a request names, and where their outputs go."""

import io
import os
from pathlib import Path

import pytest

from jpegrt.runtime.errors import UsageError
from jpegrt.runtime.inputs import JPEG_SUFFIXES, PIXEL_SUFFIXES, find_inputs, listed_inputs

TREE = (
    "a.jpg", "b.JPEG", "c.txt", "d.png", ".hidden.jpg", "x/a.jpg", "x/y/e.jfif", "out/a.jpg",
)  # fmt: skip


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in TREE:
        path = tmp_path / "in" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    monkeypatch.chdir(tmp_path)
    return tmp_path / "in"


def places(
    *names: str, recursive: bool = False, suffixes: frozenset[str] = JPEG_SUFFIXES
) -> list[str]:
    found = find_inputs(names, suffixes, recursive=recursive, apart_from=Path("in/out"))
    assert all(entry.path.name == entry.place.name for entry in found)
    return [entry.place.as_posix() for entry in found]


def test_files_are_taken_as_they_are(tree: Path) -> None:
    assert places("in/x/a.jpg", str(tree / "c.txt"), "in/none.jpg") == [
        "a.jpg",
        "c.txt",
        "none.jpg",
    ]


def test_folders(tree: Path) -> None:
    assert places("in") == ["a.jpg", "b.JPEG"]
    assert places("in", suffixes=JPEG_SUFFIXES | PIXEL_SUFFIXES) == ["a.jpg", "b.JPEG", "d.png"]
    assert places("in", recursive=True) == ["a.jpg", "b.JPEG", "x/a.jpg", "x/y/e.jfif"]
    assert places(str(tree / "x"), recursive=True) == ["a.jpg", "y/e.jfif"]


def test_patterns(tree: Path) -> None:
    assert places("in/*.jpg") == ["a.jpg"]
    assert places("in/x/*.jpg", "in/?.txt") == ["a.jpg", "c.txt"]
    assert places("in/**/*.jpg") == ["a.jpg", "x/a.jpg"]
    assert places(str(tree / "*/y/*")) == ["x/y/e.jfif"]
    (tree / "[1].jpg").touch()
    assert places("in/[1].jpg") == ["[1].jpg"]  # there is a file of that name


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("in/x/y/none*.jpg", r"no file matches in/x/y/none\*\.jpg"),
        ("in/x/*", None),
        ("empty", "empty holds no images to restore; --recursive looks into its folders too"),
    ],
)
def test_nothing_there(tree: Path, name: str, said: str | None) -> None:
    Path("empty").mkdir()
    if said is None:
        assert places(name) == ["a.jpg"]
        return
    with pytest.raises(UsageError, match=said):
        places(name)


def test_links_that_lead_back_are_not_followed(tree: Path) -> None:
    (tree / "x" / "back").symlink_to(tree)
    assert places("in", recursive=True) == ["a.jpg", "b.JPEG", "x/a.jpg", "x/y/e.jfif"]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\0"])
def test_lists(tmp_path: Path, end: str, monkeypatch: pytest.MonkeyPatch) -> None:
    names = ["x/a.jpg", "b c.jpg", "/abs/d.jpg", "../up/e.jpg", "./f.jpg"]
    content = end.join([*names, ""]).encode() + b"\xff.jpg"
    (tmp_path / "list").write_bytes(content)
    expected = ["x/a.jpg", "b c.jpg", "d.jpg", "e.jpg", "f.jpg", "\udcff.jpg"]
    for name in (str(tmp_path / "list"), "-"):
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(content)))
        found = listed_inputs(name)
        assert [entry.place.as_posix() for entry in found] == expected
        assert found[3].path == Path("../up/e.jpg")


def test_lists_that_are_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", None)
    with pytest.raises(UsageError, match="- stands for a stream that is closed"):
        listed_inputs("-")
    (tmp_path / "list").write_text("\n\n")
    with pytest.raises(UsageError, match="lists no files"):
        listed_inputs(str(tmp_path / "list"))
    with pytest.raises(UsageError, match="none cannot be read: No such file"):
        listed_inputs(str(tmp_path / "none"))


def test_what_could_block_is_left_out_of_folders(tree: Path) -> None:
    os.mkfifo(tree / "pipe.jpg")
    (tree / ".thumbnails").mkdir()
    (tree / ".thumbnails" / "z.jpg").touch()
    (tree / "dangling.jpg").symlink_to("nowhere")
    assert places("in", recursive=True) == [
        "a.jpg",
        "b.JPEG",
        "dangling.jpg",
        "x/a.jpg",
        "x/y/e.jfif",
    ]
    assert places("in/*.jpg") == ["a.jpg", "dangling.jpg"]
