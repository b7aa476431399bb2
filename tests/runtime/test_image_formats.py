"""What outputs keep of a photograph, read again by Pillow, tifffile and exiftool."""

import io
import json
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image
from tests.kernels.images import synthetic
from tests.runtime.command_line import CommandLine
from tests.runtime.photographs import PROFILE, XMP, exif_of, photograph, seen, with_segment

from jpegrt.runtime.errors import RestoreError, UsageError
from jpegrt.runtime.image_formats import FORMAT_NAMES, ImageFormat
from jpegrt.runtime.metadata import Metadata, read_metadata
from jpegrt.runtime.orientation import upright

PIXELS = synthetic(40, 64)
LOSSLESS = ("png", "tiff")
AS_STORED = ("tiff", "webp", "jpeg", "avif")
DECODER = ("--model", "none")


def written(name: str, jpeg: bytes, depth: int = 8) -> Image.Image:
    """The image of `PIXELS` in that format with the JPEG's metadata, opened by Pillow."""
    pixels = PIXELS if depth == 8 else PIXELS.astype(np.uint16) * np.uint16(257)
    return Image.open(io.BytesIO(ImageFormat(name, depth).encode(pixels, read_metadata(jpeg))))


def exif_in(image: Image.Image) -> bytes:
    exif = image.info.get("exif", b"")
    assert isinstance(exif, bytes)
    return exif.removeprefix(b"Exif\0\0")


@pytest.mark.parametrize("name", FORMAT_NAMES)
def test_profile_exif_and_xmp(name: str) -> None:
    image = written(name, photograph(PIXELS))
    image.load()
    assert image.format == name.upper()
    assert image.info["icc_profile"] == PROFILE
    xmp = image.tag_v2[700] if name == "tiff" else image.info["xmp"]  # type: ignore[attr-defined]
    assert xmp == XMP % 1
    if name in ("png", "webp", "jpeg"):
        assert exif_in(image) == exif_of(1)
    exif = image.getexif()
    assert exif[0x010F] == "A maker of cameras"
    assert exif[0x0112] == 1
    assert exif.get_ifd(0x8769)[0x927C] == b"a maker's note" * 9
    assert exif.get_ifd(0x8769)[0x9003] == "2024:05:06 07:08:09"
    assert exif.get_ifd(0x8825)[2] == (48, 8, 15)


@pytest.mark.parametrize("depth", [8, 16])
@pytest.mark.parametrize("channels", [1, 3])
def test_lossless_formats_keep_the_pixels(depth: int, channels: int) -> None:
    levels = 2**depth
    shape = (300, 333, 3)[: 2 + (channels == 3)]  # several strips
    pixels = np.random.default_rng(1).integers(0, levels, shape, f"u{depth // 8}")
    metadata = read_metadata(photograph(PIXELS))
    tiff = ImageFormat("tiff", depth).encode(pixels, metadata)
    np.testing.assert_array_equal(tifffile.imread(io.BytesIO(tiff)), pixels)
    for name in LOSSLESS:
        file = ImageFormat(name, depth).encode(pixels, metadata)
        with Image.open(io.BytesIO(file)) as image:
            # Pillow keeps the high bytes of 16-bit RGB.
            expected = pixels >> 8 if depth == 16 and channels == 3 else pixels
            np.testing.assert_array_equal(np.asarray(image), expected)


@pytest.mark.parametrize("order", ["<", ">"])
def test_tiffs_keep_every_value_of_exif(order: str) -> None:
    exif = exif_of(6)
    if order == "<":  # Pillow writes the other one: a directory made by hand
        exif = (
            b"II*\0\x08\0\0\0" + b"\x02\0"
            b"\x12\x01\x03\0\x01\0\0\0\x06\0\0\0"  # the orientation
            b"\x69\x87\x04\0\x01\0\0\0\x26\0\0\0" + bytes(4) + b"\x01\0"
            b"\x7c\x92\x07\0\x06\0\0\0\x38\0\0\0" + bytes(4) + b"a note"
        )
    jpeg = photograph(PIXELS, exif=b"Exif\0\0" + exif, xmp=b"")
    with Image.open(io.BytesIO(jpeg)) as image:
        expected = image.getexif()
        tiff = written("tiff", jpeg)
        found = tiff.getexif()
        assert tiff.tag_v2._endian == order  # type: ignore[attr-defined]
        assert found[0x0112] == 6
        for directory in (0x8769, 0x8825, 0xA005):
            values = dict(expected.get_ifd(directory))
            offset = {0xA005} & set(values)  # of the directory inside, which has moved
            assert {**found.get_ifd(directory), **{tag: values[tag] for tag in offset}} == values
        assert found.get_ifd(0x8769)[0x927C]
        if order == ">":
            assert found.get_ifd(0x8825)
            assert found.get_ifd(0xA005)
            assert found[0x9C9B] == expected[0x9C9B]


@pytest.mark.parametrize("name", FORMAT_NAMES)
@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_orientation_is_seen_upright_once(name: str, orientation: int) -> None:
    corners = np.zeros((40, 64, 3), np.uint8)
    corners[:20, :32], corners[:20, 32:], corners[20:, :32] = (200, 0, 0), (0, 200, 0), (0, 0, 200)
    jpeg = photograph(corners, orientation=orientation)
    with Image.open(io.BytesIO(jpeg)) as stored:
        expected = seen(stored).astype(int)
    file = ImageFormat(name, quality=None).encode(corners, read_metadata(jpeg))
    with Image.open(io.BytesIO(file)) as image:
        assert image.getexif()[0x0112] == (orientation if name in AS_STORED else 1)
        assert np.abs(seen(image) - expected).mean() < 4  # Pillow turns TIFFs when it reads them
        as_stored = np.asarray(image)
        if name == "png":  # right too in viewers that look for no orientation
            assert np.abs(as_stored - expected).mean() < 4
            assert image.info["xmp"] == XMP % 1
            untouched = exif_of(orientation)
            differing = [a != b for a, b in zip(exif_in(image), untouched, strict=True)]
            assert sum(differing) == (orientation != 1)
        elif name in ("webp", "jpeg"):
            assert as_stored.shape == corners.shape


@pytest.mark.parametrize("dpi", [(300, 300), (72, 144)])
def test_density(dpi: tuple[int, int]) -> None:
    jpeg = photograph(PIXELS, dpi=dpi)
    for name in ("png", "tiff", "jpeg"):
        assert written(name, jpeg).info["dpi"] == pytest.approx(dpi, abs=0.02)
    # Turned by a quarter, across is down.
    turned = written("png", photograph(PIXELS, dpi=dpi, orientation=6))
    assert turned.info["dpi"] == pytest.approx(dpi[::-1], abs=0.02)


def test_density_in_centimetres_and_as_a_ratio() -> None:
    jpeg = bytearray(photograph(PIXELS))
    jpeg[13:18] = b"\x02\x00\x76\x00\x76"
    assert written("jpeg", bytes(jpeg)).info["jfif_density"] == (118, 118)
    assert written("jpeg", bytes(jpeg)).info["jfif_unit"] == 2
    assert written("png", bytes(jpeg)).info["dpi"] == pytest.approx((299.72, 299.72))
    assert written("tiff", bytes(jpeg)).tag_v2[296] == 3  # type: ignore[attr-defined]
    jpeg[13:18] = b"\x00\x00\x02\x00\x01"
    assert written("jpeg", bytes(jpeg)).info["jfif_density"] == (2, 1)
    assert written("png", bytes(jpeg)).info["aspect"] == (2, 1)
    assert written("tiff", bytes(jpeg)).tag_v2[296] == 1  # type: ignore[attr-defined]


def test_large_blocks_take_several_segments() -> None:
    profile = PROFILE[:128] + np.random.default_rng(0).bytes(200_000)
    note = np.random.default_rng(1).bytes(30_000)
    jpeg = photograph(PIXELS, icc_profile=profile)
    jpeg = with_segment(jpeg, 0xE1, b"Exif\0\0" + note)  # goes on where the first one ends
    first = read_metadata(photograph(PIXELS)).exif
    assert read_metadata(jpeg).exif.startswith(note)
    jpeg = jpeg.replace(b"Exif\0\0" + note, b"Exif\0\0" + first + note[len(first) :])
    metadata = read_metadata(jpeg)
    assert metadata.exif == first + note[len(first) :]  # and not the second beginning
    for name in FORMAT_NAMES:
        assert written(name, jpeg).info["icc_profile"] == profile
    long = with_segment(photograph(PIXELS, exif=b""), 0xE1, b"Exif\0\0" + 3 * note[:9000])
    long = with_segment(long, 0xE1, b"Exif\0\0" + first + bytes(60_000))
    again = read_metadata(ImageFormat("jpeg").encode(PIXELS, read_metadata(long)))
    assert len(again.exif) == len(first) + 60_000 + 27_000
    assert again.exif == read_metadata(long).exif


def test_what_only_jpegs_hold() -> None:
    extended = b"http://ns.adobe.com/xmp/extension/\0" + b"0" * 32 + bytes(8) + b"a depth map"
    jpeg = with_segment(photograph(PIXELS, comment=b"by hand"), 0xE1, extended)
    iptc = b"Photoshop 3.0\x008BIM\x04\x04\0\0\0\0\0\0"
    jpeg = with_segment(jpeg, 0xED, iptc)
    image = written("jpeg", jpeg)
    assert image.info["comment"] == b"by hand"
    applied = image.applist  # type: ignore[attr-defined]
    assert ("APP1", extended) in applied
    assert ("APP13", iptc) in applied
    assert image.info["xmp"] == XMP % 1


def test_thumbnails_stay_and_trailing_bytes_go(tmp_path: Path, jpegrt: CommandLine) -> None:
    thumbnail = photograph(PIXELS[::4, ::4], exif=b"", xmp=b"", icc_profile=b"")
    exif = exif_of(1, thumbnail=thumbnail)
    jpeg = photograph(PIXELS, exif=b"Exif\0\0" + exif) + b"a film that a phone has put here"
    (tmp_path / "a.jpg").write_bytes(jpeg)
    for suffix in (".png", ".webp", ".jpg"):
        target = tmp_path / f"out{suffix}"
        assert jpegrt("restore", tmp_path / "a.jpg", "-o", target, *DECODER).code == 0
        content = target.read_bytes()
        assert b"a film" not in content
        with Image.open(io.BytesIO(content)) as image:
            assert exif_in(image) == exif


@pytest.mark.parametrize(
    "damaged",
    [
        b"",
        b"II*\0",
        b"II*\0\xff\xff\xff\xff",
        b"II*\0\x08\0\0\0\xff\xff" + bytes(10),
        b"II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x63\0\0\0",
        b"MM\0*\0\0\0\x08\0\x01\x87\x69\0\x04\0\0\0\x01\xff\xff\xff\xff",
        exif_of(6)[:20],
        b"no TIFF at all",
    ],
    ids=range(8),
)
@pytest.mark.parametrize("name", ["png", "tiff", "webp", "jpeg"])
def test_damaged_exif_stops_nothing(name: str, damaged: bytes) -> None:
    jpeg = with_segment(photograph(PIXELS, exif=b"", xmp=b""), 0xE1, b"Exif\0\0" + damaged)
    metadata = read_metadata(jpeg)
    assert metadata.orientation == 1
    file = ImageFormat(name).encode(PIXELS, metadata)
    with Image.open(io.BytesIO(file)) as image:
        assert image.size == (64, 40)
        if name == "webp" and damaged:
            assert exif_in(image) == damaged


@pytest.mark.parametrize("name", FORMAT_NAMES)
def test_strip(tmp_path: Path, jpegrt: CommandLine, name: str) -> None:
    jpeg = photograph(synthetic(48, 64), orientation=6, comment=b"by hand")
    source, target = tmp_path / "a.jpg", tmp_path / "out"
    source.write_bytes(jpeg)
    options = ("--strip", "--format", name, *DECODER)
    assert jpegrt("restore", source, "-o", target, *options).code == 0
    with Image.open(io.BytesIO(jpeg)) as stored:
        expected = seen(stored).astype(int)
    with Image.open(target) as image:
        assert image.size == (48, 64)
        assert np.abs(np.asarray(image) - expected).mean() < 4
        assert image.info["icc_profile"] == PROFILE
        assert not {"exif", "xmp", "dpi", "comment"} & set(image.info) - (
            {"dpi"} if name == "tiff" else set()
        )
    for secret in (b"maker", b"xmpmeta", b"by hand"):
        assert secret not in target.read_bytes()


def test_formats_by_name_and_option(tmp_path: Path, jpegrt: CommandLine) -> None:
    (tmp_path / "a.jpg").write_bytes(photograph(PIXELS))
    for name, format_name in {
        "a.png": "PNG", "a.TIF": "TIFF", "a.tiff": "TIFF", "a.webp": "WEBP", "b.jpg": "JPEG",
        "a.jpeg": "JPEG", "a.avif": "AVIF",
    }.items():  # fmt: skip
        assert jpegrt("restore", tmp_path / "a.jpg", "-o", tmp_path / name, *DECODER).code == 0
        with Image.open(tmp_path / name) as image:
            assert image.format == format_name
    folder = tmp_path / "folder"
    folder.mkdir()
    options = ("--format", "webp", *DECODER)
    assert jpegrt("restore", tmp_path / "a.jpg", "-o", folder, *options).code == 0
    with Image.open(folder / "a.webp") as image:
        assert image.format == "WEBP"


@pytest.mark.parametrize("name", ["webp", "jpeg", "avif"])
def test_quality(name: str) -> None:
    metadata = read_metadata(b"")
    sizes = [
        len(ImageFormat(name, quality=quality).encode(PIXELS, metadata))
        for quality in (10, 60, None, 100)
    ]
    assert sizes == sorted(sizes)
    assert sizes[0] < sizes[2]
    default = ImageFormat(name).encode(PIXELS, metadata)
    with Image.open(io.BytesIO(default)) as image:
        assert np.abs(np.asarray(image).astype(int) - PIXELS).mean() < 8


def test_chroma_of_jpegs_is_whole() -> None:
    with Image.open(io.BytesIO(ImageFormat("jpeg").encode(PIXELS, read_metadata(b"")))) as image:
        assert [sampling[1:3] for sampling in image.layer] == 3 * [(1, 1)]  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["-o", "a.jpg", "--depth", "16"], "JPEG has 8 bits a sample: write PNG or TIFF with 16"),
        (["-o", "a.webp", "--depth", "16"], "WEBP has 8 bits a sample"),
        (["-o", "a.png", "--quality", "90"], "PNG loses nothing and has no quality"),
        (["-o", "a.tiff", "--quality", "90"], "TIFF loses nothing"),
        (["-o", "a.webp", "--quality", "101"], "must be a number from 1 to 100"),
        (["-o", "a.gif"], "its name tells no format: end it in .png, .tiff, .webp, .jpg or .avif"),
        (["-o", "a.png", "--format", "gif"], "invalid choice: 'gif'"),
    ],
)
def test_formats_that_cannot_be(
    tmp_path: Path,
    jpegrt: CommandLine,
    monkeypatch: pytest.MonkeyPatch,
    options: list[str],
    said: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("in.jpg").write_bytes(photograph(PIXELS))
    outcome = jpegrt("restore", "in.jpg", *options)
    assert (outcome.code, outcome.out) == (2, "")
    assert said in outcome.err
    assert [path.name for path in tmp_path.iterdir()] == ["in.jpg"]


def test_a_pillow_without_avif(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("PIL.features.check", lambda name: name != "avif")
    with pytest.raises(UsageError, match="writes no AVIF: run pip install --upgrade pillow"):
        ImageFormat("avif")


def test_images_that_a_format_cannot_hold() -> None:
    with pytest.raises(RestoreError, match="20000 x 1 pixels cannot be written as WEBP"):
        ImageFormat("webp").encode(np.zeros((1, 20000, 3), np.uint8), read_metadata(b""))


def test_a_profile_for_grey_is_kept_with_grey_images() -> None:
    grey = PROFILE[:16] + b"GRAY" + PROFILE[20:]
    metadata = read_metadata(photograph(PIXELS[..., 0], icc_profile=grey))
    for name, kept in (("png", True), ("tiff", True), ("jpeg", True), ("webp", False)):
        file = ImageFormat(name).encode(PIXELS[..., 0], metadata)
        with Image.open(io.BytesIO(file)) as image:
            assert (image.info.get("icc_profile") == grey) == kept


@pytest.mark.parametrize("orientation", range(1, 9))
def test_upright_is_what_pillow_shows(orientation: int) -> None:
    image = Image.fromarray(PIXELS)
    image.getexif()[0x0112] = orientation
    np.testing.assert_array_equal(upright(PIXELS, orientation), seen(image))


@pytest.mark.parametrize("name", FORMAT_NAMES)
def test_exiftool_reads_the_same(tmp_path: Path, name: str) -> None:
    assert shutil.which("exiftool"), "install exiftool (libimage-exiftool-perl)"
    jpeg = photograph(PIXELS, orientation=6)
    source, target = tmp_path / "a.jpg", tmp_path / f"b{ImageFormat(name).suffix}"
    source.write_bytes(jpeg)
    target.write_bytes(ImageFormat(name).encode(PIXELS, read_metadata(jpeg)))

    def tags(path: Path) -> dict[str, object]:
        said = subprocess.run(
            ["exiftool", "-json", "-n", "-G1", "-IFD0:all", "-ExifIFD:all", "-GPS:all",
             "-InteropIFD:all", "-ICC_Profile:all", "-XMP:all", str(path)],
            check=True, capture_output=True,
        )  # fmt: skip
        (found,) = json.loads(said.stdout)
        return dict(found)

    def profile(path: Path) -> bytes:
        command = ["exiftool", "-icc_profile", "-b", str(path)]
        return subprocess.run(command, check=True, capture_output=True).stdout

    expected, found = tags(source), tags(target)
    assert profile(target) == PROFILE == profile(source)
    assert expected["IFD0:Orientation"] == 6
    if name == "png":
        expected.update({"IFD0:Orientation": 1, "XMP-tiff:Orientation": 1})
    elif name == "avif":  # which has an orientation of its own
        del expected["IFD0:Orientation"]
    missing = {
        tag for tag in expected if tag not in found and not tag.startswith(("SourceFile", "System"))
    }
    assert not missing
    assert {tag: found[tag] for tag in expected if tag != "SourceFile"} == {
        tag: value for tag, value in expected.items() if tag != "SourceFile"
    }


@pytest.mark.parametrize("name", ["png", "webp"])
def test_metadata_of_images_that_are_no_jpegs(name: str) -> None:
    metadata = read_metadata(photograph(PIXELS, orientation=1, dpi=(300, 150)))
    read = read_metadata(ImageFormat(name).encode(PIXELS, metadata))
    assert (read.size, read.exif, read.icc) == ((64, 40), exif_of(1), PROFILE)
    assert read.xmp == XMP % 1
    if name == "png":
        assert read.density == metadata.density
    for content in (b"", b"P6 1 1 255 abc", b"\x89PNG\r\n\x1a\n", b"RIFF\0\0\0\0WEBP", b"\xff\xd8"):
        assert read_metadata(content) == Metadata()
