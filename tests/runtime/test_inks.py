"""CMYK from file to file: what formats keep of it, and how it becomes RGB."""

import io
import json
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image, ImageCms
from tests.kernels.c_programs import Libjpeg
from tests.kernels.images import Pixels, synthetic
from tests.runtime.command_line import CommandLine
from tests.runtime.photographs import INK_PROFILE, PROFILE

from jpegrt.runtime import Session, compare, restore
from jpegrt.runtime.auto_session import open_session
from jpegrt.runtime.image_formats import FORMAT_NAMES, ImageFormat
from jpegrt.runtime.inks import rgb_from_cmyk, strips_as_rgb
from jpegrt.runtime.metadata import Density, Metadata
from jpegrt.runtime.strips import Strips

INKS = synthetic(40, 56, 4)


def cmyk_jpeg(icc: bytes = b"", **options: object) -> bytes:
    file = io.BytesIO()
    image = Image.frombytes("CMYK", INKS.shape[1::-1], INKS.tobytes())
    image.save(file, "JPEG", quality=60, icc_profile=icc, **options)
    return file.getvalue()


def opened(file: bytes) -> Image.Image:
    return Image.open(io.BytesIO(file))


def converted(pixels: Pixels, icc: bytes) -> Pixels:
    image = Image.frombytes("CMYK", pixels.shape[1::-1], pixels.tobytes())
    profile = ImageCms.ImageCmsProfile(io.BytesIO(icc))
    rgb = ImageCms.profileToProfile(
        image, profile, ImageCms.createProfile("sRGB"), outputMode="RGB"
    )
    return np.asarray(rgb)


def test_the_formula_is_pillows() -> None:
    every = np.stack(np.meshgrid(np.arange(256), np.arange(256)), -1).astype(np.uint8)
    pixels = every[..., [0, 0, 0, 1]]
    image = Image.frombytes("CMYK", (256, 256), pixels.tobytes())
    np.testing.assert_array_equal(rgb_from_cmyk(pixels), np.asarray(image.convert("RGB")))


def test_the_formula_in_16_bits() -> None:
    pixels = np.random.default_rng(0).integers(0, 65536, (300, 9, 4)).astype(np.uint16)
    light = 1 - pixels / 65535
    expected = 65535 * light[..., :3] * light[..., 3:]
    assert np.abs(rgb_from_cmyk(pixels) - expected).max() <= 0.5


def test_profiles_are_applied() -> None:
    expected = converted(INKS, INK_PROFILE)
    assert np.abs(expected.astype(int) - rgb_from_cmyk(INKS)).mean() > 10
    np.testing.assert_array_equal(rgb_from_cmyk(INKS, INK_PROFILE), expected)
    deep = rgb_from_cmyk(INKS * np.uint16(257), INK_PROFILE)
    np.testing.assert_array_equal(deep, expected * np.uint16(257))


@pytest.mark.parametrize("profile", [PROFILE, INK_PROFILE[:150], INK_PROFILE[:20]])
def test_profiles_that_do_not_fit_are_not_applied(profile: bytes) -> None:
    np.testing.assert_array_equal(rgb_from_cmyk(INKS, profile), rgb_from_cmyk(INKS))


def test_strips_become_the_same_colours() -> None:
    strips = strips_as_rgb(Strips.of(INKS, 3), INK_PROFILE)
    assert (strips.shape, strips.count) == ((40, 56, 3), 3)
    np.testing.assert_array_equal(strips.joined(), rgb_from_cmyk(INKS, INK_PROFILE))


@pytest.mark.parametrize("name", FORMAT_NAMES)
def test_formats_keep_inks_with_their_profile_or_neither(name: str) -> None:
    metadata = Metadata(icc=INK_PROFILE, density=Density(300, 200, 1))
    with opened(ImageFormat(name, quality=100 if name == "jpeg" else None).encode(INKS, metadata)) as image:  # fmt: skip
        pixels = np.asarray(image).astype(int)
        if name in ("tiff", "jpeg"):
            assert (image.mode, image.info["icc_profile"]) == ("CMYK", INK_PROFILE)
            assert tuple(map(round, image.info["dpi"])) == (300, 200)
            assert np.abs(pixels - INKS).max() <= (0 if name == "tiff" else 6)
        else:
            assert image.mode == "RGB"
            assert "icc_profile" not in image.info
            error = np.abs(pixels - converted(INKS, INK_PROFILE)).mean()
            assert error < (1e-9 if name == "png" else 8)


def test_tiffs_of_16_bits() -> None:
    pixels = INKS * np.uint16(257) + np.uint16(5)
    file = io.BytesIO(ImageFormat("tiff", 16).encode(pixels, Metadata(icc=INK_PROFILE)))
    with tifffile.TiffFile(file) as tiff:
        np.testing.assert_array_equal(tiff.pages[0].asarray(), pixels)
        tags = tiff.pages[0].tags  # type: ignore[union-attr]
        assert tags["PhotometricInterpretation"].value == 5
        assert tags["InterColorProfile"].value == INK_PROFILE


@pytest.mark.parametrize("model", ["none", "auto", "hrcnn", "jscnn"])
def test_models_restore_them(libjpeg: Libjpeg, model: str) -> None:
    smooth = np.add.outer(np.arange(48), np.arange(64))[..., None] + 20 * np.arange(4)
    jpeg = libjpeg.encode(255 - smooth.astype(np.uint8), "2x2,1x1,1x1,2x2", "ycck", quality=30)
    session = open_session(model, engine="auto" if model == "none" else "onnxruntime")
    restored = session.restore(jpeg)
    before = np.asarray(opened(jpeg)).astype(int)
    if model == "none":
        np.testing.assert_array_equal(restored, before)
        return
    assert (restored != before).mean() > 0.1
    assert np.abs(restored.astype(int) - smooth).mean() < np.abs(before - smooth).mean()


def test_large_ones_in_strips(tmp_path: Path, jpegrt: CommandLine) -> None:
    file = io.BytesIO()
    Image.fromarray(synthetic(700, 64)).convert("CMYK").save(file, "JPEG", quality=30)
    (tmp_path / "in.jpg").write_bytes(file.getvalue())
    whole = Session(engine="onnxruntime").restore(file.getvalue())
    small = Session(engine="onnxruntime", memory="60M")
    with small.strips(file.getvalue()) as strips:
        assert strips.count > 1
        pieces = strips.joined()
    assert np.abs(pieces.astype(int) - whole).max() <= 1
    options = ("--model", "none", "--memory", "161M", "--engine", "onnxruntime")
    for name in ("out.tiff", "out.png"):
        outcome = jpegrt("restore", tmp_path / "in.jpg", "-o", tmp_path / name, *options)
        assert outcome.code == 0, outcome.err
    plain = np.asarray(opened(file.getvalue()))
    with Image.open(tmp_path / "out.tiff") as tiff, Image.open(tmp_path / "out.png") as png:
        np.testing.assert_array_equal(np.asarray(tiff), plain)
        np.testing.assert_array_equal(np.asarray(png), rgb_from_cmyk(plain))


def test_in_python(tmp_path: Path) -> None:
    jpeg = cmyk_jpeg(INK_PROFILE)
    image = restore(jpeg, model="none")
    assert (image.mode, image.info["icc_profile"]) == ("CMYK", INK_PROFILE)
    np.testing.assert_array_equal(np.asarray(image), np.asarray(opened(jpeg)))
    result = restore(jpeg, model="none", output="result")
    assert result.array.shape == (40, 56, 4)
    assert len(result.coefficients.components) == 4
    np.testing.assert_array_equal(
        result.before, converted(result.array.astype(np.uint8), INK_PROFILE)
    )
    assert len(result.compare().pictures) == 2
    result.save(tmp_path / "out.tiff")
    (tmp_path / "in.jpg").write_bytes(jpeg)
    page = compare(tmp_path / "in.jpg", tmp_path / "out.tiff")
    np.testing.assert_array_equal(page.pictures[0].pixels, page.pictures[1].pixels)
    np.testing.assert_array_equal(page.pictures[0].pixels, result.before)


def test_info(tmp_path: Path, libjpeg: Libjpeg, jpegrt: CommandLine) -> None:
    for flags, colour, inverted in (
        (("ycck",), "ycck", True),
        ((), "cmyk", True),
        (("unmarked",), "cmyk", False),
    ):
        (tmp_path / "in.jpg").write_bytes(libjpeg.encode(INKS, "", *flags))
        said = json.loads(jpegrt("info", tmp_path / "in.jpg", "--json").out)
        assert (said["colour"], said["inverted"]) == (colour, inverted)
        assert len(said["components"]) == 4
        text = jpegrt("info", tmp_path / "in.jpg").out
        assert ("0 is all ink" if inverted else "0 is no ink") in text
        assert "table K" in text
