"""Sessions that choose for every JPEG."""

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
from tests.kernels.images import Pixels, synthetic
from tests.runtime.jpegs import corrupted, decode, encode
from tests.runtime.recompressed import photograph, twice, with_tables

from jpegrt.kernels import read_coefficients
from jpegrt.kernels.coefficients import Colour
from jpegrt.runtime import RestoreError, Session, UsageError, amounts, auto_session
from jpegrt.runtime.amounts import amount_at, kind_of
from jpegrt.runtime.auto_session import AutoSession, open_session
from jpegrt.runtime.metrics import psnr
from jpegrt.runtime.session import Account

ONES = [1] * 64


@pytest.fixture(scope="module")
def auto() -> Session:
    return open_session("auto", engine="onnxruntime", threads=1)


@pytest.fixture(scope="module")
def cellnet() -> Session:
    return open_session("cellnet", engine="onnxruntime", threads=1)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("quality", [10, 50, 75, 97])
def test_ordinary_files(auto: Session, channels: int, quality: int) -> None:
    jpeg = encode(synthetic(40, 56, channels), quality=quality)
    amount = amount_at(quality, "grey" if channels == 1 else "420")
    by_hand = open_session(amount.model, engine="onnxruntime", threads=1, strength=amount.strength)
    np.testing.assert_array_equal(auto.restore(jpeg), by_hand.restore(jpeg))
    account = auto.account
    assert (account.model, account.strength) == (amount.model, amount.strength)
    assert account.choice and f"quality {quality}" in account.choice
    np.testing.assert_array_equal(auto.restore16(jpeg), by_hand.restore16(jpeg))


def test_files_that_nothing_makes_better_are_left_alone(
    auto: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    none = amounts.Amount("none", 0.0, 100)
    monkeypatch.setattr(auto_session, "choose_amount", lambda _: none)
    jpeg = with_tables(synthetic(40, 56), ONES)
    np.testing.assert_array_equal(auto.restore(jpeg), decode(jpeg))
    like = "its tables are like those of quality 100, which no model makes better"
    assert auto.account == Account("none", "-", "-", 0, like)


def test_near_lossless_files_do_not_get_worse(auto: Session) -> None:
    for mode in ("L", "RGB"):
        original = photograph(mode)
        for jpeg in (with_tables(original, ONES), encode(original, quality=98)):
            assert psnr(auto.restore(jpeg), original) >= psnr(decode(jpeg), original)


@pytest.mark.parametrize("mode", ["L", "RGB"])
@pytest.mark.parametrize("crop", [(4, 3), (0, 0)])
def test_recompressed_files_are_restored_from_the_first(
    auto: Session, cellnet: Session, mode: str, crop: tuple[int, int]
) -> None:
    jpeg, original = twice(photograph(mode), 30, 75, crop)
    restored = auto.restore(jpeg)
    assert restored.shape == original.shape
    least = 0.4 if mode == "L" else 0.2  # dB; chroma is restored as ever
    assert psnr(restored, original) > psnr(cellnet.restore(jpeg), original) + least
    choice = auto.account.choice
    assert choice and "compressed before at quality 30" in choice
    down, across = (-pixels % 8 for pixels in crop)
    where = "on the same grid" if crop == (0, 0) else f"shifted by {down}, {across}"
    assert where in choice
    deep = auto.restore16(jpeg)
    assert np.abs(deep / 257 - restored).max() <= 0.51
    assert auto.timings.network_ms > 0


@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_files_whose_first_compression_was_finer(
    auto: Session, cellnet: Session, mode: str
) -> None:
    jpeg, original = twice(photograph(mode)[:251, :317], 75, 60, (0, 0))
    restored = auto.restore(jpeg)
    assert restored.shape == original.shape
    least = 0.3 if mode == "L" else 0.1  # dB; chroma is restored as ever
    assert psnr(restored, original) > psnr(cellnet.restore(jpeg), original) + least
    choice = auto.account.choice
    assert choice and choice.endswith("on the same grid: restored from what both left")
    # The next image is told its own steps again.
    plain = encode(photograph(), quality=60)
    np.testing.assert_array_equal(auto.restore(plain), cellnet.restore(plain))
    # Padded to whole blocks it would be beyond the limit.
    size = original.shape[0] * original.shape[1]
    session = open_session("auto", engine="onnxruntime", threads=1, max_pixels=size)
    session.restore(jpeg)
    assert session.account.choice == "its tables are like those of quality 60"
    # Projected onto the intervals of the middles, nothing would be left of the restoration.
    session = open_session("auto", engine="onnxruntime", threads=1, project=0.0)
    session.restore(jpeg)
    assert session.account.choice == "its tables are like those of quality 60"


@pytest.mark.parametrize(("colour", "kind"), [(Colour.RGB, "grey"), (Colour.YCBCR, "444")])
def test_components_that_are_restored_alone_are_grey_ones(colour: Colour, kind: str) -> None:
    image = read_coefficients(encode(photograph("RGB")[:64, :64], subsampling="4:4:4"))
    assert kind_of(replace(image, colour=colour)) == kind


def test_a_strength_that_is_given_is_taken() -> None:
    def restored(strength: float, jpeg: bytes) -> Pixels:
        session = open_session("auto", engine="onnxruntime", threads=1, strength=strength)
        pixels = session.restore(jpeg)
        assert session.account.strength == strength
        return pixels

    for jpeg in (encode(photograph(), quality=30), twice(photograph(), 30, 75, (4, 3))[0]):
        none, half, whole = (restored(strength, jpeg) for strength in (0.0, 0.5, 1.0))
        np.testing.assert_array_equal(none, decode(jpeg))
        assert np.abs(half - (none.astype(float) + whole) / 2).max() <= 1
        assert (whole != none).mean() > 0.1


def test_large_images_are_not_looked_at_closely(
    auto: Session, cellnet: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    jpeg, original = twice(photograph(), 30, 75, (4, 3))
    monkeypatch.setattr(auto_session, "_LOOK_PX", original.size - 1)
    np.testing.assert_array_equal(auto.restore(jpeg), cellnet.restore(jpeg))
    assert auto.account.choice == "its tables are like those of quality 75"


def test_images_of_several_strips_are_not_held_to_go_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(auto_session, "_BACK_BYTES_PER_PX", 1000)
    tall = np.concatenate([photograph(), photograph()[::-1]])[:, :200]
    jpeg = twice(tall, 30, 75, (4, 3))[0]
    auto, cellnet = (
        open_session(name, engine="onnxruntime", threads=1, memory=60 << 20)
        for name in ("auto", "cellnet")
    )
    with auto.strips(jpeg) as strips:
        assert strips.count > 1
        np.testing.assert_array_equal(strips.joined(), cellnet.restore(jpeg))


def test_the_first_is_left_alone_where_it_is_beyond_the_limit(
    auto: Session, cellnet: Session
) -> None:
    jpeg, original = twice(photograph(), 30, 75, (4, 3))
    session = open_session("auto", engine="onnxruntime", threads=1, max_pixels=original.size)
    np.testing.assert_array_equal(session.restore(jpeg), cellnet.restore(jpeg))
    enough = (original.shape[0] + 4) * (original.shape[1] + 3)
    session = open_session("auto", engine="onnxruntime", threads=1, max_pixels=enough)
    np.testing.assert_array_equal(session.restore(jpeg), auto.restore(jpeg))


def test_what_it_is() -> None:
    session = open_session("auto", engine="onnxruntime", threads=1)
    assert isinstance(session, AutoSession)
    assert (session.model_name, session.precision) == ("auto", "int8")
    assert session.engine_name == "onnxruntime"
    assert not session.takes_pixels
    assert session.enlargement == 1


def test_refusals(auto: Session, cellnet: Session) -> None:
    good = encode(photograph(), quality=90)
    for bad in (b"", b"hello", b"\x89PNG\r\n\x1a\n" + bytes(100), b"\xff\xd8", good[:2000]):
        said = []
        for session in (auto, cellnet):
            with pytest.raises(RestoreError) as caught:
                session.restore(bad)
            said.append(str(caught.value))
        assert said[0] == said[1]
    allowing = open_session("auto", engine="onnxruntime", threads=1, allow_damaged=True)
    assert allowing.restore(corrupted(good)).shape == photograph().shape
    small = open_session("auto", engine="onnxruntime", threads=1, max_pixels=599)
    with pytest.raises(RestoreError, match="599"):
        small.restore(encode(synthetic(20, 30)))


@pytest.mark.parametrize(
    "options",
    [{"precision": "fp8"}, {"engine": "tensorflow"}, {"threads": -1}, {"strength": 2.0}],
)
def test_bad_requests_are_refused_at_once(options: dict[str, object]) -> None:
    with pytest.raises(UsageError):
        open_session("auto", **options)  # type: ignore[arg-type]


def test_threads_take_turns(auto: Session) -> None:
    jpegs = [encode(photograph(), quality=30), twice(photograph(), 30, 75, (4, 3))[0]]
    jpegs += [encode(synthetic(40, 56), quality=97)]
    expected = [auto.restore(jpeg) for jpeg in jpegs]
    barrier = threading.Barrier(3)

    def all_from(first: int) -> list[Pixels]:
        barrier.wait()
        return [auto.restore(jpegs[(first + n) % 3]) for n in range(3)]

    with ThreadPoolExecutor(3) as pool:
        for first, results in enumerate(pool.map(all_from, range(3))):
            for n, result in enumerate(results):
                np.testing.assert_array_equal(result, expected[(first + n) % 3])
