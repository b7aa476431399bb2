"""Patches for networks that take pixels: what they are degraded by, and how they are batched."""

import io
from collections import Counter
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from tests.kernels.images import synthetic
from tests.training.photographs import write_photographs

from jpegrt.runtime.resize import enlarge, reduce
from jpegrt.training.images import PatchSource, find_images, load_rgb
from jpegrt.training.pixel_batches import PixelBatch, PixelBatches, components_of, source_px
from jpegrt.training.pixel_degradation import WEBP, Compression, PixelDegradation, degrade
from jpegrt.training.pixel_validation import PixelValidation, cases_of

MIXED = PixelDegradation(scales=(1, 2, 3, 4), uncompressed=0.3)
RGB = PixelDegradation(scales=(3,), samplings=("444", "420"))


@pytest.fixture(scope="module")
def source(data: Path) -> PatchSource:
    return PatchSource(find_images(data, ["meadows"], 4).training, source_px(32, (1, 2, 3, 4)))


def batches(
    source: PatchSource, degradation: PixelDegradation = MIXED, **options: Any
) -> PixelBatches:
    defaults = {"components": 1, "enlarged": True, "patch_px": 32, "seed": 0, "first_step": 0}
    return PixelBatches(source, degradation, batch=3, **{**defaults, **options})


def same(one: PixelBatch, other: PixelBatch) -> bool:
    return torch.equal(one.image, other.image) and torch.equal(one.high, other.high)


def test_degrading_is_reducing_and_then_compressing() -> None:
    patch = synthetic(36, 48, 1)
    found = degrade(patch, 3, Compression(40, "grey"))
    clean = np.clip(np.round(reduce(patch, 3)), 0, 255).astype(np.uint8)
    assert np.array_equal(found.clean, clean)
    buffer = io.BytesIO()
    Image.fromarray(clean).save(buffer, "JPEG", quality=40)
    assert np.array_equal(found.compressed, np.asarray(Image.open(buffer)))
    assert not np.array_equal(found.compressed, clean)


def test_colour_is_subsampled_as_told() -> None:
    patch = synthetic(32, 32, 3)
    full, half = (degrade(patch, 1, Compression(60, sampling)) for sampling in ("444", "420"))
    assert full.compressed.shape == (32, 32, 3)
    errors = [np.square(found.compressed.astype(float) - patch).mean() for found in (full, half)]
    assert 0 < errors[0] < errors[1]


def test_without_compression_nothing_but_the_size_changes() -> None:
    patch = synthetic(16, 16, 1)
    found = degrade(patch, 2, None)
    assert np.array_equal(found.clean, found.compressed)
    assert np.array_equal(degrade(patch, 1, None).compressed, patch)


def test_qualities_are_those_told() -> None:
    rng = np.random.default_rng(0)
    assert drawn(PixelDegradation(quality=(20, 23)), 1, rng) == {20, 21, 22, 23}
    listed = PixelDegradation(qualities=(10, 30), scales=(2,), uncompressed=0.5)
    assert drawn(listed, 2, rng) == {10, 30, None}
    # What is neither reduced nor compressed would teach nothing.
    mixed = PixelDegradation(scales=(1, 2), uncompressed=1.0)
    assert drawn(mixed, 2, rng) == {None}
    assert None not in drawn(mixed, 1, rng)


def drawn(degradation: PixelDegradation, scale: int, rng: np.random.Generator) -> set[int | None]:
    """The qualities of many patches."""
    compressions = (degradation.draw_compression(scale, rng) for _ in range(200))
    return {None if found is None else found.quality for found in compressions}


def test_webp_is_drawn_as_often_as_jpeg() -> None:
    rng = np.random.default_rng(0)
    mixed = PixelDegradation(qualities=(10,), webp_qualities=(5, 40), samplings=("420",))
    found = Counter(mixed.draw_compression(1, rng) for _ in range(300))
    assert set(found) == {Compression(10, "420"), Compression(5, WEBP), Compression(40, WEBP)}
    assert 120 < found[Compression(10, "420")] < 180


def test_webp_is_libwebps() -> None:
    patch = synthetic(32, 48, 3)
    buffer = io.BytesIO()
    Image.fromarray(patch).save(buffer, "WEBP", quality=20)
    expected = np.asarray(Image.open(buffer))
    assert np.array_equal(degrade(patch, 1, Compression(20, WEBP)).compressed, expected)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"webp_qualities": (0,), "samplings": ("420",)}, "webp_qualities must be within"),
        ({"webp_qualities": (20,)}, "WebP has no grey images"),
    ],
)
def test_webp_needs_colours(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        PixelDegradation(**options)


def test_a_skew_favours_low_qualities() -> None:
    rng = np.random.default_rng(0)
    means = [
        np.mean([quality_of(PixelDegradation(quality_skew=skew), rng) for _ in range(500)])
        for skew in (1.0, 2.0)
    ]
    assert means[1] < means[0] - 10


def quality_of(degradation: PixelDegradation, rng: np.random.Generator) -> int:
    compression = degradation.draw_compression(1, rng)
    assert compression is not None
    return compression.quality


def test_enlarged_inputs_have_the_size_of_their_originals(source: PatchSource) -> None:
    batch = next(iter(batches(source)))
    assert batch.image.shape == batch.high.shape == (3, 1, 32, 32)
    assert batch.image.dtype == batch.high.dtype == torch.float32
    assert batch.low is None
    assert -129 / 255 < float(batch.high.min()) < 0 < float(batch.high.max()) < 128 / 255
    assert 0 < float((batch.image - batch.high).abs().mean()) < 20 / 255


def test_enlarged_inputs_are_not_rounded(source: PatchSource) -> None:
    """As at restoration, where the network's graph enlarges."""
    degradation = PixelDegradation(scales=(2,), qualities=(40,))
    batch = next(iter(batches(source, degradation)))
    levels = batch.image * 255 + 128
    assert float((levels - levels.round()).abs().max()) > 0.1
    patch = np.asarray(batch.high[0, 0] * 255 + 128).round().astype(np.uint8)
    expected = enlarge(degrade(patch, 2, Compression(40, "grey")).compressed, 2)
    np.testing.assert_allclose(levels[0, 0], expected, atol=1e-3)


@pytest.mark.parametrize(("components", "degradation"), [(1, PixelDegradation((2,))), (3, RGB)])
def test_small_inputs_come_with_their_clean_ones(
    source: PatchSource, components: int, degradation: PixelDegradation
) -> None:
    (scale,) = degradation.scales
    made = batches(source, degradation, components=components, enlarged=False, patch_px=8 * scale)
    batch = next(iter(made))
    assert batch.high.shape == (3, components, 8 * scale, 8 * scale)
    assert batch.low is not None
    assert batch.image.shape == batch.low.shape == (3, components, 8, 8)
    high = np.asarray(batch.high[0, 0] * 255 + 128, np.float64).round()
    low = np.asarray(batch.low[0, 0] * 255 + 128)
    np.testing.assert_allclose(low, np.clip(np.round(reduce(high, scale)), 0, 255), atol=1e-3)
    assert not torch.equal(batch.image, batch.low)


def test_a_batch_depends_on_the_seed_and_its_number_alone(source: PatchSource) -> None:
    first, again = (list(islice(batches(source), 4)) for _ in range(2))
    assert all(map(same, first, again))
    assert not same(first[0], first[1])
    assert not any(map(same, first, islice(batches(source, seed=1), 4)))
    assert all(map(same, first[2:], islice(batches(source, first_step=2), 2)))


def test_every_scale_finds_a_whole_patch() -> None:
    assert source_px(32, (1,)) == 32
    assert source_px(32, (1, 3)) == 33
    assert source_px(64, (1, 2, 3, 4)) == 66


def test_luma_is_jfifs() -> None:
    rgb = synthetic(5, 7, 3)
    luma = components_of(rgb, 1)
    exact = rgb @ np.array([0.299, 0.587, 0.114])
    assert luma.shape == (5, 7)
    assert np.abs(luma - exact).max() <= 0.51
    assert components_of(rgb, 3) is rgb


@pytest.mark.parametrize(
    ("degradation", "cases"),
    [
        (PixelDegradation(), {"Q10": (1, 10), "Q20": (1, 20), "Q40": (1, 40), "Q75": (1, 75)}),
        (PixelDegradation(qualities=(15, 25)), {"Q15": (1, 15)}),
        (
            PixelDegradation((2, 4), quality=(10, 30), uncompressed=0.2),
            {"x2 Q30": (2, 30), "x2": (2, None), "x4 Q30": (4, 30)},
        ),
        (
            PixelDegradation((3, 1), qualities=(20,), uncompressed=1.0),
            {"Q20": (1, 20), "x3": (3, None)},
        ),
    ],
)
def test_cases_of_validation(
    degradation: PixelDegradation, cases: dict[str, tuple[int, int | None]]
) -> None:
    assert cases_of(degradation) == cases


@pytest.mark.parametrize("enlarged", [True, False])
def test_gains_are_over_bicubic_interpolation(tmp_path: Path, enlarged: bool) -> None:
    """A network that answers with the original gains; bicubic interpolation gains nothing."""
    write_photographs(tmp_path / "set", 2)
    files = sorted((tmp_path / "set").iterdir())
    degradation = PixelDegradation((2,), qualities=(40,), samplings=("444",))
    validation = PixelValidation(
        files,
        degradation,
        lambda network, batch: (None, network(batch.image)),
        components=3,
        enlarged=enlarged,
    )

    class Interpolation(torch.nn.Module):
        def forward(self, image: torch.Tensor) -> torch.Tensor:
            if enlarged:
                return image
            planes = [enlarge(plane.numpy(), 2) for plane in image[0]]
            return torch.from_numpy(np.stack(planes)[None]).float()

    class Brighter(Interpolation):
        def forward(self, image: torch.Tensor) -> torch.Tensor:
            return super().forward(image) + 20 / 255

    assert validation.gains(Interpolation())["x2 Q40"] == pytest.approx(0, abs=1e-4)
    assert validation.gains(Brighter())["x2 Q40"] < -1
    assert load_rgb(files[0]).shape[2] == 3


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"scales": ()}, "scales must be some of"),
        ({"scales": (2, 5)}, r"scales must be some of \(1, 2, 3, 4\), got \(2, 5\)"),
        ({"quality": (50, 10)}, "quality must be a rising pair"),
        ({"qualities": (10, 101)}, "qualities must be within 1 to 100"),
        ({"quality_skew": 0.0}, "quality_skew must be positive"),
        ({"uncompressed": 1.5}, "uncompressed must be from 0 to 1"),
        ({"uncompressed": 0.5}, "not degraded: set it to 0"),
        ({"samplings": ("grey", "444")}, "samplings must be"),
        ({"samplings": ()}, "samplings must be"),
        ({"samplings": ("440",)}, "samplings must be"),
    ],
)
def test_mistakes_are_refused(options: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        PixelDegradation(**options)
