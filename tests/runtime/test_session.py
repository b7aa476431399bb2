"""Sessions: what they take, what they give, what they refuse."""

import os
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from tests.kernels.c_programs import Libjpeg
from tests.kernels.images import Pixels, synthetic
from tests.runtime.jpegs import EXAMPLE, claiming, corrupted, decode, encode

from jpegrt.kernels import read_coefficients
from jpegrt.runtime import RestoreError, Session, UsageError
from jpegrt.runtime import session as session_module
from jpegrt.runtime.metrics import psnr

# Name -> sampling factors, and flags, for stock libjpeg.
COLOUR = {
    "4:4:4": ("1x1,1x1,1x1",),
    "4:2:2": ("2x1,1x1,1x1",),
    "4:4:0": ("1x2,1x1,1x1",),
    "4:2:0": ("2x2,1x1,1x1",),
    "4:1:1": ("4x1,1x1,1x1",),
    "RGB": ("1x1,1x1,1x1", "rgb"),
    "progressive": ("2x2,1x1,1x1", "progressive"),
}
SIZES = [(1, 1), (7, 9), (33, 50), (64, 48)]


@pytest.fixture(scope="module")
def session() -> Session:
    return Session(threads=1)


@pytest.fixture(scope="module")
def decoder() -> Session:
    return Session("none", threads=1)


def mean_error(a: Pixels, b: Pixels) -> float:
    return float(np.abs(a.astype(int) - b).mean())


@pytest.mark.parametrize("size", SIZES)
def test_grey(session: Session, decoder: Session, libjpeg: Libjpeg, size: tuple[int, int]) -> None:
    jpeg = libjpeg.encode(synthetic(*size, channels=1), "1x1", quality=50)
    restored = session.restore(jpeg)
    assert (restored.dtype.name, restored.shape) == ("uint8", size)
    assert mean_error(restored, decode(jpeg)) < 8
    np.testing.assert_array_equal(decoder.restore(jpeg), decode(jpeg))


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("name", COLOUR)
def test_colour(
    session: Session, decoder: Session, libjpeg: Libjpeg, name: str, size: tuple[int, int]
) -> None:
    jpeg = libjpeg.encode(synthetic(*size), *COLOUR[name], quality=50)
    restored = session.restore(jpeg)
    assert (restored.dtype.name, restored.shape) == ("uint8", (*size, 3))
    assert mean_error(restored, decode(jpeg)) < 8
    np.testing.assert_array_equal(decoder.restore(jpeg), decode(jpeg))


def test_bytes_and_paths(session: Session, tmp_path: Path) -> None:
    jpeg = encode(synthetic(24, 40))
    path = tmp_path / "photo.jpg"
    path.write_bytes(jpeg)
    expected = session.restore(jpeg)
    np.testing.assert_array_equal(session.restore(path), expected)
    np.testing.assert_array_equal(session.restore(str(path)), expected)


def test_the_example_is_restored(session: Session) -> None:
    original = decode((EXAMPLE / "example.png").read_bytes())
    jpeg = (EXAMPLE / "example.jpg").read_bytes()
    assert original.shape == decode(jpeg).shape
    gained_db = psnr(session.restore(jpeg), original) - psnr(decode(jpeg), original)
    assert gained_db > 0.5


@pytest.mark.parametrize(
    "precision",
    [
        "fp32",
        pytest.param(
            "int8",
            marks=pytest.mark.xfail(
                strict=True,
                reason="int8 loses 0.07 dB on this smooth image: an open fault of the model",
            ),
        ),
    ],
)
def test_precisions_restore_alike(precision: str) -> None:
    original = decode((EXAMPLE / "example.png").read_bytes())
    jpeg = (EXAMPLE / "example.jpg").read_bytes()
    in_fp32 = Session(precision="fp32", engine="onnxruntime", threads=1).restore(jpeg)
    session = Session(precision=precision, engine="onnxruntime", threads=1)
    assert (session.precision, session.engine_name) == (precision, "onnxruntime")
    assert abs(psnr(session.restore(jpeg), original) - psnr(in_fp32, original)) <= 0.05


def test_sessions_say_what_they_use(session: Session, decoder: Session) -> None:
    assert (session.model_name, session.precision) == ("cellnet", "int8")
    assert session.engine_name == "openvino"
    assert (decoder.model_name, decoder.precision, decoder.engine_name) == ("none", "-", "-")


def test_timings(session: Session) -> None:
    _, timings = session.restore_timed(encode(synthetic(64, 64)))
    assert timings.network_ms > 0
    assert timings.entropy_decode_ms > 0
    assert timings.total_ms < 60_000


def test_threads_share_a_session(session: Session) -> None:
    jpegs = [encode(synthetic(24 + 8 * n, 40, seed=n), quality=20 + 5 * n) for n in range(8)]
    expected = [session.restore(jpeg) for jpeg in jpegs]
    barrier = threading.Barrier(8)

    def all_in_another_order(first: int) -> list[Pixels]:
        barrier.wait()
        return [session.restore(jpegs[(first + n) % 8]) for n in range(8)]

    with ThreadPoolExecutor(8) as pool:
        for first, results in enumerate(pool.map(all_in_another_order, range(8))):
            for n, result in enumerate(results):
                np.testing.assert_array_equal(result, expected[(first + n) % 8])


def test_damaged_files_need_leave(session: Session) -> None:
    jpeg = encode(synthetic(96, 96), quality=90)
    allowing = Session(threads=1, allow_damaged=True)
    whole = session.restore(jpeg)
    for bad in (jpeg[: len(jpeg) // 2], corrupted(jpeg)):
        with pytest.raises(RestoreError):
            session.restore(bad)
        shown = allowing.restore(bad)
        assert shown.shape == whole.shape
        assert mean_error(shown[:16], whole[:16]) < 1  # what comes before the damage is there
    np.testing.assert_array_equal(session.restore(jpeg), whole)  # and the session lives on


@pytest.mark.parametrize("bad", [b"", b"hello", b"\x89PNG\r\n\x1a\n" + bytes(100), b"\xff\xd8"])
def test_what_is_no_jpeg_is_refused(session: Session, bad: bytes) -> None:
    with pytest.raises(RestoreError) as caught:
        session.restore(bad)
    assert "\n" not in str(caught.value)
    assert caught.value.exit_code == 1


def test_files_that_cannot_be_read(session: Session, tmp_path: Path) -> None:
    with pytest.raises(RestoreError, match="cannot be read: No such file"):
        session.restore(tmp_path / "missing.jpg")
    with pytest.raises(RestoreError, match="cannot be read: Is a directory"):
        session.restore(tmp_path)


def test_too_many_pixels_are_refused(session: Session) -> None:
    jpeg = encode(synthetic(20, 30))
    assert Session("none", max_pixels=600).restore(jpeg).shape == (20, 30, 3)
    with pytest.raises(RestoreError, match="599"):
        Session("none", max_pixels=599).restore(jpeg)
    with pytest.raises(RestoreError, match="65500"):
        session.restore(claiming(jpeg, 65500, 65500))


@pytest.mark.parametrize(
    "options",
    [
        {"model": "cellnot"},
        {"model": "a" * 300},
        {"precision": "fp8"},
        {"engine": "tensorflow"},
        {"threads": -1},
        {"threads": 1025},
        {"max_pixels": -1},
    ],
)
def test_bad_requests_are_refused_at_once(options: dict[str, object]) -> None:
    with pytest.raises(UsageError):
        Session(**options)  # type: ignore[arg-type]


def test_too_little_memory_is_told_with_the_size(monkeypatch: pytest.MonkeyPatch) -> None:
    class Engine:
        def run(self, *_: object) -> None:
            raise MemoryError

    monkeypatch.setattr(session_module, "create_engine", lambda *_, **__: Engine())
    session = Session()
    with pytest.raises(RestoreError, match="not enough memory for an image of 40 x 24 pixels"):
        session.restore(encode(synthetic(24, 40)))


def test_threads_are_the_usable_cpus_by_default(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    monkeypatch.setattr(session_module, "create_engine", lambda *args, **_: asked.append(args[3]))
    monkeypatch.setattr(session_module, "Pipeline", lambda *_, threads, **__: asked.append(threads))
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {1, 4, 5})
    Session()
    assert asked == [3, 3]


def test_files_are_what_their_names_say(libjpeg: Libjpeg) -> None:
    for name, arguments in COLOUR.items():
        image = read_coefficients(libjpeg.encode(synthetic(16, 16), *arguments))
        if ":" in name:
            assert image.subsampling == name
        else:
            assert (image.colour.name == "RGB") == (name == "RGB")
