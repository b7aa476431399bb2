"""`jpegrt evaluate` with the shipped model."""

import json
import os
from pathlib import Path

import pytest
from PIL import Image
from tests.kernels.images import synthetic
from tests.runtime.command_line import CommandLine

from jpegrt.runtime.auto_session import open_session
from jpegrt.runtime.evaluation import encode, load_original
from jpegrt.runtime.metrics import psnr
from jpegrt.runtime.session import Session

FAST = ("--engine", "onnxruntime", "--threads", "1")


@pytest.fixture
def images(tmp_path: Path) -> Path:
    folder = tmp_path / "images"
    folder.mkdir()
    for name, size in (("a.png", (33, 47)), ("b.png", (40, 24))):
        Image.fromarray(synthetic(*size)).save(folder / name)
    return folder


@pytest.mark.parametrize("colour", [False, True])
def test_report(jpegrt: CommandLine, images: Path, tmp_path: Path, colour: bool) -> None:
    report = tmp_path / "report.json"
    options = ["--colour", "--subsampling", "444"] if colour else []
    outcome = jpegrt(
        "evaluate", "--images", images, "--quality", "10", "75", "--json", report, *options, *FAST
    )
    assert (outcome.code, outcome.err) == (0, "")
    rows = outcome.out.splitlines()[-2:]
    assert [int(row.split("|")[0]) for row in rows] == [10, 75]
    document = json.loads(report.read_text())
    assert (document["model"], document["precision"]) == ("cellnet", "int8")
    assert document["images"] == "images"  # no path of a machine
    assert [(row["quality"], row["image"]) for row in document["rows"]] == [
        (quality, name) for quality in (10, 75) for name in ("a.png", "b.png")
    ]
    assert sorted(os.listdir(tmp_path)) == ["images", "report.json"]
    report.write_text("an older one")
    again = ("evaluate", "--images", images, "--quality", "10", "--model", "none", "--json", report)
    assert jpegrt(*again).code == 2
    assert report.read_text() == "an older one"
    assert jpegrt(*again, "--overwrite").code == 0
    assert json.loads(report.read_text())["model"] == "none"


def test_numbers_are_those_of_a_session(jpegrt: CommandLine, images: Path, tmp_path: Path) -> None:
    report = tmp_path / "report.json"
    jpegrt("evaluate", "--images", images, "--quality", "20", "--colour", "--limit", "1",
           "--json", report, *FAST)  # fmt: skip
    original = synthetic(33, 47)
    restored = Session(engine="onnxruntime", threads=1).restore(encode(original, 20, "420"))
    (row,) = json.loads(report.read_text())["rows"]
    assert row["restored"]["psnr_db"] == psnr(restored, original)


def test_auto_is_measured_as_it_restores(jpegrt: CommandLine, images: Path, tmp_path: Path) -> None:
    report = tmp_path / "report.json"
    outcome = jpegrt("evaluate", "--images", images, "--quality", "98", "--limit", "1",
                     "--model", "auto", "--json", report, *FAST)  # fmt: skip
    assert (outcome.code, outcome.err) == (0, "")
    document = json.loads(report.read_text())
    assert (document["model"], document["precision"]) == ("auto", "int8")
    assert document["strength"] is None
    (row,) = document["rows"]
    original = load_original(images / row["image"], colour=False)
    session = open_session("auto", engine="onnxruntime", threads=1)
    assert row["restored"]["psnr_db"] == psnr(
        session.restore(encode(original, 98, "420")), original
    )


def test_strength_is_measured_too(jpegrt: CommandLine, images: Path, tmp_path: Path) -> None:
    report = tmp_path / "report.json"
    options = ("--quality", "30", "--strength", "0", "--json", report, *FAST)
    outcome = jpegrt("evaluate", "--images", images, "--model", "cellnet", *options)
    assert outcome.code == 0
    assert "+0.00" in outcome.out.splitlines()[-1]
    assert json.loads(report.read_text())["strength"] == 0


def test_no_model_gains_nothing(jpegrt: CommandLine, images: Path) -> None:
    outcome = jpegrt("evaluate", "--images", images, "--model", "none", "--quality", "30")
    assert outcome.code == 0
    assert "+0.00" in outcome.out.splitlines()[-1]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--images", "missing"], "missing is not a folder"),
        (["--images", "images", "--subsampling", "444"], "--subsampling needs --colour"),
        (["--images", "a" * 300], "cannot be read: File name too long"),
        (["--images", "images", "--json", "no/report.json"], "cannot be written"),
        (["--images", "images", "--json", "images/b.png"], "exists: pass --overwrite"),
        (["--images", "images", "--json", "images/a.png/report.json"], "cannot be written"),
        (["--images", "images", "--json", "images"], "images"),
        (["--images", "images", "--model", "cellnot"], "unknown model cellnot"),
    ],
)
def test_refused_before_anything_is_measured(
    jpegrt: CommandLine,
    images: Path,
    monkeypatch: pytest.MonkeyPatch,
    options: list[str],
    said: str,
) -> None:
    monkeypatch.chdir(images.parent)
    outcome = jpegrt("evaluate", *options)
    assert (outcome.code, outcome.out) == (2, "")
    assert said in outcome.complaint
    assert sorted(os.listdir(images)) == ["a.png", "b.png"]


def test_a_bad_original_is_named(jpegrt: CommandLine, images: Path) -> None:
    (images / "c.png").write_bytes(b"\x89PNG\r\n\x1a\n, and no more")
    outcome = jpegrt("evaluate", "--images", images, "--quality", "50", *FAST)
    assert outcome.code == 1
    assert "c.png cannot be read" in outcome.complaint
