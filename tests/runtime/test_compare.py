"""`jpegrt compare` and `compare`: figures, pictures and refusals. What is seen of the page is in
test_comparison_page.py."""

import base64
import hashlib
import html
import io
import json
import math
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tests.kernels.images import Pixels, synthetic
from tests.runtime.command_line import CommandLine
from tests.runtime.jpegs import EXAMPLE, claiming, decode, encode
from tests.runtime.photographs import PROFILE, photograph, seen

from jpegrt.runtime import RestoreError, UsageError, compare
from jpegrt.runtime.image_formats import FORMAT_NAMES, ImageFormat
from jpegrt.runtime.metadata import Metadata, read_metadata
from jpegrt.runtime.metrics import psnr, psnr_b, ssim
from jpegrt.runtime.output import write_png
from jpegrt.runtime.resize import enlarge, rounded

ORIGINAL = synthetic(48, 64)
JPEG = encode(ORIGINAL, quality=20)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """With a.jpg, b.png and original.png, and the current one."""
    (tmp_path / "a.jpg").write_bytes(JPEG)
    write_png(synthetic(48, 64, seed=1), tmp_path / "b.png")
    write_png(ORIGINAL, tmp_path / "original.png")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def embedded(page: str, attribute: str = "data-picture") -> list[Image.Image]:
    found = re.findall(rf'<img {attribute}=[^>]* src="data:image/png;base64,([^"]*)"', page)
    return [Image.open(io.BytesIO(base64.b64decode(content, validate=True))) for content in found]


def test_figures_are_those_of_the_metrics(jpegrt: CommandLine, folder: Path) -> None:
    outcome = jpegrt("compare", "a.jpg", "b.png", "original.png", "--json", "-o", "page.html")
    assert (outcome.code, outcome.err) == (0, "")
    report = json.loads(outcome.out)
    a, b = decode(JPEG), synthetic(48, 64, seed=1)
    pairs = {
        "B against A": (b, a),
        "A against Original": (a, ORIGINAL),
        "B against Original": (b, ORIGINAL),
    }
    assert {key: report[key] for key in ("output", "width", "height", "names", "enlarged")} == {
        "output": "page.html",
        "width": 64,
        "height": 48,
        "names": ["a.jpg", "b.png", "original.png"],
        "enlarged": 1,
    }
    assert report["measures"].keys() == pairs.keys()
    page = (folder / "page.html").read_text()
    for pair, (image, reference) in pairs.items():
        expected = {
            "psnr_db": psnr(image, reference),
            "ssim": ssim(image, reference),
            "psnr_b_db": psnr_b(image, reference),
            "mean": np.abs(image.astype(int) - reference).mean(),
            "largest": np.abs(image.astype(int) - reference).max(),
        }
        assert report["measures"][pair] == pytest.approx(expected)
        row = (f"{pair}<td>{expected['psnr_db']:.2f}<td>{expected['ssim']:.4f}"
               f"<td>{expected['psnr_b_db']:.2f}")  # fmt: skip
        assert row in page
    gained = psnr(a, ORIGINAL) - psnr(b, ORIGINAL)
    assert f"A is {gained:.2f} dB nearer the original than B, by PSNR." in page


def test_text_and_default_output(jpegrt: CommandLine, folder: Path) -> None:
    outcome = jpegrt("compare", "a.jpg", "a.jpg", "--original", "original.png")
    assert (outcome.code, outcome.err) == (0, "")
    first, header, *rows = outcome.out.splitlines()
    assert first == "comparison.html: 64 x 48 pixels"
    assert header.split() == ["PSNR", "SSIM", "PSNR-B"]
    assert [row.split()[:3] for row in rows] == [
        ["B", "against", "A"],
        ["A", "against", "Original"],
        ["B", "against", "Original"],
    ]
    assert rows[0].split()[3:5] == ["inf", "1.0000"]
    assert "equally near the original" in (folder / "comparison.html").read_text()
    outcome = jpegrt("compare", "a.jpg", "b.png")
    assert (outcome.code, outcome.out) == (2, "")
    assert outcome.complaint == ("jpegrt: comparison.html exists: pass --overwrite to replace it")
    assert jpegrt("compare", "a.jpg", "b.png", "--overwrite").code == 0


def test_pages_hold_every_pixel_and_nothing_of_elsewhere() -> None:
    pictures = [synthetic(30, 44, seed=n) for n in range(3)]
    page = compare(*pictures).html()
    for found, expected in zip(embedded(page), pictures, strict=True):
        np.testing.assert_array_equal(np.asarray(found), expected)
    maps = embedded(page, "data-pair")
    pairs = ((0, 1), (0, 2), (1, 2))
    for found, (left, right) in zip(maps, pairs, strict=True):
        difference = np.abs(pictures[left].astype(int) - pictures[right]).max(axis=2)
        np.testing.assert_array_equal(np.asarray(found), difference)
    (script,) = re.findall(r"<script>(.*?)</script>", page, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert "default-src 'none'; img-src data:" in page
    assert f"script-src 'sha256-{digest}'" in page
    assert not re.search(r"(?:https?:)?//\w", re.sub(r"base64,[^\"]*", "", page).replace("// ", ""))


@pytest.mark.parametrize("factor", [2, 3])
def test_an_enlarged_image_is_compared_with_an_enlarged_one(factor: int) -> None:
    small, large = synthetic(20, 31), synthetic(20 * factor, 31 * factor, seed=1)
    comparison = compare(small, large)
    expected = rounded(enlarge(small, factor))
    np.testing.assert_array_equal(comparison.pictures[0].pixels, expected)
    assert comparison.measures["B against A"].psnr_db == psnr(large, expected)
    said = f"A was enlarged {factor} times, bicubic, from 31 x 20 pixels."
    assert comparison.notes == (said,)
    assert said.replace(" x ", "&nbsp;&times;&nbsp;") in comparison.html()


@pytest.mark.parametrize(
    ("sizes", "said"),
    [
        (((20, 30), (20, 31)), "a.png has 30 x 20 pixels and b.png 31 x 20: compare two of one"),
        (((40, 60), (20, 30)), "name the smaller one first"),
        (((20, 30), (40, 90)), "name the smaller one first"),
        (((20, 30), (50, 75)), "name the smaller one first"),
        (((20, 30), (20, 30), (30, 20)), "the original c.png has 20 x 30 pixels, not 30 x 20"),
        (((20, 30), (40, 60), (20, 30)), "the original c.png has 30 x 20 pixels, not 60 x 40"),
    ],
)
def test_sizes_that_do_not_go_together(
    jpegrt: CommandLine, folder: Path, sizes: tuple[tuple[int, int], ...], said: str
) -> None:
    names = ("a.png", "b.png", "c.png")[: len(sizes)]
    for name, size in zip(names, sizes, strict=True):
        write_png(synthetic(*size), folder / name)
    outcome = jpegrt("compare", *names)
    assert (outcome.code, outcome.out) == (2, "")
    assert said in outcome.complaint
    assert not (folder / "comparison.html").exists()


def transparent() -> bytes:
    file = io.BytesIO()
    Image.new("RGBA", (64, 48), (10, 20, 30, 40)).save(file, "PNG")
    return file.getvalue()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "cannot be read: No such file or directory"),
        (b"no image", "is no JPEG, PNG, WebP, TIFF, AVIF, BMP or PNM"),
        (JPEG[:600], "--allow-damaged"),
        (transparent(), "is transparent in places"),
        (claiming(JPEG, 60000, 60000), "60000x60000 pixels are more than the limit of 16777216"),
    ],
    ids=["missing", "text", "damaged", "transparent", "large"],
)
def test_images_that_cannot_be_compared(
    jpegrt: CommandLine, folder: Path, content: bytes | None, said: str
) -> None:
    if content is not None:
        (folder / "bad").write_bytes(content)
    for files in (("bad", "b.png"), ("a.jpg", "bad"), ("a.jpg", "b.png", "bad")):
        outcome = jpegrt("compare", *files)
        assert (outcome.code, outcome.out) == (1, "")
        assert outcome.complaint.startswith("jpegrt: bad: ")
        assert said in outcome.complaint
        assert not (folder / "comparison.html").exists()


def test_requests_that_cannot_be_met(jpegrt: CommandLine, folder: Path) -> None:
    outcome = jpegrt("compare", "a.jpg", "b.png", "original.png", "--original", "original.png")
    assert (outcome.code, outcome.complaint) == (
        2,
        "jpegrt: the original is named twice: leave one out",
    )
    for name in ("b.png", "b.png/page.html"):
        assert jpegrt("compare", "a.jpg", "b.png", "-o", name).code == 2
    outcome = jpegrt("compare", "a.jpg", "b.png", "--max-pixels", "3071")
    assert (outcome.code, "limit of 3071" in outcome.complaint) == (1, True)
    assert jpegrt("compare", "a.jpg", "b.png", "--max-pixels", "3072").code == 0


@pytest.mark.parametrize("name", FORMAT_NAMES)
def test_every_format_that_restore_writes(name: str) -> None:
    """Turned upright, whatever the format: what a viewer shows of both is compared."""
    jpeg = photograph(ORIGINAL, orientation=6, quality=98)
    restored = ImageFormat(name, quality=None).encode(decode(jpeg), read_metadata(jpeg))
    comparison = compare(jpeg, restored)
    with Image.open(io.BytesIO(jpeg)) as image:
        np.testing.assert_array_equal(comparison.pictures[0].pixels, seen(image))
    psnr_db = comparison.measures["B against A"].psnr_db
    assert psnr_db == math.inf if name in ("png", "tiff") else psnr_db > 25
    assert comparison.notes == ()  # of profiles
    for picture in embedded(comparison.html()):
        assert picture.info["icc_profile"] == PROFILE


def test_profiles_that_differ_are_told() -> None:
    with_profile = ImageFormat("png").encode(ORIGINAL, Metadata(icc=PROFILE))
    without = ImageFormat("png").encode(ORIGINAL, Metadata())
    (note,) = compare(with_profile, without).notes
    assert note.startswith("The colour profiles differ")


def test_grey_beside_colour() -> None:
    grey = synthetic(20, 30, 1)
    as_rgb = np.repeat(grey[..., None], 3, axis=2)
    comparison = compare(grey, as_rgb)
    assert comparison.measures["B against A"].psnr_db == math.inf
    assert [picture.mode for picture in embedded(compare(grey, grey).html())] == ["L", "L"]


@pytest.mark.parametrize("size", [(1, 1), (8, 9), (10, 30)])
def test_images_too_small_for_a_measure(size: tuple[int, int]) -> None:
    comparison = compare(synthetic(*size), synthetic(*size, seed=1))
    measures = comparison.measures["B against A"]
    assert measures.ssim is None
    assert (measures.psnr_b_db is None) == (min(size) < 9)
    assert "<td>&ndash;" in comparison.html()
    assert comparison.report()["measures"]["B against A"]["ssim"] is None


def test_images_of_pillow_and_arrays() -> None:
    jpeg = photograph(ORIGINAL, orientation=8)
    with Image.open(io.BytesIO(jpeg)) as image:
        comparison = compare(image, seen(image))
    assert comparison.pictures[0].icc == PROFILE
    assert comparison.measures["B against A"].psnr_db == math.inf
    for bad in (np.zeros((4, 4), np.float32), np.zeros((4, 4, 4), np.uint8), np.zeros(4, np.uint8)):
        with pytest.raises(RestoreError, match="A: an array must be uint8 of shape"):
            compare(bad, bad)  # type: ignore[arg-type]
    with pytest.raises(RestoreError, match="an array must have from 1 to 5 pixels"):
        compare(ORIGINAL, ORIGINAL, max_pixels=5)


def test_names_harm_no_page(jpegrt: CommandLine, folder: Path) -> None:
    evil = "<script>alert('$x')&\udcff.png"
    (folder / evil).write_bytes((folder / "b.png").read_bytes())
    outcome = jpegrt("compare", "a.jpg", evil)
    assert outcome.code == 0
    page = (folder / "comparison.html").read_text()
    assert "&lt;script&gt;alert(&#x27;$x&#x27;)&amp;\\udcff.png" in page
    assert page.count("<script>") == 1


def test_files_of_one_name_are_told_apart(jpegrt: CommandLine, folder: Path) -> None:
    (folder / "new").mkdir()
    write_png(ORIGINAL, folder / "new" / "b.png")
    outcome = jpegrt("compare", "b.png", "new/b.png", "--json")
    assert json.loads(outcome.out)["names"] == ["b.png", "new/b.png"]


def test_notebooks_show_the_middle_of_large_images() -> None:
    large = [np.full((1200, 1600, 3), level, np.uint8) for level in (10, 20)]
    for image in large:
        image[600, 800] = 255
    comparison = compare(*large)
    frame = comparison._repr_html_()
    assert frame.startswith('<iframe sandbox="allow-scripts"')
    first, _ = embedded(html.unescape(frame))
    assert 0.8 * (1 << 20) < first.width * first.height <= 1.1 * (1 << 20)
    left, top = (1600 - first.width) // 2, (1200 - first.height) // 2
    assert (left % 16, top % 16) == (0, 0)
    shown: Pixels = np.asarray(first)
    assert shown[600 - top, 800 - left].min() == 255
    said = f"This is the middle, {first.width} x {first.height} of 1600 x 1200 pixels"
    assert html.escape(said.replace(" x ", "&nbsp;&times;&nbsp;")) in frame
    small = compare(large[0][:40, :60], large[1][:40, :60])
    assert "This is the middle" not in small._repr_html_()


def test_existing_pages_are_kept(tmp_path: Path) -> None:
    comparison = compare(EXAMPLE / "example.jpg", EXAMPLE / "example.png")
    assert [picture.name for picture in comparison.pictures] == ["example.jpg", "example.png"]
    comparison.save(tmp_path / "page.html")
    with pytest.raises(UsageError, match="exists"):
        comparison.save(tmp_path / "page.html")
    comparison.save(tmp_path / "page.html", overwrite=True)
    assert [path.name for path in tmp_path.iterdir()] == ["page.html"]
