"""`jpegrt restore` as a user runs it."""

import json
import os
import resource
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from tests.kernels.images import Pixels, synthetic
from tests.runtime.command_line import SCRIPT, CommandLine, finish, start
from tests.runtime.jpegs import EXAMPLE, claiming, corrupted, decode, encode
from tests.runtime.recompressed import with_tables

from jpegrt.runtime.amounts import amount_at
from jpegrt.runtime.auto_session import open_session
from jpegrt.runtime.journal import JOURNAL_NAME

HEIGHT, WIDTH = 200, 240
PHOTO = encode(synthetic(HEIGHT, WIDTH), quality=92)
assert PHOTO.index(b"\xff\xda") < len(PHOTO) / 15  # a tenth of it holds part of the image
# ONNX Runtime, because it is the quicker one to start.
FAST = ("--engine", "onnxruntime", "--threads", "1")


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    path = tmp_path / "photo.jpg"
    path.write_bytes(PHOTO)
    return path


@pytest.fixture
def output(tmp_path: Path) -> Path:
    """A folder for outputs, and nothing else."""
    path = tmp_path / "out"
    path.mkdir()
    return path


def outputs(folder: Path) -> list[str]:
    """What a batch wrote, beside its journal."""
    names = os.listdir(folder)
    names.remove(JOURNAL_NAME)
    return sorted(names)


def shown(path: Path) -> Pixels:
    with Image.open(path) as image:
        assert image.format == "PNG"
        return np.asarray(image)


def restored(jpeg: bytes, **options: Any) -> Pixels:
    """As restored by default."""
    session = open_session("auto", engine="onnxruntime", threads=1, **options)
    return session.restore(jpeg)


def test_one_file_by_the_installed_script(output: Path) -> None:
    target = output / "example.png"
    outcome = finish(start("restore", EXAMPLE / "example.jpg", "-o", target))
    assert (outcome.code, outcome.err) == (0, "")
    assert outcome.out.startswith(f"{target}: ")
    assert "cellnet int8" in outcome.out
    assert len(outcome.out.splitlines()) == 1
    expected = open_session("auto").restore(EXAMPLE / "example.jpg")
    np.testing.assert_array_equal(shown(target), expected)


def test_one_file_to_a_file(jpegrt: CommandLine, photo: Path, output: Path) -> None:
    outcome = jpegrt("restore", photo, "-o", output / "new" / "a.png", *FAST)
    assert (outcome.code, outcome.err) == (0, "")
    np.testing.assert_array_equal(shown(output / "new" / "a.png"), restored(PHOTO))
    assert os.listdir(output / "new") == ["a.png"]


def test_one_file_to_a_folder(jpegrt: CommandLine, photo: Path, output: Path) -> None:
    assert jpegrt("restore", photo, "-o", output, *FAST).code == 0
    assert os.listdir(output) == ["photo.png"]


def test_many_files_to_a_folder(jpegrt: CommandLine, tmp_path: Path) -> None:
    jpegs = {
        "colour.jpg": PHOTO,
        "grey.JPEG": encode(synthetic(33, 47, 1)),
        "full.jpg": encode(synthetic(20, 70), subsampling="4:4:4"),
    }
    for name, jpeg in jpegs.items():
        (tmp_path / name).write_bytes(jpeg)
    folder = tmp_path / "made" / "here"
    outcome = jpegrt("restore", *(tmp_path / name for name in jpegs), "-o", folder, *FAST)
    assert (outcome.code, outcome.err) == (0, "")
    *_, summary = outcome.out.splitlines()
    assert len(outcome.out.splitlines()) == 4
    assert summary.startswith("3 restored, 0 failed, in ")
    assert outputs(folder) == ["colour.png", "full.png", "grey.png"]
    for name, jpeg in jpegs.items():
        result = shown(folder / f"{Path(name).stem}.png")
        np.testing.assert_array_equal(result, restored(jpeg))


@pytest.mark.parametrize("strength", [0.0, 0.3, 1.0])
def test_strength(jpegrt: CommandLine, photo: Path, output: Path, strength: float) -> None:
    target = output / "a.png"
    options = ("--strength", str(strength), "--json", *FAST)
    (report,) = json.loads(jpegrt("restore", photo, "-o", target, *options).out)
    assert report["strength"] == strength
    assert report["model"] == ("none" if strength == 0 else "cellnet")
    expected = restored(PHOTO, strength=strength)
    np.testing.assert_array_equal(shown(target), expected)
    if strength == 0:
        np.testing.assert_array_equal(expected, decode(PHOTO))


@pytest.mark.parametrize("strength", ["1.1", "-0.5", "nan", "half"])
def test_other_strengths(jpegrt: CommandLine, photo: Path, output: Path, strength: str) -> None:
    outcome = jpegrt("restore", photo, "-o", output / "a.png", "--strength", strength)
    assert outcome.code == 2
    assert f"--strength: must be a number from 0 to 1, not {strength}" in outcome.err
    assert os.listdir(output) == []


def test_a_strength_between_is_told(jpegrt: CommandLine, photo: Path, output: Path) -> None:
    options = ("--model", "cellnet", "--strength", "0.25", *FAST)
    line = jpegrt("restore", photo, "-o", output / "a.png", *options).out
    assert "cellnet int8 at strength 0.25, restored in" in line


def test_a_near_lossless_file_comes_back_untouched(
    jpegrt: CommandLine, tmp_path: Path, output: Path
) -> None:
    jpeg = with_tables(synthetic(HEIGHT, WIDTH, 1), [1] * 64)
    (tmp_path / "fine.jpg").write_bytes(jpeg)
    target = output / "fine.png"
    (report,) = json.loads(
        jpegrt("restore", tmp_path / "fine.jpg", "-o", target, "--json", *FAST).out
    )
    np.testing.assert_array_equal(shown(target), decode(jpeg))
    assert (report["model"], report["strength"]) == ("none", 0)
    assert report["choice"].endswith("quality 100, which no model makes better")


def test_json(jpegrt: CommandLine, photo: Path, output: Path) -> None:
    target = output / "a.png"
    outcome = jpegrt("restore", photo, "-o", target, "--json", *FAST)
    assert (outcome.code, outcome.err) == (0, "")
    (report,) = json.loads(outcome.out)
    times = report.pop("milliseconds")
    assert report == {
        "input": str(photo),
        "output": str(target),
        "width": WIDTH,
        "height": HEIGHT,
        "components": 3,
        "model": "cellnet",
        "precision": "int8",
        "engine": "onnxruntime",
        "strength": amount_at(92, "420").strength,
        "choice": "its tables are like those of quality 92",
    }
    stages = {"entropy_decode", "unpack", "network", "pixels"}
    assert set(times) == stages | {"restore", "encode"}
    assert 0 < sum(times[stage] for stage in stages) <= times["restore"]


@pytest.mark.parametrize("precision", ["fp32", "int8"])
def test_precision_is_used(jpegrt: CommandLine, photo: Path, output: Path, precision: str) -> None:
    outcome = jpegrt("restore", photo, "-o", output, "--precision", precision, *FAST)
    assert outcome.code == 0
    assert f"cellnet {precision}" in outcome.out
    np.testing.assert_array_equal(shown(output / "photo.png"), restored(PHOTO, precision=precision))


def test_no_model_is_a_plain_decoder(jpegrt: CommandLine, photo: Path, output: Path) -> None:
    assert jpegrt("restore", photo, "-o", output, "--model", "none").code == 0
    np.testing.assert_array_equal(shown(output / "photo.png"), decode(PHOTO))


def test_existing_outputs_are_kept(jpegrt: CommandLine, photo: Path, output: Path) -> None:
    target = output / "photo.png"
    target.write_bytes(b"precious")
    for where in (target, output):
        outcome = jpegrt("restore", photo, "-o", where, *FAST)
        assert (outcome.code, outcome.out) == (2, "")
        assert outcome.complaint == f"jpegrt: {target} exists: pass --overwrite to replace it"
        assert target.read_bytes() == b"precious"
    assert jpegrt("restore", photo, "-o", target, "--overwrite", *FAST).code == 0
    np.testing.assert_array_equal(shown(target), restored(PHOTO))
    assert os.listdir(output) == ["photo.png"]


def test_overwriting_a_failure_keeps_what_was_there(
    jpegrt: CommandLine, tmp_path: Path, output: Path
) -> None:
    bad, target = tmp_path / "bad.jpg", output / "a.png"
    bad.write_bytes(PHOTO[: len(PHOTO) // 2])
    target.write_bytes(b"precious")
    assert jpegrt("restore", bad, "-o", target, "--overwrite", *FAST).code == 1
    assert target.read_bytes() == b"precious"
    assert os.listdir(output) == ["a.png"]


def test_one_stem_twice_is_refused(jpegrt: CommandLine, photo: Path, output: Path) -> None:
    for other in (photo, photo.with_suffix(".jpeg"), output.parent / "x" / "photo.jpg"):
        outcome = jpegrt("restore", photo, other, "-o", output, *FAST)
        assert (outcome.code, outcome.out) == (2, "")
        assert "two inputs would be written to" in outcome.complaint
    assert os.listdir(output) == []


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--model", "cellnot"], "unknown model cellnot: choose one of"),
        (["--precision", "fp16"], "model cellnet has no precision fp16: choose one of fp32, int8"),
    ],
)
def test_unmet_requests(
    jpegrt: CommandLine, photo: Path, output: Path, options: list[str], said: str
) -> None:
    outcome = jpegrt("restore", photo, "-o", output, *options)
    assert (outcome.code, outcome.out) == (2, "")
    assert said in outcome.complaint
    assert os.listdir(output) == []


# These cannot be written even by root, as whom the tests may run.
@pytest.mark.parametrize("target", ["photo.jpg/a.png", "photo.jpg/new/a.png", "a" * 300 + ".png"])
def test_unwritable_outputs(jpegrt: CommandLine, photo: Path, target: str) -> None:
    outcome = jpegrt("restore", photo, "-o", photo.parent / target, *FAST)
    assert (outcome.code, outcome.out) == (2, "")
    assert "cannot be" in outcome.complaint
    assert photo.read_bytes() == PHOTO


@pytest.mark.parametrize("target", ["/proc/a.png", "/proc/a/a.png"])
def test_an_output_that_fails_at_the_last_moment(
    jpegrt: CommandLine, photo: Path, target: str
) -> None:
    outcome = jpegrt("restore", photo, "-o", target, *FAST)
    assert outcome.code in (1, 2)
    assert "cannot be written" in outcome.complaint


def test_names_that_tell_no_format(jpegrt: CommandLine, photo: Path, output: Path) -> None:
    outcome = jpegrt("restore", photo, "-o", output / "a.gif", *FAST)
    assert outcome.code == 2
    assert "a.gif: its name tells no format" in outcome.complaint
    assert os.listdir(output) == []


def png() -> bytes:
    path = EXAMPLE / "example.png"
    return path.read_bytes()


PROGRESSIVE = encode(synthetic(HEIGHT, WIDTH), quality=92, progressive=True)

BAD = {
    "empty": b"",
    "text": b"This is not a JPEG, whatever its name says.\n" * 20,
    "PNG": png(),
    "header only": PHOTO[:300],
    "corrupted": corrupted(PHOTO),
    "progressive, cut": PROGRESSIVE[: len(PROGRESSIVE) // 3],
    "65500 x 65500": claiming(PHOTO, 65500, 65500),
    "no pixels": claiming(PHOTO, 0, WIDTH),
    **{f"{tenths} tenths": PHOTO[: len(PHOTO) * tenths // 10] for tenths in range(1, 10)},
}
PARTLY_THERE = {"corrupted", "progressive, cut", *(f"{tenths} tenths" for tenths in range(1, 10))}


@pytest.mark.parametrize("name", BAD)
def test_bad_files(jpegrt: CommandLine, photo: Path, output: Path, name: str) -> None:
    photo.write_bytes(BAD[name])
    outcome = jpegrt("restore", photo, "-o", output, *FAST)
    assert (outcome.code, outcome.out) == (1, "")
    assert outcome.complaint.startswith(f"jpegrt: {photo}: ")
    assert os.listdir(output) == []


@pytest.mark.parametrize("name", BAD)
def test_bad_files_with_leave(jpegrt: CommandLine, photo: Path, output: Path, name: str) -> None:
    photo.write_bytes(BAD[name])
    outcome = jpegrt("restore", photo, "-o", output, "--allow-damaged", *FAST)
    if name not in PARTLY_THERE:
        assert (outcome.code, os.listdir(output)) == (1, [])
        assert outcome.complaint
        return
    assert (outcome.code, outcome.err) == (0, "")
    assert os.listdir(output) == ["photo.png"]
    result, whole = shown(output / "photo.png"), restored(PHOTO)
    assert result.shape == whole.shape
    if "tenths" in name and name != "1 tenths":  # which is less than a row of MCUs
        rows = HEIGHT * int(name[0]) // 20  # about half of those that are there
        assert np.abs(result[:rows].astype(int) - whole[:rows]).mean() < 1


def test_a_damaged_file_is_told_of_the_flag(jpegrt: CommandLine, photo: Path, output: Path) -> None:
    photo.write_bytes(BAD["5 tenths"])
    assert "--allow-damaged" in jpegrt("restore", photo, "-o", output, *FAST).complaint
    photo.write_bytes(BAD["header only"])  # which cannot be restored even so
    outcome = jpegrt("restore", photo, "-o", output, "--allow-damaged", *FAST)
    assert "--allow-damaged" not in outcome.complaint


def test_a_huge_claim_takes_no_memory(jpegrt: CommandLine, photo: Path, output: Path) -> None:
    photo.write_bytes(BAD["65500 x 65500"])
    before_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    outcome = jpegrt("restore", photo, "-o", output, "--allow-damaged", *FAST)
    grown_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before_kib
    assert outcome.code == 1
    assert "65500" in outcome.complaint
    assert "134217728" in outcome.complaint  # the limit
    assert grown_kib < 64 << 10


def test_the_limit_can_be_set(jpegrt: CommandLine, photo: Path, output: Path) -> None:
    pixels = HEIGHT * WIDTH
    for limit, code in ((pixels - 1, 1), (pixels, 0)):
        outcome = jpegrt("restore", photo, "-o", output, "--max-pixels", str(limit), *FAST)
        assert outcome.code == code
    assert os.listdir(output) == ["photo.png"]


def test_a_missing_file(jpegrt: CommandLine, tmp_path: Path, output: Path) -> None:
    outcome = jpegrt("restore", tmp_path / "none.jpg", "-o", output, *FAST)
    assert (outcome.code, outcome.out) == (1, "")
    assert outcome.complaint.endswith("none.jpg: cannot be read: No such file or directory")
    assert os.listdir(output) == []


@pytest.mark.parametrize("as_json", [False, True])
def test_one_bad_file_among_good_ones(
    jpegrt: CommandLine, tmp_path: Path, output: Path, as_json: bool
) -> None:
    jpegs = {
        "a.jpg": PHOTO,
        "bad.jpg": PHOTO[: len(PHOTO) // 2],
        "c.jpg": encode(synthetic(24, 24)),
    }
    for name, jpeg in jpegs.items():
        (tmp_path / name).write_bytes(jpeg)
    options = ["--json"] if as_json else []
    outcome = jpegrt("restore", *(tmp_path / n for n in jpegs), "-o", output, *options, *FAST)
    assert outcome.code == 1
    assert outcome.complaint.startswith(f"jpegrt: {tmp_path / 'bad.jpg'}: ")
    assert outputs(output) == ["a.png", "c.png"]
    for name in ("a", "c"):
        np.testing.assert_array_equal(shown(output / f"{name}.png"), restored(jpegs[f"{name}.jpg"]))
    if as_json:
        reports = json.loads(outcome.out)
        assert ["error" in report for report in reports] == [False, True, False]
        assert reports[1]["error"] in outcome.err
    else:
        *lines, summary = outcome.out.splitlines()
        assert len(lines) == 2
        assert summary.startswith("2 restored, 1 failed, in ")


def test_a_refused_request_makes_no_folder(jpegrt: CommandLine, photo: Path, output: Path) -> None:
    options = ("-o", output / "new" / "a.png", "--model", "cellnot")
    assert jpegrt("restore", photo, *options).code == 2
    photo.write_bytes(BAD["text"])
    assert jpegrt("restore", photo, "-o", output / "new" / "a.png", *FAST).code == 1
    assert os.listdir(output) == []


def test_names_of_many_lines_are_told_on_one(
    jpegrt: CommandLine, tmp_path: Path, output: Path
) -> None:
    good, bad = tmp_path / "a\nb\x1b\udcff.jpg", tmp_path / "c\nd.jpg"
    good.write_bytes(PHOTO)
    outcome = jpegrt("restore", good, bad, "-o", output, *FAST)
    assert outcome.code == 1
    assert "c d.jpg: cannot be read" in outcome.complaint
    line, _ = outcome.out.splitlines()
    assert line.startswith(f"{output}/a b\\x1b\\udcff.png: ")
    assert "two inputs" in jpegrt("restore", bad, bad, "-o", output, *FAST).complaint


@pytest.mark.parametrize("as_json", [False, True])
@pytest.mark.parametrize("full", [False, True])
def test_images_are_restored_whatever_becomes_of_stdout(
    tmp_path: Path, output: Path, full: bool, as_json: bool
) -> None:
    inputs = [tmp_path / f"{name}.jpg" for name in "abc"]
    for path in inputs:
        path.write_bytes(PHOTO)
    if full:
        stdout = os.open("/dev/full", os.O_WRONLY)
    else:
        reading, stdout = os.pipe()
        os.close(reading)
    options = ["--model", "none", *(["--json"] if as_json else [])]
    result = subprocess.run(
        [SCRIPT, "restore", *inputs, "-o", output, *options],
        check=False,
        stdout=stdout,
        stderr=subprocess.PIPE,
        text=True,
    )
    os.close(stdout)
    assert outputs(output) == ["a.png", "b.png", "c.png"]
    said = "jpegrt: stdout cannot be written: No space left on device\n"
    assert (result.returncode, result.stderr) == ((1, said) if full else (0, ""))
