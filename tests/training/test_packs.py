"""Packs hold the images of a data folder, and train as it does."""

import json
import runpy
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from tests.kernels.images import synthetic
from tests.training.photographs import write_recipe
from tests.training.test_loop import assert_equal, checkpoint

from jpegrt.runtime.errors import UsageError
from jpegrt.training.images import ImageFiles, PatchSource, find_images, load_rgb
from jpegrt.training.loop import Training
from jpegrt.training.packing import pack
from jpegrt.training.packs import PackedImage, PackWriter
from jpegrt.training.recipe import load_recipe

SCRIPT = Path(__file__).parents[2] / "scripts" / "pack_images.py"
SETS = ("meadows", "streets")
SMALL = 36 << 10  # bytes, of which each pack holds a few of the photographs


@pytest.fixture(scope="module")
def packs(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Read only."""
    folder = tmp_path_factory.mktemp("packs")
    pack(data, folder, SETS, SMALL, workers=1)
    return folder


def assert_same_images(one: ImageFiles, packed: ImageFiles) -> None:
    for files, members in (
        (one.training, packed.training),
        (one.validation, packed.validation),
    ):
        assert [f"{file.parent.name}/{file.name}.webp" for file in files] == [
            f"{member.parent.name}/{member.name}" for member in members
        ]
        for file, member in zip(files, members, strict=True):
            np.testing.assert_array_equal(load_rgb(file), load_rgb(member))


def test_packs_hold_the_folders_images_in_its_order(data: Path, packs: Path) -> None:
    archives = list(packs.glob("*.tar"))
    assert len(archives) > 2
    assert all(archive.stat().st_size <= SMALL for archive in archives)
    assert not list(packs.glob("*.part"))
    for sets in (SETS, SETS[::-1], SETS[1:]):
        assert_same_images(find_images(data, sets, 4), find_images(packs, sets, 4))


def test_names_are_ordered_as_in_the_folder(tmp_path: Path) -> None:
    """Whatever their suffixes, which packs add one to."""
    folder = tmp_path / "data" / "odd"
    folder.mkdir(parents=True)
    for n, name in enumerate(("a.png", "a.webp", "a-b.png", "a.png.png", "b.bmp", "B.png")):
        # Only WebP's writer knows what lossless means.
        Image.fromarray(synthetic(16, 16, seed=n)).save(folder / name, lossless=True)
    pack(folder.parent, tmp_path / "packs", ["odd"], 1 << 20, workers=1)
    one, other = (find_images(tmp_path / place, ["odd"], 3) for place in ("data", "packs"))
    assert_same_images(one, other)


def test_training_from_packs_is_training_from_the_folder(
    data: Path, packs: Path, tmp_path: Path
) -> None:
    recipe = load_recipe(write_recipe(tmp_path))
    one, other = (
        PatchSource(find_images(place, SETS, 4).training, 32).draw(np.random.default_rng(0))
        for place in (data, packs)
    )
    np.testing.assert_array_equal(one, other)
    for place, runs in ((data, tmp_path / "folder"), (packs, tmp_path / "packs")):
        Training(recipe, place, runs, resume=False, steps=3).run()
    assert_equal(checkpoint(tmp_path / "folder", recipe), checkpoint(tmp_path / "packs", recipe))
    best = torch.load(tmp_path / "packs" / recipe.name / "checkpoint.pt", weights_only=True)["best"]
    assert np.isfinite(best)


def test_packing_goes_on_where_it_was_stopped(
    data: Path, packs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stopped = tmp_path / "packs"
    written: list[Path] = []

    def stop_in_the_third(self: Path, content: bytes) -> int:
        written.append(self)
        if len(written) == 3:
            with self.open("wb") as file:
                file.write(content[:100])
            raise KeyboardInterrupt
        with self.open("wb") as file:
            return file.write(content)

    with monkeypatch.context() as patched:
        patched.setattr(Path, "write_bytes", stop_in_the_third)
        with pytest.raises(KeyboardInterrupt):
            pack(data, stopped, SETS, SMALL, workers=1)
    assert sorted(path.name for path in stopped.iterdir()) == ["000.tar", "001.tar", "002.part"]
    with pytest.raises(FileNotFoundError, match="nor in packs"):
        find_images(stopped, SETS, 4)
    kept = (stopped / "000.tar").stat().st_mtime_ns
    pack(data, stopped, SETS, SMALL, workers=1)
    assert (stopped / "000.tar").stat().st_mtime_ns == kept
    for archive in packs.iterdir():
        assert (stopped / archive.name).read_bytes() == archive.read_bytes()
    assert {path.name for path in stopped.iterdir()} == {path.name for path in packs.iterdir()}


def test_packs_of_other_images_are_not_gone_on_with(data: Path, tmp_path: Path) -> None:
    writer = PackWriter(tmp_path / "packs", SMALL)
    writer.write([PackedImage("meadows/99.png", b"image")])
    with pytest.raises(UsageError, match="holds finished packs"):
        pack(data, tmp_path / "packs", SETS, SMALL, workers=1)
    (tmp_path / "packs" / "packs.json").unlink()
    with pytest.raises(UsageError, match="holds packs of other images"):
        pack(data, tmp_path / "packs", SETS, SMALL, workers=1)


@pytest.fixture
def copied(packs: Path, tmp_path: Path) -> Path:
    folder = tmp_path / "copied"
    folder.mkdir()
    for file in packs.iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    return folder


def test_an_archive_that_is_not_what_was_packed_is_named(copied: Path) -> None:
    archive = copied / "001.tar"
    content = bytearray(archive.read_bytes())
    content[2000] ^= 1
    archive.write_bytes(content)
    with pytest.raises(UsageError, match=r"001\.tar is not the archive that was packed"):
        find_images(copied, SETS, 4)
    archive.unlink()
    with pytest.raises(UsageError, match=r"001\.tar is missing"):
        find_images(copied, SETS, 4)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("{", r"packs\.json is broken"),
        ("[]", r"packs\.json is broken"),
        (json.dumps({"format": 9, "archives": {}}), "is of format 9, not 1"),
    ],
)
def test_a_broken_index_is_named(copied: Path, content: str, said: str) -> None:
    (copied / "packs.json").write_text(content)
    with pytest.raises(UsageError, match=said):
        find_images(copied, SETS, 4)


def test_an_archive_that_cannot_be_gone_on_with_is_named(data: Path, tmp_path: Path) -> None:
    (tmp_path / "000.tar").write_bytes(b"no archive" * 200)
    with pytest.raises(UsageError, match=r"000\.tar is broken"):
        pack(data, tmp_path, SETS, SMALL, workers=1)


def test_an_image_larger_than_a_pack_is_named(data: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"meadows/00\.png alone takes .*--megabytes"):
        pack(data, tmp_path / "packs", SETS, 12 << 10, workers=1)


def test_command(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    main = runpy.run_path(str(SCRIPT), run_name="pack_images")["main"]
    arguments = ["pack_images", str(data), "-o", str(tmp_path / "packs"), "--workers", "1"]
    monkeypatch.setattr(sys, "argv", [*arguments, "--sets", *SETS])
    assert main() == 0
    assert capsys.readouterr().out.startswith("9 images in 1 packs: ")
    monkeypatch.setattr(sys, "argv", [*arguments, "--sets", "absent"])
    assert main() == 2
    error = capsys.readouterr().err.splitlines()[-1]
    assert error.startswith("pack_images: no lossless images in")
