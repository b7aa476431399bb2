"""The evaluation with stand-ins for the model, on small images made here."""

import argparse
import io
import json
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from jpegrt.runtime import metrics
from jpegrt.runtime.cli import evaluate as command
from jpegrt.runtime.errors import RestoreError, UsageError
from jpegrt.runtime.evaluation import (
    ImageResult,
    Protocol,
    QualityResult,
    Report,
    Scores,
    encode,
    evaluate,
    find_originals,
    load_original,
)
from jpegrt.runtime.resize import enlarge

Restore = Callable[[bytes], NDArray[np.uint8]]


def decode(jpeg: bytes) -> NDArray[np.uint8]:
    return np.asarray(Image.open(io.BytesIO(jpeg)))


def picture(height: int, width: int, seed: int) -> NDArray[np.uint8]:
    """(H, W, 3), coloured."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width]
    waves = [128 + 70 * np.sin(0.2 * y + f * x) for f in (0.1, 0.23, 0.31)]
    return (
        (np.stack(waves, axis=2) + rng.normal(0, 10, (height, width, 3)))
        .clip(0, 255)
        .astype(np.uint8)
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """b.png in colour, a.webp with equal channels, c.PGM with one channel; and what is no image."""
    Image.fromarray(picture(40, 56, 1)).save(tmp_path / "b.png")
    grey = picture(33, 47, 2)[..., 0]
    Image.fromarray(np.stack([grey] * 3, axis=2)).save(tmp_path / "a.webp", lossless=True)
    Image.fromarray(picture(64, 24, 3)[..., 1]).save(tmp_path / "c.PGM", "PPM")
    (tmp_path / "notes.txt").write_text("not an image")
    Image.fromarray(picture(40, 40, 4)).save(tmp_path / "lossy.jpg")
    return tmp_path


def test_originals_are_the_lossless_images_in_name_order(folder: Path) -> None:
    assert [path.name for path in find_originals(folder)] == ["a.webp", "b.png", "c.PGM"]
    assert [path.name for path in find_originals(folder, 2)] == ["a.webp", "b.png"]


def test_bad_folders_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is not a folder"):
        find_originals(tmp_path / "missing")
    (tmp_path / "photo.jpg").touch()
    with pytest.raises(UsageError, match="no lossless images"):
        find_originals(tmp_path)


def test_grey_protocol(folder: Path) -> None:
    load = {p.name: load_original(p, colour=False) for p in find_originals(folder)}
    np.testing.assert_array_equal(load["a.webp"], picture(33, 47, 2)[..., 0])
    np.testing.assert_array_equal(load["b.png"], metrics.luma_bt601(picture(40, 56, 1)))
    np.testing.assert_array_equal(load["c.PGM"], picture(64, 24, 3)[..., 1])


def test_colour_protocol(folder: Path) -> None:
    load = {p.name: load_original(p, colour=True) for p in find_originals(folder)}
    np.testing.assert_array_equal(load["b.png"], picture(40, 56, 1))
    assert load["a.webp"].shape == (33, 47, 3)
    assert load["c.PGM"].shape == (64, 24, 3)


def test_unusable_originals_are_named(tmp_path: Path) -> None:
    broken, small, deep = (tmp_path / name for name in ("broken.png", "small.png", "deep.png"))
    broken.write_bytes(b"\x89PNG\r\n\x1a\n, and no more")
    Image.fromarray(picture(10, 40, 1)).save(small)
    Image.fromarray(np.zeros((20, 20), np.uint16)).save(deep)
    for path, reason in ((broken, "cannot be read"), (small, "too small"), (deep, "8 bits")):
        with pytest.raises(RestoreError, match=f"{path.name}.*{reason}"):
            load_original(path, colour=False)


@pytest.mark.parametrize("subsampling", ["444", "422", "420"])
def test_colour_jpegs_have_the_subsampling_asked_for(subsampling: str) -> None:
    jpeg = encode(picture(32, 32, 1), 50, subsampling)
    frame = jpeg.index(b"\xff\xc0")
    factors = {"444": 0x11, "422": 0x21, "420": 0x22}
    assert jpeg[frame + 9] == 3
    assert jpeg[frame + 11] == factors[subsampling]


@pytest.mark.parametrize("protocol", [Protocol(), Protocol((25, 90), colour=True)])
def test_a_plain_decoder_gains_nothing(folder: Path, protocol: Protocol) -> None:
    results = list(evaluate(find_originals(folder), protocol, decode))
    assert [(r.quality, r.image) for r in results] == [
        (quality, name) for quality in protocol.qualities for name in ("a.webp", "b.png", "c.PGM")
    ]
    for result in results:
        assert result.gain_db == 0
        assert result.restored == result.jpeg
        assert 10 < result.jpeg.psnr_db < 60


def test_scores_are_of_the_jpeg_and_of_the_restored_image(folder: Path) -> None:
    path = folder / "c.PGM"
    original = load_original(path, colour=False)
    restored = original + np.uint8(1)

    (result,) = evaluate([path], Protocol((30,)), lambda jpeg: restored)

    jpeg = encode(original, 30, "420")
    assert result == ImageResult(
        image="c.PGM",
        quality=30,
        width=24,
        height=64,
        jpeg_bytes=len(jpeg),
        jpeg=Scores(*(m(decode(jpeg), original) for m in METRICS)),
        restored=Scores(*(m(restored, original) for m in METRICS)),
    )
    assert result.gain_db == result.restored.psnr_db - result.jpeg.psnr_db


METRICS = (metrics.psnr, metrics.ssim, metrics.psnr_b)


def test_the_original_itself_gains_without_end(folder: Path) -> None:
    path = folder / "b.png"
    original = load_original(path, colour=True)
    (result,) = evaluate([path], Protocol((10,), colour=True), lambda jpeg: original)
    assert result.restored.psnr_db == math.inf
    assert result.restored.ssim == pytest.approx(1)
    assert result.gain_db == math.inf


def test_a_failing_image_is_named(folder: Path) -> None:
    def fail(jpeg: bytes) -> NDArray[np.uint8]:
        raise RestoreError("the engine is tired")

    with pytest.raises(RestoreError, match=r"a\.webp at quality 10: the engine is tired"):
        list(evaluate(find_originals(folder), Protocol(), fail))


@pytest.mark.parametrize(
    "bad", [{"qualities": ()}, {"qualities": (0,)}, {"qualities": (5, 5)}, {"subsampling": "411"}]
)
def test_bad_protocols_are_refused(bad: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="must be"):
        Protocol(**bad)  # type: ignore[arg-type]


def image_result(name: str, jpeg_db: float, restored_db: float) -> ImageResult:
    return ImageResult(
        name, 10, 16, 16, 100, Scores(jpeg_db, 0.5, 20.0), Scores(restored_db, 0.7, 22.0)
    )


def test_means_and_worst() -> None:
    result = QualityResult(
        10, (image_result("a", 30, 31), image_result("b", 26, 25.5), image_result("c", 28, 31))
    )
    assert result.jpeg == Scores(28, 0.5, 20)
    assert result.restored.psnr_db == pytest.approx((31 + 25.5 + 31) / 3)
    assert result.gain_db == pytest.approx(3.5 / 3)
    assert (result.worst.image, result.worst.gain_db) == ("b", -0.5)


def test_reports_are_strict_json() -> None:
    result = QualityResult(10, (image_result("a", 30, math.inf), image_result("b", 30, 31)))
    report = Report("cellnet", "int8", "onnxruntime", 0.5, "photos", Protocol((10,)), (result,))
    document = json.loads(json.dumps(report.to_json(), allow_nan=False))
    assert (document["model"], document["precision"], document["images"]) == (
        "cellnet",
        "int8",
        "photos",
    )
    assert document["strength"] == 0.5
    assert document["versions"]["pillow"]
    (row,) = document["qualities"]
    assert (row["quality"], row["images"], row["worst_image"]) == (10, 2, "b")
    assert row["worst_gain_db"] == 1
    assert row["restored"]["psnr_db"] is None
    assert [r["gain_db"] for r in document["rows"]] == [None, 1]


class FakeSession:
    """A session that decodes."""

    model_name, precision, engine_name = "fake", "fp32", "none"
    strength, enlargement = 1.0, 1

    def __init__(self, model: str, **options: object) -> None:
        pass

    def restore(self, jpeg: bytes) -> NDArray[np.uint8]:
        return decode(jpeg)


def run(*options: str) -> int:
    parser = argparse.ArgumentParser()
    command.configure(parser)
    arguments = parser.parse_args(options)
    code: int = arguments.run(arguments)
    return code


@pytest.fixture
def _fake_session(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "open_session", FakeSession)


@pytest.mark.usefixtures("_fake_session")
def test_command_prints_a_table_and_writes_a_report(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    report = tmp_path / "report.json"
    report.write_text("an older one")
    code = run(
        "--images", str(folder), "--quality", "10", "50", "10", "--json", str(report), "--overwrite"
    )
    out, err = capsys.readouterr()
    assert code == 0
    assert err == ""  # no progress without a terminal
    header, *rows = out.splitlines()[-4:]
    assert [row.split("|")[0].strip() for row in rows[1:]] == ["10", "50"]
    assert {len(row[: row.rindex("|")]) for row in (header, *rows[1:])} == {66}
    assert all("+0.00 (a.webp)" in row for row in rows[1:])
    document = json.loads(report.read_text())
    assert len(document["rows"]) == 6
    assert {path.name for path in tmp_path.iterdir() if path.suffix == ".part"} == set()


@pytest.mark.usefixtures("_fake_session")
@pytest.mark.parametrize(
    "options", [["--subsampling", "444"], ["--json", "/no/such/folder/report.json"]]
)
def test_command_refuses_before_it_measures(folder: Path, options: list[str]) -> None:
    with pytest.raises(UsageError):
        run("--images", str(folder), *options)


@pytest.mark.parametrize("quality", ["0", "101", "high"])
def test_command_refuses_bad_qualities(quality: str) -> None:
    with pytest.raises(SystemExit):
        run("--images", ".", "--quality", quality)


@pytest.mark.parametrize("scale", [2, 3])
def test_bicubic_interpolation_gains_nothing_over_itself(folder: Path, scale: int) -> None:
    def enlarged(jpeg: bytes) -> NDArray[np.uint8]:
        levels = enlarge(decode(jpeg), scale)
        return np.clip(np.floor(levels + 0.5), 0, 255).astype(np.uint8)

    protocol = Protocol((40,), scale=scale)
    assert f"reduced {scale} times" in protocol.describe()
    results = list(evaluate(find_originals(folder)[1:2], protocol, enlarged))
    assert [result.gain_db for result in results] == [0]
    assert (results[0].width % scale, results[0].height % scale) == (0, 0)
    whole = list(evaluate(find_originals(folder)[1:2], Protocol((40,)), decode))
    assert results[0].jpeg.psnr_db < whole[0].jpeg.psnr_db
