"""Every shipped recipe trains, and goes on after a stop, in small: its own data rules, losses and
schedule, on images the tests make, with a network of the same kind and few channels."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.training.test_loop import assert_equal, checkpoint

from jpegrt.training.loop import Training
from jpegrt.training.pixel_degradation import PixelDegradation
from jpegrt.training.recipe import Recipe, load_recipe, recipe_names

SMALL: dict[str, dict[str, Any]] = {
    "cellnet": {"channels": 16, "blocks": 1, "chroma_channels": 16, "chroma_blocks": 1},
    "hrcnn": {},
    "jscnn": {"channels": 16, "units": 1},
    "carsr": {"car_channels": 16, "car_layers": 1, "channels": 16, "blocks": 1},
    "cjpgsr": {"channels": 16, "groups": 1},
    "cisr": {"channels": 16, "groups": 1, "blocks": 1, "unfoldings": 2},
}


def small(name: str, steps: int) -> Recipe:
    recipe = load_recipe(name)
    patch_px = 32
    if isinstance(recipe.degradation, PixelDegradation) and len(recipe.degradation.scales) == 1:
        patch_px = 16 * recipe.degradation.scales[0]
    return replace(
        recipe,
        network={**recipe.network, **SMALL[recipe.network["architecture"]]},
        data=replace(
            recipe.data, sets=("meadows", "streets"), patch_px=patch_px, validation_every=4
        ),
        schedule=replace(
            recipe.schedule, start_from="", steps=steps, batch=2, warmup_steps=1, ema=0.9
        ),
    )


@pytest.mark.parametrize("name", recipe_names())
def test_its_loss_falls(data: Path, tmp_path: Path, name: str) -> None:
    training = Training(small(name, 30), data, tmp_path, resume=False)
    batch = next(iter(training._loader.dataset))
    losses = [float(training._train_on(batch)) for _ in range(30)]
    assert min(losses[-3:]) < losses[0]


@pytest.mark.parametrize("name", recipe_names())
def test_a_resumed_run_equals_an_unbroken_one(data: Path, tmp_path: Path, name: str) -> None:
    recipe = small(name, 4)
    unbroken, broken = tmp_path / "unbroken", tmp_path / "broken"
    whole = Training(recipe, data, unbroken, resume=False).run()
    first = Training(recipe, data, broken, resume=False)
    batches = iter(first._loader.dataset)
    for _ in range(2):
        first._train_on(next(batches))
    first._save_checkpoint()
    resumed = Training(recipe, data, broken, resume=True).run()
    assert_equal(
        {**checkpoint(unbroken, recipe), "seconds": 0}, {**checkpoint(broken, recipe), "seconds": 0}
    )
    assert whole.read_bytes() == resumed.read_bytes()
