"""The shipped models in tiles, against the whole image; memory; strips into files."""

import io
import json
import os
import subprocess
import sys
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image
from tests.kernels.images import synthetic
from tests.runtime.command_line import CommandLine
from tests.runtime.jpegs import EXAMPLE, encode
from tests.runtime.photographs import photograph, seen

from jpegrt.kernels import Pipeline, Tensors
from jpegrt.runtime import RestoreError, Session, UsageError, memory
from jpegrt.runtime.bundle import find_bundle
from jpegrt.runtime.engines.onnx_runtime import OnnxRuntimeEngine
from jpegrt.runtime.image_formats import ImageFormat
from jpegrt.runtime.memory import Memory
from jpegrt.runtime.metadata import Metadata, read_metadata
from jpegrt.runtime.png_strips import write_png_strips
from jpegrt.runtime.strips import Strips

SCRIPT = Path(__file__).parents[2] / "scripts" / "benchmark_memory.py"
# Model, subsampling (None: grey), and a little more than the pixels that a tile sees at least.
SHIPPED = {
    "cellnet, grey": ("cellnet", None, 232),
    "cellnet, 4:2:0": ("cellnet", "4:2:0", 256),
    "cellnet, 4:4:4": ("cellnet", "4:4:4", 232),
    "hrcnn": ("hrcnn", "4:2:0", 120),
    "jscnn": ("jscnn", "4:4:4", 110),
}


class Counting:
    """An engine that counts its runs."""

    def __init__(self, engine: OnnxRuntimeEngine) -> None:
        self.engine, self.runs = engine, 0

    def run(self, graph: str, inputs: Tensors, outputs: Tensors) -> None:
        self.runs += 1
        self.engine.run(graph, inputs, outputs)


@cache
def engine(model: str, threads: int = 1) -> OnnxRuntimeEngine:
    bundle = find_bundle(model)
    return OnnxRuntimeEngine(bundle, bundle.default_precision, threads)


def restored(model: str, jpeg: bytes, tile_px: int, threads: int = 1) -> NDArray[np.uint16]:
    spec, counting = find_bundle(model).spec, Counting(engine(model, threads))
    pipeline = Pipeline(spec, counting, threads=threads, tile_px=tile_px)
    pixels = np.empty(pipeline.read(jpeg), np.uint16)
    pipeline.restore(pixels)
    assert (counting.runs > 1) == (tile_px > 0)
    return pixels


@pytest.mark.slow
@pytest.mark.parametrize("which", SHIPPED)
@given(
    longer=st.integers(1, 120),
    shorter=st.integers(1, 16),
    less=st.integers(0, 20),
    lies=st.booleans(),
)
@settings(deadline=None, max_examples=4)
def test_shipped_models_in_tiles(
    which: str, longer: int, shorter: int, less: int, lies: bool
) -> None:
    """Images that are long and narrow: many tiles, few pixels."""
    model, subsampling, least = SHIPPED[which]
    size = (shorter, least + longer) if lies else (least + longer, shorter)
    pixels = synthetic(*size, channels=3 if subsampling else 1, seed=longer)
    jpeg = encode(pixels, subsampling=subsampling or "4:4:4")
    whole, tiled = (restored(model, jpeg, tile_px).astype(int) for tile_px in (0, least - less))
    apart = np.abs(tiled - whole)
    assert apart.max() <= 1e-4 * 65535
    assert (apart > 128).mean() <= 1e-4


@pytest.mark.slow
@pytest.mark.parametrize("model", ["cellnet", "hrcnn", "jscnn"])
def test_runs_and_threads_make_the_same_bytes(model: str) -> None:
    jpeg = encode(synthetic(9, 300 if model == "cellnet" else 130))
    tile_px = {"cellnet": 256, "hrcnn": 120, "jscnn": 70}[model]
    expected = restored(model, jpeg, tile_px)
    for threads in (1, 2):
        np.testing.assert_array_equal(restored(model, jpeg, tile_px, threads), expected)


def least_memory(model: str) -> int:
    """Bytes that are enough for the smallest tiles."""
    spec = None if model == "none" else find_bundle(model).spec
    size = 1 << 20
    while True:
        try:
            memory.tile_px_for(Memory(size), spec)
        except ValueError:
            size += 1 << 20
        else:
            return size


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("512M", 512 << 20),
        ("2G", 2 << 30),
        ("1.5 GiB", 3 << 29),
        ("64kb", 64 << 10),
        ("1000", 1000),
        (1000, 1000),
        ("25%", 250),
        ("100%", 1000),
        (None, 250),
    ],
)
def test_sizes_of_memory(
    text: int | str | None, expected: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory, "machine_bytes", lambda: 1000)
    assert Memory.of(text) == Memory(expected, is_limit=text is not None)


@pytest.mark.parametrize("text", ["", "much", "-1", "0", "101%", "2X", "0%", "1e9", "9" * 30])
def test_what_is_no_size_of_memory(text: str) -> None:
    with pytest.raises(UsageError, match="512M, 2G or 25%"):
        Session("none", memory=text)


def test_the_memory_of_a_container_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    unlimited, limited = tmp_path / "unlimited", tmp_path / "limited"
    unlimited.write_text("max\n")
    limited.write_text("123456\n")
    missing = tmp_path / "missing"
    monkeypatch.setattr(memory, "_CONTAINER_LIMITS", (missing, unlimited))
    assert memory.machine_bytes() == os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    monkeypatch.setattr(memory, "_CONTAINER_LIMITS", (missing, unlimited, limited))
    assert memory.machine_bytes() == 123456


@pytest.mark.parametrize("depth", [8, 16])
def test_sessions_restore_in_strips(depth: int) -> None:
    jpeg = encode(synthetic(1500, 300))
    whole, bounded = Session("none"), Session("none", memory=4 << 20)
    expected, _ = whole.restore_timed(jpeg, depth)
    with bounded.strips(jpeg, depth) as strips:
        assert strips.shape == expected.shape
        assert strips.count > 1
        np.testing.assert_array_equal(np.concatenate(list(strips)), expected)
    assert bounded.timings.pixels_ms > 0
    np.testing.assert_array_equal(bounded.restore_timed(jpeg, depth)[0], expected)
    with whole.strips(jpeg, depth) as strips:
        assert strips.count == 1


def test_too_little_memory_is_refused() -> None:
    enough = least_memory("cellnet")
    Session("cellnet", memory=enough, engine="onnxruntime")
    with pytest.raises(UsageError, match=rf"at least {enough >> 20} MiB beside"):
        Session("cellnet", memory=enough - (2 << 20), engine="onnxruntime")
    session = Session("none", memory=4 << 20)
    with pytest.raises(RestoreError, match=r"1500 x 1500 pixels take \d+ MiB beside .* --memory"):
        session.restore(encode(synthetic(1500, 1500)))
    assert session.restore(encode(synthetic(15, 15))).shape == (15, 15, 3)


def test_without_a_limit_nothing_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """On the smallest of machines tiles are the smallest, and images are restored all the same."""
    monkeypatch.setattr(memory, "machine_bytes", lambda: 1000)
    spec = find_bundle("cellnet").spec
    least = memory.tile_px_for(Memory(least_memory("cellnet")), spec)
    assert memory.tile_px_for(Memory.of(None), spec) <= least
    jpeg = encode(synthetic(200, 300))
    expected = Session("none", memory="1G").restore(jpeg)
    monkeypatch.setattr(memory, "machine_bytes", lambda: 1)
    session = Session("none")
    with session.strips(jpeg) as strips:
        assert strips.count > 4
    np.testing.assert_array_equal(session.restore(jpeg), expected)


def test_sessions_share_memory() -> None:
    given = Memory.of("1G")
    assert given.part(1) == Memory((1 << 30) - memory.PROGRAM_BYTES)
    assert given.part(0.25).bytes == ((1 << 30) - memory.PROGRAM_BYTES) // 4
    assert Memory(1).part(1) == Memory(0)
    assert not Memory.of(None).part(0.5).is_limit


def halves(pixels: NDArray[np.uint8] | NDArray[np.uint16], count: int = 3) -> Strips:
    return Strips.of(pixels, count)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("name", ["png", "tiff"])
def test_files_of_strips_are_seen_upright(name: str, orientation: int) -> None:
    corners = np.zeros((41, 64, 3), np.uint8)
    corners[:20, :32], corners[:20, 32:], corners[20:, :32] = (200, 0, 0), (0, 200, 0), (0, 0, 200)
    jpeg = photograph(corners, orientation=orientation)
    with Image.open(io.BytesIO(jpeg)) as stored:
        expected = seen(stored).astype(int)
    file = io.BytesIO()
    ImageFormat(name).write(halves(corners), read_metadata(jpeg), file)
    with Image.open(file) as image:
        assert np.abs(seen(image) - expected).mean() < 4
        assert image.info["icc_profile"]


@pytest.mark.parametrize("depth", [8, 16])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("count", [1, 2, 7, 400])
def test_files_of_strips_have_the_pixels(depth: int, channels: int, count: int) -> None:
    shape = (300, 333, 3)[: 2 + (channels == 3)]
    pixels = np.random.default_rng(1).integers(0, 2**depth, shape, f"u{depth // 8}")
    png, tiff, whole = io.BytesIO(), io.BytesIO(), io.BytesIO()
    write_png_strips(halves(pixels, count), [], png)
    with Image.open(png) as image:
        # Pillow keeps the high bytes of 16-bit RGB.
        expected = pixels >> 8 if depth == 16 and channels == 3 else pixels
        np.testing.assert_array_equal(np.asarray(image), expected)
    ImageFormat("tiff", depth).write(halves(pixels, count), Metadata(), tiff)
    np.testing.assert_array_equal(tifffile.imread(io.BytesIO(tiff.getvalue())), pixels)
    ImageFormat("tiff", depth).write(Strips.of(pixels), Metadata(), whole)
    assert tiff.getvalue() == whole.getvalue()


def test_one_strip_is_held_at_a_time() -> None:
    """Writers ask for strips in order, and for each once."""
    pixels, asked = synthetic(90, 50), []

    def make(index: int) -> NDArray[np.uint8]:
        asked.append(index)
        return pixels[10 * index : 10 * (index + 1)]

    image = Strips(pixels.shape, 8, 9, make)
    for name in ("png", "tiff", "jpeg"):
        asked.clear()
        ImageFormat(name).write(image, Metadata(), io.BytesIO())
        assert asked == list(range(9)), name


@pytest.mark.parametrize("name", ["png", "tiff", "jpg"])
def test_restore_takes_memory(jpegrt: CommandLine, tmp_path: Path, name: str) -> None:
    source = tmp_path / "large.jpg"
    source.write_bytes(encode(synthetic(1400, 900)))
    bounded, whole = tmp_path / f"bounded.{name}", tmp_path / f"whole.{name}"
    megabytes = (memory.PROGRAM_BYTES >> 20) + 12
    for target, size in ((bounded, f"{megabytes}M"), (whole, "1G")):
        arguments = ("restore", str(source), "-o", str(target), "--model", "none")
        assert jpegrt(*arguments, "--memory", size).code == 0
    with Image.open(bounded) as one, Image.open(whole) as other:
        np.testing.assert_array_equal(np.asarray(one), np.asarray(other))


def test_too_little_memory_is_a_usage_error(jpegrt: CommandLine, tmp_path: Path) -> None:
    source, target = EXAMPLE / "example.jpg", tmp_path / "out.png"
    arguments = ("restore", str(source), "-o", str(target), "--engine", "onnxruntime")
    for size, complaint in (("100M", "at least 46 MiB beside"), ("lots", "512M, 2G or 25%")):
        result = jpegrt(*arguments, "--memory", size)
        assert result.code == 2
        assert complaint in result.err
    assert not target.exists()


def peak_mib(*arguments: str) -> int:
    command = [sys.executable, str(SCRIPT), str(EXAMPLE / "example.png"), *arguments]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.stdout, result.stderr
    report = json.loads(result.stdout)
    assert result.returncode == (report["peak_mib"] > report["memory_mib"])
    return int(report["peak_mib"])


@pytest.mark.slow
def test_memory_is_bounded() -> None:
    """A small image, whose tiles are small too where memory is."""
    arguments = ("--megapixels", "1", "--engine", "onnxruntime")
    bounded, whole = (peak_mib(*arguments, "--memory", size) for size in ("256M", "2G"))
    assert bounded <= 256
    assert bounded + 40 < whole


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_progress_within_one_image(
    jpegrt: CommandLine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = tmp_path / "large.jpg"
    source.write_bytes(encode(synthetic(1400, 900)))
    arguments = ("restore", str(source), "--model", "none", "--overwrite", "--memory")
    size = f"{(memory.PROGRAM_BYTES >> 20) + 12}M"
    for stderr, shown in ((Terminal(), True), (io.StringIO(), False)):
        monkeypatch.setattr(sys, "stderr", stderr)
        assert jpegrt(*arguments, size, "-o", str(tmp_path / "a.png")).code == 0
        drawn = stderr.getvalue().split("\r\x1b[K")
        assert ("strip 1 of 2, " in stderr.getvalue()) == shown
        assert drawn[-1] == ""  # and makes way for the report
