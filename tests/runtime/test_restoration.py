"""`restore` and what it gives: for people in notebooks."""

import asyncio
import io
import shutil
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from tests.kernels.images import Pixels, synthetic
from tests.runtime.command_line import CommandLine
from tests.runtime.jpegs import decode, encode
from tests.runtime.photographs import PROFILE, XMP, photograph, seen
from tests.runtime.pixel_bundles import write_pixel_bundle

import jpegrt.runtime
from jpegrt.kernels import read_coefficients
from jpegrt.runtime import Restoration, RestoreError, Session, UsageError, compare, restore
from jpegrt.runtime import restoration as restoration_module
from jpegrt.runtime.amounts import amount_at
from jpegrt.runtime.auto_session import open_session
from jpegrt.runtime.image_formats import FORMAT_NAMES
from jpegrt.runtime.metadata import read_metadata

PIXELS = synthetic(40, 64)
JPEG = encode(PIXELS)
# ONNX Runtime, because it is the quicker one to start.
FAST: dict[str, Any] = {"engine": "onnxruntime", "threads": 1}


def test_an_image_as_session_and_command_line_restore_it(
    jpegrt: CommandLine, tmp_path: Path
) -> None:
    path = tmp_path / "photo.jpg"
    path.write_bytes(photograph(PIXELS, orientation=6, quality=40))
    image = restore(path, **FAST)
    options = ("--engine", "onnxruntime", "--threads", "1")
    assert jpegrt("restore", path, "-o", tmp_path / "photo.png", *options).code == 0
    with Image.open(tmp_path / "photo.png") as png:
        np.testing.assert_array_equal(np.asarray(image), np.asarray(png))
        assert image.info["icc_profile"] == PROFILE == png.info["icc_profile"]
        assert image.info["exif"] == png.info["exif"].removeprefix(b"Exif\0\0")
        assert image.info["xmp"] == XMP % 1 == png.info["xmp"]
        assert image.info["dpi"] == pytest.approx(png.info["dpi"], abs=0.02)
        assert dict(image.getexif()) == dict(png.getexif())
    session = open_session("auto", engine="onnxruntime", threads=1)
    turned = np.rot90(session.restore(path), -1)
    for source in (str(path), path.read_bytes()):
        np.testing.assert_array_equal(restore(source, output="array", **FAST), turned)
    image.save(tmp_path / "again.png", exif=image.info["exif"])
    with Image.open(tmp_path / "again.png") as again:
        assert again.info["icc_profile"] == PROFILE
        assert again.getexif()[0x0112] == 1


@pytest.mark.parametrize("channels", [1, 3])
def test_sixteen_bits(channels: int) -> None:
    jpeg = encode(synthetic(24, 40, channels))
    expected = Session("none").restore16(jpeg)
    array = restore(jpeg, model="none", depth=16, output="array")
    np.testing.assert_array_equal(array, expected)
    if channels == 1:
        image = restore(jpeg, model="none", depth=16)
        np.testing.assert_array_equal(np.asarray(image), expected)
    else:
        with pytest.raises(UsageError, match="Pillow has no colour of 16 bits"):
            restore(jpeg, model="none", depth=16)
    result = restore(jpeg, model="none", depth=16, output="result")
    assert result.compare().measures["B against A"].largest == 0


@pytest.mark.parametrize("orientation", [1, 3, 6])
def test_a_result_has_all_that_there_is(tmp_path: Path, orientation: int) -> None:
    jpeg = photograph(PIXELS, orientation=orientation, quality=30)
    path = tmp_path / "photo.jpg"
    path.write_bytes(jpeg)
    result = restore(path, output="result", **FAST)
    assert (result.name, result.source) == ("photo.jpg", jpeg)
    account = result.account
    assert (account.model, account.precision, account.engine) == ("cellnet", "int8", "onnxruntime")
    assert account.strength == amount_at(30, "420").strength
    assert account.choice == "its tables are like those of quality 30"
    assert result.timings.network_ms > 0
    assert result.metadata == read_metadata(jpeg)
    with Image.open(path) as image:
        np.testing.assert_array_equal(result.before, seen(image))
    assert result.pixels.shape == (40, 64, 3)
    assert result.array.shape == result.before.shape
    np.testing.assert_array_equal(np.asarray(result.image), result.array)
    expected = read_coefficients(jpeg)
    for found, component in zip(result.coefficients.components, expected.components, strict=True):
        np.testing.assert_array_equal(found.blocks, component.blocks)
        np.testing.assert_array_equal(found.table, component.table)
    comparison = result.compare(path)
    assert [picture.name for picture in comparison.pictures] == [
        "photo.jpg",
        "cellnet",
        "photo.jpg",
    ]
    assert comparison.measures == compare(path, result.image, path).measures
    assert result._repr_html_() == result.compare()._repr_html_()
    assert len(repr(result)) < 300


@pytest.mark.parametrize("name", FORMAT_NAMES)
def test_results_are_saved_as_by_the_command_line(
    jpegrt: CommandLine, tmp_path: Path, name: str
) -> None:
    source, target = tmp_path / "photo.jpg", tmp_path / f"out.{name}"
    source.write_bytes(photograph(PIXELS, orientation=6))
    result = restore(source, model="none", output="result")
    result.save(target)
    expected = tmp_path / f"expected.{name}"
    assert jpegrt("restore", source, "-o", expected, "--model", "none").code == 0
    assert target.read_bytes() == expected.read_bytes()
    with pytest.raises(UsageError, match="exists"):
        result.save(target)
    result.save(target, overwrite=True)
    with pytest.raises(UsageError, match=r"out.gif: its name tells no format"):
        result.save(tmp_path / "out.gif")


def test_models_that_enlarge_and_take_pixels(tmp_path: Path) -> None:
    model = str(write_pixel_bundle(tmp_path / "model", scale=2))
    for source in (JPEG, PIXELS):
        result = restore(source, model=model, output="result", **FAST)
        assert result.array.shape == (80, 128, 3)
        assert result.before.shape == (40, 64, 3)
        (note,) = result.compare().notes
        assert note == "A was enlarged 2 times, bicubic, from 64 x 40 pixels."
        np.testing.assert_array_equal(result.before, PIXELS if source is PIXELS else decode(JPEG))
    with pytest.raises(RestoreError, match="only JPEGs have coefficients"):
        print(result.coefficients)


def test_what_cannot_be_restored(tmp_path: Path) -> None:
    for name in (tmp_path / "none.jpg", str(tmp_path / "none.jpg")):
        with pytest.raises(RestoreError, match="cannot be read: No such file") as refusal:
            restore(name)
        assert str(refusal.value).startswith(f"{tmp_path / 'none.jpg'}: ")
    with pytest.raises(RestoreError, match="not a JPEG"):
        restore(b"text", model="none")
    with pytest.raises(UsageError, match="unknown model"):
        restore(JPEG, model="nonesuch")
    with pytest.raises(UsageError, match="depth must be 8 or 16, not 12"):
        restore(JPEG, depth=12)
    with pytest.raises(UsageError, match="output must be image, array or result, not pixels"):
        restore(JPEG, output="pixels")  # type: ignore[call-overload]
    damaged = encode(PIXELS, quality=95)[:-300]
    with pytest.raises(RestoreError, match="allow_damaged"):
        restore(damaged, model="none")
    result = restore(damaged, model="none", allow_damaged=True, output="result")
    np.testing.assert_array_equal(result.before, result.array)
    assert result.coefficients.warnings > 0


def test_sessions_are_kept_until_the_model_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[str] = []

    def make(model: str, **options: object) -> Session:
        made.append(model)
        return Session(model, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(restoration_module, "open_session", make)
    model = str(write_pixel_bundle(tmp_path / "model"))
    restoration_module._session.cache_clear()
    first = restore(JPEG, model=model, output="array", **FAST)
    again = restore(JPEG, model=model, output="array", **dict(reversed(FAST.items())))
    np.testing.assert_array_equal(first, again)
    assert made == [model]
    restore(JPEG, model=model, engine="onnxruntime", threads=2)
    assert made == [model] * 2
    shutil.rmtree(model)  # and exported anew
    write_pixel_bundle(tmp_path / "model", scale=3)
    assert restore(JPEG, model=model, **FAST).size == (192, 120)
    assert made == [model] * 3
    restoration_module._session.cache_clear()


def test_threads_may_call_it() -> None:
    jpegs = [encode(synthetic(24, 40 + 8 * n, seed=n)) for n in range(8)]
    expected = [decode(jpeg) for jpeg in jpegs]

    def restored(jpeg: bytes) -> Pixels:
        return np.asarray(restore(jpeg, model="none"))

    with ThreadPoolExecutor(8) as pool:
        for found, pixels in zip(pool.map(restored, jpegs), expected, strict=True):
            np.testing.assert_array_equal(found, pixels)


@pytest.mark.parametrize("model", ["none", "cellnet"])
def test_other_threads_run_meanwhile(model: str) -> None:
    """The interpreter's lock is free while pixels are made: had it been held all the time, this
    thread could not have counted while the other restored."""
    side = 2000 if model == "none" else 500
    with io.BytesIO() as file:
        Image.effect_noise((side, side), 40).save(file, "JPEG", quality=90)
        jpeg = file.getvalue()
    session = Session(model, **FAST)
    session.restore(jpeg)
    started, ended = threading.Event(), threading.Event()
    took_s: list[float] = []

    def work() -> None:
        started.set()
        before = time.thread_time()
        session.restore(jpeg)
        took_s.append(time.thread_time() - before)
        ended.set()

    thread = threading.Thread(target=work)
    # A thread that computes and holds the lock is asked for it only so often.
    interval = sys.getswitchinterval()
    sys.setswitchinterval(10)
    try:
        thread.start()
        started.wait()
        counted = 0
        while not ended.is_set():
            counted += 1
            time.sleep(0.0002)
        thread.join()
    finally:
        sys.setswitchinterval(interval)
    assert took_s[0] > 0.01
    assert counted > 10


def test_an_event_loop_goes_on() -> None:
    async def both() -> tuple[Image.Image, int]:
        restoring = asyncio.create_task(asyncio.to_thread(lambda: restore(JPEG, **FAST)))
        turns = 0
        while not restoring.done():
            turns += 1
            await asyncio.sleep(0.0005)
        return await restoring, turns

    image, turns = asyncio.run(both())
    assert image.size == (64, 40)
    assert turns > 1


def test_names_are_found_on_demand() -> None:
    assert jpegrt.runtime.Restoration is Restoration
    for name in jpegrt.runtime.__all__:
        assert getattr(jpegrt.runtime, name)
    with pytest.raises(AttributeError, match="has no attribute 'nonesuch'"):
        print(jpegrt.runtime.nonesuch)
    code = (
        "import sys, jpegrt.runtime; "
        "print([n for n in sys.modules if n.startswith('jpegrt.runtime.')"
        " and n.endswith(('restoration', 'comparison', 'cli', 'image_formats'))])"
    )
    printed = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
    assert printed.stdout.strip() == b"[]"
