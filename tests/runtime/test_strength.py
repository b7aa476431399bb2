"""How much of a restoration is taken."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.kernels.images import synthetic
from tests.runtime.jpegs import decode, encode
from tests.runtime.pixel_bundles import write_pixel_bundle

from jpegrt.runtime import RestoreError, Session, UsageError
from jpegrt.runtime.auto_session import open_session
from jpegrt.runtime.resize import enlarge, rounded
from jpegrt.runtime.session import Account
from jpegrt.runtime.strength import blend, deepened

COLOUR = encode(synthetic(37, 51))
GREY = encode(synthetic(37, 51, 1))


def session(strength: float, model: str | Path = "cellnet") -> Session:
    return Session(str(model), engine="onnxruntime", threads=1, strength=strength)


@pytest.mark.parametrize("jpeg", [COLOUR, GREY])
@pytest.mark.parametrize("depth", [8, 16])
def test_the_ends_are_the_plain_decode_and_the_restoration(jpeg: bytes, depth: int) -> None:
    plain = Session("none", threads=1).restore_timed(jpeg, depth)[0]
    whole = Session(engine="onnxruntime", threads=1).restore_timed(jpeg, depth)[0]
    assert (plain != whole).mean() > 0.1
    np.testing.assert_array_equal(session(0).restore_timed(jpeg, depth)[0], plain)
    np.testing.assert_array_equal(session(1).restore_timed(jpeg, depth)[0], whole)


@pytest.mark.parametrize("depth", [8, 16])
def test_between_them_it_is_a_blend_rounded_once(depth: int) -> None:
    plain = session(0).restore_timed(COLOUR, depth)[0].astype(float)
    whole = session(1).restore16(COLOUR) * ((2**depth - 1) / 65535)
    for strength in (0.3, 0.5):
        blended = session(strength).restore_timed(COLOUR, depth)[0]
        expected = np.floor(plain + strength * (whole - plain) + 0.5)
        assert np.abs(blended - expected).max() <= 1  # halves may fall either way
        assert (blended != expected).mean() < 0.01


def test_what_was_done_is_told() -> None:
    half, none = session(0.5), session(0)
    for each in (half, none):
        each.restore(COLOUR)
    assert half.account == Account("cellnet", "int8", "onnxruntime", 0.5)
    assert half.timings.network_ms > 0
    assert none.account == Account("none", "-", "-", 0)
    assert none.timings.network_ms == 0 < none.timings.pixels_ms


@pytest.mark.parametrize("jpeg", [COLOUR, GREY])
def test_models_that_enlarge_start_from_bicubic_interpolation(tmp_path: Path, jpeg: bytes) -> None:
    bundle = write_pixel_bundle(tmp_path / "twice", scale=2)
    bicubic = rounded(enlarge(decode(jpeg), 2))
    np.testing.assert_array_equal(session(0, bundle).restore(jpeg), bicubic)
    deep = session(0, bundle).restore16(jpeg).astype(float)
    assert np.abs(deep / 257 - bicubic).max() < 0.51
    whole = session(1, bundle).restore(jpeg)
    mean = session(0.5, bundle).restore(jpeg)
    assert np.abs(mean - (bicubic.astype(float) + whole) / 2).max() <= 1


@pytest.mark.parametrize("shape", [(9, 7), (9, 7, 3)])
def test_pixels_start_from_themselves(tmp_path: Path, shape: tuple[int, ...]) -> None:
    bundle = write_pixel_bundle(tmp_path / "once")
    pixels = synthetic(9, 7, 3 if len(shape) == 3 else 1)
    np.testing.assert_array_equal(session(0, bundle).restore(pixels), pixels)
    np.testing.assert_array_equal(session(0, bundle).restore16(pixels), pixels * np.uint16(257))


def test_no_strength_needs_no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a network is loaded")

    monkeypatch.setattr("jpegrt.runtime.session.create_engine", refuse)
    for name in ("cellnet", "auto"):
        decoder = open_session(name, engine="onnxruntime", strength=0)
        np.testing.assert_array_equal(decoder.restore(COLOUR), decode(COLOUR))
        assert decoder.precision == "int8"
    with pytest.raises(AssertionError):
        session(0.1)


def test_no_strength_has_the_limits_of_the_others(tmp_path: Path) -> None:
    bundle = write_pixel_bundle(tmp_path / "twice", scale=2)
    pixels = synthetic(9, 7)
    for strength in (0, 1):
        options: dict[str, Any] = {"engine": "onnxruntime", "strength": strength}
        small = Session(str(bundle), max_pixels=4 * 63 - 1, **options)
        for source in (pixels, encode(pixels)):
            with pytest.raises(RestoreError, match=r"18x14|14x18") as refusal:
                small.restore(source)
            assert "pass a larger --max-pixels" in str(refusal.value)
        with pytest.raises(RestoreError, match="need uint8 pixels"):
            Session(str(bundle), **options).restore(pixels.astype(float))
        with pytest.raises(RestoreError, match=r"takes JPEGs|has no model"):
            Session(**options).restore(pixels)


def test_memory_counts_the_coefficients_of_both_decodes() -> None:
    jpeg = encode(np.zeros((4096, 2048), np.uint8))  # 16 MiB of coefficients
    for strength in (0, 1):
        with Session(engine="onnxruntime", strength=strength, memory="48M").strips(jpeg) as strips:
            assert strips.count > 1
    with pytest.raises(RestoreError, match="4096 pixels take 57 MiB"):
        Session(engine="onnxruntime", strength=0.5, memory="48M").restore(jpeg)


def test_a_plain_decoder_has_one_strength() -> None:
    for strength in (0.0, 0.5, 1.0):
        decoder = session(strength, "none")
        np.testing.assert_array_equal(decoder.restore(COLOUR), decode(COLOUR))
        assert decoder.account.strength == 0


@pytest.mark.parametrize("strength", [-0.1, 1.1, float("nan")])
def test_other_strengths_are_refused(strength: float) -> None:
    with pytest.raises(UsageError, match=r"strength must be from 0 to 1, not"):
        session(strength)


def test_tall_images_are_blended_to_the_last_row() -> None:
    base = np.zeros((700, 2), np.uint8)
    blend(base, np.full((700, 2), 200 * 257, np.uint16), 0.25)
    assert (base == 50).all()


def test_blends_are_rounded_once() -> None:
    base = np.full((1, 1), 100, np.uint8)
    blend(base, np.full((1, 1), 101 * 257 - 10, np.uint16), 0.5)
    assert base == 100  # which 100 and 101 rounded first would not give


@pytest.mark.parametrize("depth", [8, 16])
def test_ends_of_blends_are_exact(depth: int) -> None:
    ramp = np.arange(256).astype(np.uint8)[:, None]
    base, deep = deepened(ramp, depth), deepened(ramp[::-1], 16).astype(np.uint16)
    for strength, expected in ((0, base.copy()), (1, base[::-1].copy())):
        blended = base.copy()
        blend(blended, deep, strength)
        np.testing.assert_array_equal(blended, expected)


@pytest.mark.parametrize("order", [1, -1])
@pytest.mark.parametrize(("strength", "memory"), [(0, 200 << 10), (0.4, 60 << 20)])
def test_strips_are_those_of_the_whole_image(strength: float, memory: int, order: int) -> None:
    jpeg = encode(synthetic(500, 40))
    small = Session(engine="onnxruntime", threads=1, strength=strength, memory=memory)
    whole = session(strength).restore(jpeg)
    with small.strips(jpeg) as strips:
        assert strips.count > 1
        made = [strips.make(index) for index in range(strips.count)[::order]]
    restored = np.concatenate(made[::order])
    assert restored.shape == whole.shape
    assert np.abs(restored.astype(int) - whole).max() <= 1
