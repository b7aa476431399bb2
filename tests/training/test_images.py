"""Training images: found, split, cut."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tests.kernels.images import synthetic

from jpegrt.runtime.errors import UsageError
from jpegrt.training import images
from jpegrt.training.images import PatchSource, find_images, load_rgb


def test_the_split_is_whole_disjoint_and_always_the_same(data: Path) -> None:
    found = find_images(data, ["meadows", "streets"], 4)
    assert found == find_images(data, ["meadows", "streets"], 4)
    assert set(found.training).isdisjoint(found.validation)
    everything = sorted(data.glob("*/*.png"))
    assert sorted(found.training + found.validation) == everything
    assert len(found.validation) == 2


def test_only_the_named_sets_are_read(data: Path) -> None:
    found = find_images(data, ["streets"], 2)
    assert {file.parent.name for file in found.training + found.validation} == {"streets"}


def test_only_lossless_files_are_read(tmp_path: Path) -> None:
    (tmp_path / "set").mkdir()
    for name in ("a.jpg", "b.png", "c.JPEG", "notes.txt", "d.webp"):
        (tmp_path / "set" / name).touch()
    (tmp_path / "set" / "deeper").mkdir()
    (tmp_path / "set" / "deeper" / "e.png").touch()
    found = find_images(tmp_path, ["set"], 2)
    assert [file.name for file in found.training + found.validation] == ["b.png", "d.webp"]


def test_too_few_images_to_hold_one_out_are_refused(tmp_path: Path) -> None:
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "a.png").touch()
    with pytest.raises(FileNotFoundError, match="1 images are too few to hold one in 13 out"):
        find_images(tmp_path, ["set"], 13)


@pytest.mark.parametrize("name", ["absent", "empty"])
def test_a_set_without_images_is_named(tmp_path: Path, name: str) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(FileNotFoundError, match=f"no lossless images in .*{name}"):
        find_images(tmp_path, [name], 4)


def test_patches_are_cut_from_the_images(tmp_path: Path) -> None:
    pixels = synthetic(40, 56)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    squeezed = np.round(pixels * (219 / 255) + 16).astype(np.uint8)
    places = {
        version[y : y + 16, x : x + 16][:, ::flip].tobytes()
        for source in (pixels, squeezed)
        for turn in range(4)
        for version in [np.rot90(source, turn)]
        for flip in (1, -1)
        for y in range(version.shape[0] - 15)
        for x in range(version.shape[1] - 15)
    }
    source, rng = PatchSource([tmp_path / "a.png"], 16), np.random.default_rng(0)
    drawn = [source.draw(rng) for _ in range(50)]
    assert {patch.shape for patch in drawn} == {(16, 16, 3)}
    assert all(patch.flags.c_contiguous and patch.tobytes() in places for patch in drawn)
    assert len({patch.tobytes() for patch in drawn}) > 40


def test_draws_depend_on_the_seed_alone(data: Path) -> None:
    files = find_images(data, ["meadows"], 4).training
    one, other = (PatchSource(files, 32).draw(np.random.default_rng(7)) for _ in range(2))
    np.testing.assert_array_equal(one, other)
    third = PatchSource(files, 32).draw(np.random.default_rng(8))
    assert not np.array_equal(one, third)


def test_large_photographs_are_offered_smaller_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(images, "REDUCED_ABOVE_PX", 1000)
    photograph = Image.fromarray(synthetic(60, 60))
    photograph.save(tmp_path / "a.png")
    for factor in (2, 3):  # a patch as large as the reduced image is that image, at times
        source, rng = PatchSource([tmp_path / "a.png"], 60 // factor), np.random.default_rng(0)
        drawn = {source.draw(rng).tobytes() for _ in range(60)}
        assert np.asarray(photograph.reduce(factor)).tobytes() in drawn


def test_images_smaller_than_a_patch_are_left_out(tmp_path: Path) -> None:
    for name, size in (("small", 16), ("large", 40)):
        Image.fromarray(synthetic(size, size)).save(tmp_path / f"{name}.png")
    PatchSource([tmp_path / "small.png", tmp_path / "large.png"], 32).draw(np.random.default_rng(0))
    with pytest.raises(ValueError, match="no image is as large as a patch"):
        PatchSource([tmp_path / "small.png"], 32)


@pytest.mark.parametrize("kept", [0, 20, 400])
def test_a_broken_image_is_named(tmp_path: Path, kept: int) -> None:
    Image.fromarray(synthetic(40, 40)).save(tmp_path / "whole.png")
    (tmp_path / "broken.png").write_bytes((tmp_path / "whole.png").read_bytes()[:kept])
    with pytest.raises(UsageError, match=r"broken\.png cannot be read: "):
        PatchSource([tmp_path / "whole.png", tmp_path / "broken.png"], 16)


def test_grey_files_become_rgb(tmp_path: Path) -> None:
    Image.fromarray(synthetic(9, 7, 1)).save(tmp_path / "grey.png")
    assert load_rgb(tmp_path / "grey.png").shape == (9, 7, 3)
