"""`jpegrt info`."""

import json
import os
import re
from pathlib import Path
from threading import Thread

import pytest
from PIL import Image
from tests.kernels.c_programs import Libjpeg
from tests.kernels.images import synthetic
from tests.runtime.command_line import CommandLine
from tests.runtime.jpegs import claiming, encode
from tests.runtime.recompressed import photograph, twice

from jpegrt.runtime.recompression import LIKELY_FINER_SCORE, LIKELY_SCORE
from jpegrt.runtime.tables import ANNEX_K_CHROMA, ANNEX_K_LUMA, scaled_table


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    return tmp_path / "photo.jpg"


@pytest.mark.parametrize("quality", [1, 10, 50, 75, 100])
def test_json_of_an_ordinary_file(jpegrt: CommandLine, photo: Path, quality: int) -> None:
    content = encode(synthetic(33, 50), quality=quality)
    photo.write_bytes(content)
    outcome = jpegrt("info", photo, "--json")
    assert (outcome.code, outcome.err) == (0, "")
    luma, chroma = (scaled_table(t, quality).tolist() for t in (ANNEX_K_LUMA, ANNEX_K_CHROMA))
    assert json.loads(outcome.out) == {
        "width": 50,
        "height": 33,
        "bytes": len(content),
        "bits_per_pixel": round(8 * len(content) / (33 * 50), 3),
        "colour": "ycbcr",
        "subsampling": "4:2:0",
        "coding": "sequential",
        "entropy_coding": "huffman",
        "restart_interval": 0,
        "damaged": False,
        "quality": quality,
        "quality_exact": True,
        "recompression": None,
        "components": [
            {"width": 50, "height": 33, "sampling": [2, 2], "blocks": [5, 7], "table": luma},
            {"width": 25, "height": 17, "sampling": [1, 1], "blocks": [3, 4], "table": chroma},
            {"width": 25, "height": 17, "sampling": [1, 1], "blocks": [3, 4], "table": chroma},
        ],
    }


@pytest.mark.parametrize(
    ("arguments", "restart", "expected"),
    [
        (("1x2,1x1,1x1",), 0, {"subsampling": "4:4:0"}),
        (("2x1,1x1,1x1", "progressive"), 0, {"subsampling": "4:2:2", "coding": "progressive"}),
        (("", "arithmetic"), 0, {"entropy_coding": "arithmetic"}),
        (("1x1,1x1,1x1", "rgb"), 0, {"colour": "rgb", "subsampling": "4:4:4"}),
        (("",), 3, {"restart_interval": 3}),
    ],
)
def test_json_of_other_files(
    jpegrt: CommandLine,
    libjpeg: Libjpeg,
    photo: Path,
    arguments: tuple[str, ...],
    restart: int,
    expected: dict[str, object],
) -> None:
    photo.write_bytes(libjpeg.encode(synthetic(40, 60), *arguments, restart=restart))
    found = json.loads(jpegrt("info", photo, "--json").out)
    assert {key: found[key] for key in expected} == expected


def test_text(jpegrt: CommandLine, photo: Path) -> None:
    photo.write_bytes(encode(synthetic(33, 50), quality=30))
    outcome = jpegrt("info", photo)
    assert (outcome.code, outcome.err) == (0, "")
    lines = outcome.out.splitlines()
    assert lines[0] == str(photo)
    for pattern in (
        r"  size +50 x 33 pixels, [\d,]+ bytes \([\d.]+ bits a pixel\)",
        r"  colour +ycbcr, 4:2:0",
        r"  coding +sequential, huffman, no restarts",
        r"  quality +30 \(the standard table\)",
        r"  table Y  .*\b27\b.*",
        r"  table Cb .*",
        r"  table Cr +the same as Cb's",
    ):
        assert any(re.fullmatch(pattern, line) for line in lines), pattern
    assert "damaged" not in outcome.out


def test_text_of_a_grey_file_with_its_own_table(jpegrt: CommandLine, photo: Path) -> None:
    Image.fromarray(synthetic(16, 16, 1)).save(photo, qtables=[[7] * 64])
    text = jpegrt("info", photo).out
    assert "grey" in text
    assert re.search(r"quality +\d+ \(nearest; its table is not a standard one\)", text)


def test_a_damaged_file_is_described(jpegrt: CommandLine, photo: Path) -> None:
    photo.write_bytes(encode(synthetic(96, 96), quality=80)[:1400])
    assert "damaged      yes: restore it with --allow-damaged" in jpegrt("info", photo).out
    assert json.loads(jpegrt("info", photo, "--json").out)["damaged"] is True


@pytest.mark.parametrize(
    ("first", "second", "crop", "grid"),
    [
        (30, 75, (4, 3), "its blocks begin 4 down, 5 across"),
        (30, 75, (0, 0), "same grid"),
        (80, 70, (0, 0), "same grid"),
    ],
)
def test_a_recompressed_file_is_told(
    jpegrt: CommandLine, photo: Path, first: int, second: int, crop: tuple[int, int], grid: str
) -> None:
    photo.write_bytes(twice(photograph(), first, second, crop)[0])
    found = json.loads(jpegrt("info", photo, "--json").out)["recompression"]
    score, shift = found.pop("score"), [-pixels % 8 for pixels in crop]
    finer = first > second
    assert found == {
        "confidence": "likely", "first_quality": first, "shift": shift, "finer": finer
    }  # fmt: skip
    assert score > (LIKELY_FINER_SCORE if finer else LIKELY_SCORE)
    line = f"  recompressed likely: first quality about {first}, {grid} (score {score})"
    assert line in jpegrt("info", photo).out.splitlines()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", ""),
        (b"text, not a JPEG", ""),
        (claiming(encode(synthetic(16, 16)), 65500, 65500), "65500"),
        (None, "No such file"),
    ],
)
def test_bad_files(jpegrt: CommandLine, photo: Path, content: bytes | None, said: str) -> None:
    if content is not None:
        photo.write_bytes(content)
    outcome = jpegrt("info", photo)
    assert (outcome.code, outcome.out) == (1, "")
    assert outcome.complaint.startswith(f"jpegrt: {photo}: ")
    assert said in outcome.complaint


def test_a_pipe_is_as_long_as_what_it_held(jpegrt: CommandLine, tmp_path: Path) -> None:
    content, pipe = encode(synthetic(16, 16)), tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = Thread(target=pipe.write_bytes, args=(content,))
    writer.start()
    outcome = jpegrt("info", pipe, "--json")
    writer.join()
    assert json.loads(outcome.out)["bytes"] == len(content)
