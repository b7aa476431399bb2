"""Models that take pixels: from files and arrays, in Python, on the command line and from C."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tests.kernels.images import Pixels, synthetic
from tests.runtime.command_line import CommandLine
from tests.runtime.embedding import (
    Installation,
    attempt,
    compile_example,
    onnxruntime_library,
    run,
)
from tests.runtime.jpegs import decode, encode
from tests.runtime.pixel_bundles import write_pixel_bundle

from jpegrt.runtime import RestoreError, Session, UsageError
from jpegrt.runtime.pixel_files import read_pixels

ENGINES = ("onnxruntime", "openvino")
ENVIRONMENT = {"JPEGRT_ONNXRUNTIME": str(onnxruntime_library())}


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    return write_pixel_bundle(
        tmp_path / "bundle", domain="rgb", scale=2, minimum_px=24, multiple_px=8
    )


def saved(pixels: Pixels, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, kind, **options)
    return buffer.getvalue()


def contrasty(pixels: Pixels, scale: int) -> Pixels:
    """What the small network makes of RGB or grey pixels, within a rounding."""
    levels = (pixels.astype(float) - 128) * 1.2 + 128
    return (
        np.clip(np.floor(levels + 0.5), 0, 255)
        .astype(np.uint8)
        .repeat(scale, axis=0)
        .repeat(scale, axis=1)
    )


def assert_alike(a: Pixels, b: Pixels) -> None:
    assert a.shape == b.shape
    assert np.abs(a.astype(int) - b).max() <= 1


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("shape", [(30, 45), (7, 3), (1, 1)])
def test_arrays_files_and_jpegs(
    bundle: Path, tmp_path: Path, engine: str, shape: tuple[int, int]
) -> None:
    session = Session(str(bundle), engine=engine, threads=1)
    assert (session.takes_pixels, session.enlargement) == (True, 2)
    for pixels in (synthetic(*shape), synthetic(*shape, channels=1)):
        restored = session.restore(pixels)
        assert_alike(restored, contrasty(pixels, 2))
        for kind, options in (("PNG", {}), ("WEBP", {"lossless": True}), ("PPM", {})):
            content = saved(pixels, kind, **options)
            path = tmp_path / "image"
            path.write_bytes(content)
            # WebP knows no grey: its three equal channels are restored as RGB.
            expected = restored
            if kind == "WEBP" and pixels.ndim == 2:
                expected = session.restore(np.stack([pixels] * 3, axis=-1))
            np.testing.assert_array_equal(session.restore(content), expected)
            np.testing.assert_array_equal(session.restore(path), expected)
        jpeg = encode(pixels, quality=80)
        np.testing.assert_array_equal(session.restore(jpeg), session.restore(decode(jpeg)))
        deep = session.restore16(pixels)
        assert deep.dtype == np.uint16
        assert np.abs(deep / 257 - restored).max() <= 0.51


def test_luma_models_keep_chroma(tmp_path: Path) -> None:
    bundle = write_pixel_bundle(tmp_path / "luma", domain="luma")
    session = Session(str(bundle), engine="onnxruntime", threads=1)
    pixels = synthetic(20, 30)
    levels = pixels.astype(float)
    luma = levels @ [0.299, 0.587, 0.114]
    expected = levels + 0.2 * (luma - 128)[..., None]  # chroma is what differs from luma
    assert np.abs(session.restore(pixels) - np.clip(expected, 0, 255)).max() <= 0.51
    assert session.restore(encode(pixels)).shape == pixels.shape


def test_other_models_refuse_pixels_in_a_sentence() -> None:
    pixels = synthetic(9, 9)
    for model in ("cellnet", "none"):
        session = Session(model, engine="onnxruntime", threads=1)
        assert (session.takes_pixels, session.enlargement) == (False, 1)
        with pytest.raises(RestoreError, match="models of the domain luma or rgb"):
            session.restore(pixels)
        for content in (saved(pixels, "PNG"), saved(pixels, "WEBP"), saved(pixels, "PPM")):
            with pytest.raises(RestoreError, match=r"not a JPEG: .* of the domain luma or rgb"):
                session.restore(content)
        with pytest.raises(RestoreError) as caught:
            session.restore(b"hello")
        assert "domain" not in str(caught.value)


def test_pillow_reads_what_it_can_show() -> None:
    grey, rgb = synthetic(6, 7, channels=1), synthetic(6, 7)
    opaque = np.full((6, 7, 1), 255, np.uint8)
    same = {
        "grey": (saved(grey, "PNG"), grey),
        "rgb": (saved(rgb, "PNG"), rgb),
        "opaque": (saved(np.concatenate([rgb, opaque], axis=-1), "PNG"), rgb),
        "opaque grey": (saved(np.concatenate([grey[..., None], opaque], axis=-1), "PNG"), grey),
    }
    buffer = io.BytesIO()
    palette = Image.fromarray(rgb).quantize(16)
    palette.save(buffer, "PNG")
    same["palette"] = (buffer.getvalue(), np.asarray(palette.convert("RGB")))
    buffer = io.BytesIO()
    Image.fromarray(grey > 99).save(buffer, "PNG")
    same["one bit"] = (buffer.getvalue(), np.where(grey > 99, 255, 0).astype(np.uint8))
    for name, (content, expected) in same.items():
        result = read_pixels(content, 42)
        np.testing.assert_array_equal(result, expected, err_msg=name)
        assert result.flags.c_contiguous


def test_what_would_be_lost_or_is_broken_is_refused() -> None:
    rgb = synthetic(60, 70)
    glass = np.full((60, 70, 1), 255, np.uint8)
    glass[3, 4] = 254
    frames = [Image.fromarray(synthetic(20, 20, seed=seed)) for seed in range(2)]
    animated = io.BytesIO()
    frames[0].save(animated, "WEBP", save_all=True, append_images=frames[1:])
    deep = saved(np.zeros((4, 5), np.uint16), "PNG")
    whole = saved(rgb, "PNG")
    broken = bytearray(whole)
    broken[len(broken) // 2] ^= 255
    for content, said in [
        (saved(np.concatenate([rgb, glass], axis=-1), "PNG"), "transparent"),
        (saved(np.concatenate([rgb, glass], axis=-1), "WEBP", lossless=True), "transparent"),
        (animated.getvalue(), "more than one frame"),
        (deep, "more than 8 bits"),
        (whole[: len(whole) // 2], "cannot be read"),
        (bytes(broken), "cannot be read"),
        (whole[:20], "cannot be read"),
        (b"", "is no JPEG, PNG"),
        (b"hello", "is no JPEG, PNG"),
        (saved(rgb, "BMP"), "is no JPEG, PNG"),
        (saved(rgb, "WEBP")[:200], "cannot be read|is no JPEG"),
    ]:
        with pytest.raises(RestoreError, match=said) as caught:
            read_pixels(content, 1 << 20)
        assert str(caught.value).isprintable()
    with pytest.raises(RestoreError, match="70x60 pixels are more than the limit of 4199"):
        read_pixels(whole, 4199)


def test_bad_requests(bundle: Path) -> None:
    session = Session(str(bundle), engine="onnxruntime", threads=1, max_pixels=4 * 400)
    assert session.restore(synthetic(20, 20)).shape == (40, 40, 3)
    with pytest.raises(RestoreError, match=r"42x40 pixels .*max_pixels"):
        session.restore(synthetic(20, 21))
    with pytest.raises(RestoreError, match="need uint8 pixels"):
        session.restore(np.zeros((4, 4)))  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="depth"):
        session.restore_timed(synthetic(4, 4), 12)
    with pytest.raises(UsageError, match="domain cells"):
        Session(str(bundle), engine="onnxruntime", project=0)


def test_command_line(jpegrt: CommandLine, bundle: Path, tmp_path: Path) -> None:
    pixels = synthetic(30, 41)
    session = Session(str(bundle), engine="onnxruntime", threads=1)
    folder = tmp_path / "out"
    contents = {
        "a.png": saved(pixels, "PNG"),
        "b.webp": saved(pixels, "WEBP"),
        "c.jpg": encode(pixels),
    }
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
    options = ("--model", bundle, "--engine", "onnxruntime", "--threads", "1")
    inputs = [tmp_path / name for name in contents]
    outcome = jpegrt("restore", *inputs, "-o", folder, *options)
    assert (outcome.code, outcome.err) == (0, "")
    assert "82 x 60" in outcome.out
    for name, content in contents.items():
        with Image.open(folder / f"{Path(name).stem}.png") as image:
            np.testing.assert_array_equal(np.asarray(image), session.restore(content))

    outcome = jpegrt("restore", tmp_path / "a.png", "-o", tmp_path / "no.png")
    assert outcome.code == 1
    assert outcome.complaint.endswith("other images need a model of the domain luma or rgb")
    images = tmp_path / "images"
    images.mkdir()
    (images / "a.png").write_bytes(contents["a.png"])
    outcome = jpegrt("evaluate", "--images", images, "--quality", "10", *options)
    assert (outcome.code, outcome.err) == (0, "")
    assert "JPEGs of images reduced 2 times" in outcome.out


@pytest.mark.slow
@pytest.mark.parametrize(("domain", "scale"), [("rgb", 1), ("rgb", 3), ("luma", 2)])
def test_c_programs_restore_the_same_bytes(
    installation: Installation, tmp_path: Path, domain: str, scale: int
) -> None:
    bundle = write_pixel_bundle(
        tmp_path / "bundle", domain=domain, scale=scale, minimum_px=17, multiple_px=4
    )
    session = Session(str(bundle), engine="onnxruntime", threads=1)
    (tmp_path / "built").mkdir()
    restore = compile_example(installation, "restore", tmp_path / "built" / "restore")
    for name, content in (
        ("jpeg", encode(synthetic(31, 43))),
        ("grey", encode(synthetic(13, 9, channels=1))),
        ("ppm", saved(synthetic(31, 43), "PPM")),
        ("pgm", saved(synthetic(13, 9, channels=1), "PPM")),
    ):
        path, target = tmp_path / name, tmp_path / f"{name}.pnm"
        path.write_bytes(content)
        run(restore, bundle, path, target, environment=ENVIRONMENT)
        with Image.open(target) as image:
            np.testing.assert_array_equal(np.asarray(image), session.restore(content))
    result = attempt(
        restore, installation.bundle, tmp_path / "ppm", tmp_path / "no.pnm", environment=ENVIRONMENT
    )
    assert result.returncode == 1
    assert "models of the domain luma or rgb" in result.stderr
