"""16-bit PNG files, and projection, as a user asks for them."""

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray
from PIL import Image
from tests.kernels.images import synthetic
from tests.runtime.command_line import CommandLine
from tests.runtime.jpegs import encode

from jpegrt.runtime import Session
from jpegrt.runtime.output import write_png
from jpegrt.runtime.png_strips import write_png_strips
from jpegrt.runtime.strips import Strips

FAST = ("--engine", "onnxruntime", "--threads", "1")
CELLNET = ("--model", "cellnet", *FAST)


def chunks(png: bytes) -> list[tuple[bytes, bytes]]:
    """Kind and content of each, their checksums compared."""
    assert png[:8] == b"\x89PNG\r\n\x1a\n"
    found, at = [], 8
    while at < len(png):
        (size,) = struct.unpack_from(">I", png, at)
        kind, content = png[at + 4 : at + 8], png[at + 8 : at + 8 + size]
        assert struct.unpack_from(">I", png, at + 8 + size) == (zlib.crc32(kind + content),)
        found.append((kind, content))
        at += 12 + size
    return found


def decoded(png: bytes) -> NDArray[np.uint16]:
    """A decoder of its own, as ISO/IEC 15948 says: 16 bits, filters none, sub and up."""
    (header_kind, header), *data, end = chunks(png)
    assert (header_kind, end) == (b"IHDR", (b"IEND", b""))
    width, height, depth, colour, *methods = struct.unpack(">IIBBBBB", header)
    assert (depth, methods) == (16, [0, 0, 0])
    channels = {0: 1, 2: 3}[colour]
    assert all(kind == b"IDAT" for kind, _ in data)
    content = zlib.decompress(b"".join(part for _, part in data))
    lines = np.frombuffer(content, np.uint8).reshape(height, 1 + 2 * width * channels)
    rows = np.zeros((height + 1, 2 * width * channels), np.uint8)
    for y, line in enumerate(lines):
        filter_type, row = line[0], line[1:]
        assert filter_type in (0, 1, 2)
        if filter_type == 1:
            apart = row.reshape(width, -1)
            row = np.cumsum(apart, axis=0, dtype=np.uint8).ravel()
        rows[y + 1] = row + rows[y] if filter_type == 2 else row
    pixels = np.ascontiguousarray(rows[1:]).view(">u2").astype(np.uint16)
    return pixels.reshape(height, width) if channels == 1 else pixels.reshape(height, width, 3)


shapes = st.tuples(st.integers(1, 12), st.integers(1, 12)) | st.tuples(
    st.integers(1, 12), st.integers(1, 12), st.just(3)
)


@given(hnp.arrays(np.uint16, shapes))
@settings(deadline=None)
def test_files_hold_the_pixels(pixels: NDArray[np.uint16]) -> None:
    file = io.BytesIO()
    write_png_strips(Strips.of(pixels, 3), [], file)
    png = file.getvalue()
    np.testing.assert_array_equal(decoded(png), pixels)
    with Image.open(io.BytesIO(png)) as image:
        image.verify()
    with Image.open(io.BytesIO(png)) as image:
        # Pillow keeps the high bytes of RGB, and all of grey.
        expected = pixels if pixels.ndim == 2 else pixels >> 8
        np.testing.assert_array_equal(np.asarray(image), expected)


def test_any_layout_in_memory(tmp_path: Path) -> None:
    pixels = np.arange(5 * 7 * 3, dtype=np.uint16).reshape(5, 7, 3) * np.uint16(619)
    for view in (pixels[::2, ::3], pixels[:, ::-1], np.asfortranarray(pixels), pixels[:, :, 1]):
        write_png(view, tmp_path / "a.png")
        np.testing.assert_array_equal(decoded((tmp_path / "a.png").read_bytes()), view)


@pytest.mark.parametrize("channels", [1, 3])
def test_depth_16(jpegrt: CommandLine, tmp_path: Path, channels: int) -> None:
    jpeg = encode(synthetic(40, 56, channels))
    (tmp_path / "in.jpg").write_bytes(jpeg)
    outcome = jpegrt(
        "restore", tmp_path / "in.jpg", "-o", tmp_path / "a.png", "--depth", "16", *CELLNET
    )
    assert (outcome.code, outcome.err) == (0, "")
    session = Session(engine="onnxruntime", threads=1)
    deep = session.restore16(jpeg)
    np.testing.assert_array_equal(decoded((tmp_path / "a.png").read_bytes()), deep)
    assert np.abs(deep / 257 - session.restore(jpeg)).max() <= 0.51
    assert (deep % 257 != 0).any()  # there is something between the levels of 8 bits
    assert jpegrt("restore", tmp_path / "in.jpg", "-o", tmp_path, "--depth", "12").code == 2


def test_projection(jpegrt: CommandLine, tmp_path: Path) -> None:
    jpeg = encode(synthetic(64, 64), quality=20)
    source = tmp_path / "in.jpg"
    source.write_bytes(jpeg)

    def restored(name: str, *options: str) -> NDArray[np.uint8]:
        outcome = jpegrt("restore", source, "-o", tmp_path / name, *options, *CELLNET)
        assert (outcome.code, outcome.err) == (0, "")
        with Image.open(tmp_path / name) as image:
            return np.asarray(image)

    off = restored("off.png")
    hard = restored("hard.png", "--project")
    np.testing.assert_array_equal(restored("zero.png", "--project", "0"), hard)
    loose = restored("loose.png", "--project", "1000")
    np.testing.assert_array_equal(loose, off)
    assert (hard != off).any()
    for slack, expected in ((0.0, hard), (None, off)):
        session = Session(engine="onnxruntime", threads=1, project=slack)
        np.testing.assert_array_equal(session.restore(jpeg), expected)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--project", "-1"], "SLACK must be a number of 0 or more, not -1"),
        (["--project", "nan"], "SLACK must be a number of 0 or more, not nan"),
        (["--project", "1e40"], "SLACK must be"),
        (["--project", "much.jpg"], "not much.jpg; put inputs before --project"),
        (["--project", "--model", "none"], "a model of the domain cells"),
    ],
)
def test_projection_that_cannot_be(
    jpegrt: CommandLine, tmp_path: Path, options: list[str], said: str
) -> None:
    (tmp_path / "in.jpg").write_bytes(encode(synthetic(16, 16)))
    outcome = jpegrt("restore", tmp_path / "in.jpg", "-o", tmp_path / "a.png", *options)
    assert outcome.code == 2
    assert said in outcome.err
