"""A folder of awkward JPEGs in one batch: each restored or refused with the right words, and read
again by Pillow and exiftool with what it had."""

import base64
import io
import json
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageFile
from tests.kernels.c_programs import Libjpeg
from tests.runtime.awkward import BAD, GOOD
from tests.runtime.command_line import finish, start
from tests.runtime.photographs import seen

from jpegrt.runtime.inks import rgb_from_cmyk

ORIENTATION = 0x0112
FORMATS = ("png", "jpeg")
SUFFIXES = {"png": ".png", "jpeg": ".jpg"}
LARGEST_MEAN_ERROR = 8  # levels; as in test_session


@dataclass(frozen=True)
class Batch:
    """Sources by name, and for each format the folder of outputs and the reports by name."""

    sources: dict[str, Path]
    outputs: dict[str, Path]
    reports: dict[str, dict[str, dict[str, Any]]]
    codes: dict[str, int]
    complaints: dict[str, list[str]]

    def output(self, name: str, format_name: str) -> Path:
        return self.outputs[format_name] / (self.sources[name].stem + SUFFIXES[format_name])


@pytest.fixture(scope="module")
def batch(libjpeg: Libjpeg, tmp_path_factory: pytest.TempPathFactory) -> Batch:
    folder = tmp_path_factory.mktemp("awkward")
    (folder / "in").mkdir()
    sources = {}
    makers = {**GOOD, **{name: maker for name, (maker, _) in BAD.items()}}
    for number, (name, make) in enumerate(makers.items()):
        sources[name] = folder / "in" / f"{number}.jpg"
        sources[name].write_bytes(make(libjpeg))
    names = {str(path): name for name, path in sources.items()}
    result = Batch(sources, {}, {}, {}, {})
    for format_name in FORMATS:
        result.outputs[format_name] = folder / format_name
        options = ("--format", format_name, "--engine", "onnxruntime", "--json")
        process = start("restore", folder / "in", "-o", folder / format_name, *options)
        outcome = finish(process)
        result.codes[format_name] = outcome.code
        result.complaints[format_name] = outcome.err.splitlines()
        reports = json.loads(outcome.out)
        result.reports[format_name] = {names[report["input"]]: report for report in reports}
    return result


def opened(content: Path) -> Image.Image:
    return Image.open(io.BytesIO(content.read_bytes()))


def orientation_of(image: Image.Image) -> int:
    orientation = int(image.getexif().get(ORIENTATION, 1))
    return orientation if 1 <= orientation <= 8 else 1


def test_there_are_many(batch: Batch) -> None:
    assert len(GOOD) >= 60
    contents = {path.read_bytes() for path in batch.sources.values()}
    assert len(contents) == len(GOOD) + len(BAD)  # no two alike


@pytest.mark.parametrize("format_name", FORMATS)
def test_the_batch_as_a_whole(batch: Batch, format_name: str) -> None:
    assert batch.codes[format_name] == 1
    failed = {name for name, report in batch.reports[format_name].items() if "error" in report}
    assert failed == BAD.keys()
    assert batch.reports[format_name].keys() == GOOD.keys() | BAD.keys()
    written = {path.name for path in batch.outputs[format_name].glob("[!.]*")}
    assert written == {batch.output(name, format_name).name for name in GOOD}


@pytest.mark.parametrize("name", BAD)
def test_refused_with_the_right_words(batch: Batch, name: str) -> None:
    for format_name in FORMATS:
        assert BAD[name][1] in batch.reports[format_name][name]["error"]
        (line,) = (
            line
            for line in batch.complaints[format_name]
            if line.startswith(f"jpegrt: {batch.sources[name]}: ")
        )
        assert BAD[name][1] in line


@pytest.mark.filterwarnings("ignore:Corrupt EXIF data")  # which Pillow says of what is so
@pytest.mark.parametrize("format_name", FORMATS)
@pytest.mark.parametrize("name", GOOD)
def test_restored_with_all_it_had(
    batch: Batch, name: str, format_name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)  # Pillow wants an end marker
    with opened(batch.sources[name]) as source, opened(batch.output(name, format_name)) as output:
        output.load()
        orientation = orientation_of(source)
        turned = format_name == "png" and orientation >= 5
        assert output.format == format_name.upper()
        assert output.size == (source.size[::-1] if turned else source.size)
        in_rgb = source.mode == "CMYK" and format_name == "png"
        assert output.mode == ("RGB" if in_rgb else source.mode)
        assert orientation_of(output) == (1 if format_name == "png" else orientation)
        profile = None if in_rgb else source.info.get("icc_profile")
        assert output.info.get("icc_profile") == profile
        assert getattr(output, "n_frames", 1) == 1
        expected = seen(source)
        if in_rgb:
            expected = rgb_from_cmyk(expected, source.info.get("icc_profile", b"")).astype(np.uint8)
        error = np.abs(seen(output).astype(int) - expected).mean()
        assert error < LARGEST_MEAN_ERROR


def blocks(folder: Path) -> dict[str, dict[str, bytes]]:
    """EXIF, ICC profile and XMP of each file of a folder, as exiftool finds them, byte by byte."""
    assert shutil.which("exiftool"), "install exiftool (libimage-exiftool-perl)"
    said = subprocess.run(
        ["exiftool", "-json", "-b", "-q", "-q", "-EXIF", "-ICC_Profile", "-XMP", str(folder)],
        check=False, capture_output=True,
    )  # fmt: skip
    found = {}
    for file in json.loads(said.stdout):
        path = Path(file.pop("SourceFile"))
        file.pop("Error", None)
        file.pop("Warning", None)
        found[path.stem] = {
            tag: base64.b64decode(value.removeprefix("base64:"))
            if value.startswith("base64:")
            else value.encode()
            for tag, value in file.items()
        }
    return found


@pytest.fixture(scope="module")
def blocks_of_sources(batch: Batch) -> dict[str, dict[str, bytes]]:
    return blocks(batch.sources["sampled 4:4:4"].parent)


@pytest.mark.parametrize("format_name", FORMATS)
def test_exiftool_finds_the_same_bytes(
    batch: Batch, blocks_of_sources: dict[str, dict[str, bytes]], format_name: str
) -> None:
    outputs = blocks(batch.outputs[format_name])
    with_metadata = 0
    for name in GOOD:
        stem = batch.sources[name].stem
        expected, found = blocks_of_sources[stem], outputs[stem]
        if format_name == "png" and name.startswith("CMYK"):
            expected = {tag: block for tag, block in expected.items() if tag != "ICC_Profile"}
        if name == "several frames":  # whose index of frames exiftool takes for EXIF
            expected = {}
        assert found.keys() == expected.keys(), name
        with_metadata += bool(expected)
        for tag, block in expected.items():
            if found[tag] == block:
                continue
            # The orientation alone: one digit, in PNGs, which are turned.
            assert format_name == "png" and tag in ("EXIF", "XMP"), (name, tag)
            differing = [
                (new, old) for new, old in zip(found[tag], block, strict=True) if new != old
            ]
            upright = ord("1") if tag == "XMP" else 1
            assert [new for new, _ in differing] == [upright], (name, tag)
    assert with_metadata >= 15
