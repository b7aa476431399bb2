"""Recipes: the shipped ones load, and mistakes are refused."""

from pathlib import Path

import pytest
from tests.training.photographs import write_recipe

from jpegrt.training.architectures import ARCHITECTURES
from jpegrt.training.networks import build_network
from jpegrt.training.networks.cellnet import CellNet
from jpegrt.training.recipe import RECIPES, load_recipe, of_scale, recipe_names
from jpegrt.training.tasks import create_task

# What is measured on must not be trained on.
TEST_SETS = {"b100", "bsd68", "classic5", "live1", "live1_gray", "set5", "set14", "test"}
# Permissive licences: the weights of the default models may be used commercially.
PERMISSIVE = {"clic2025", "gb82", "xiph"}


@pytest.mark.parametrize("name", recipe_names())
def test_shipped_recipes_load(name: str) -> None:
    recipe = load_recipe(name)
    assert recipe == load_recipe(RECIPES / f"{name}.toml")
    assert recipe.name == name
    network = build_network(recipe.network)
    create_task(recipe, network)
    assert recipe.data.patch_px % (8 * 2) == 0  # whole MCUs of every sampling
    if recipe.schedule.start_from:
        assert recipe.schedule.start_from in recipe_names()
    if isinstance(network, CellNet):
        assert network.cell_px in (2, 4)
        assert (recipe.degradation.samplings == ("grey",)) == (recipe.schedule.part == "luma")


@pytest.mark.parametrize("name", recipe_names())
def test_no_recipe_trains_on_a_test_set(name: str) -> None:
    sets = set(load_recipe(name).data.sets)
    for part in {part.lower() for path in sets for part in Path(path).parts}:
        assert part not in TEST_SETS
    if "-paper" not in name:  # those train on what the papers did, to compare
        assert sets <= PERMISSIVE


@pytest.mark.parametrize("sets", [["../data/test/live1"], ["/data/xiph"], ["xiph/../../test"]])
def test_sets_are_names_within_the_data_folder(tmp_path: Path, sets: list[str]) -> None:
    """So that the list of names above is all there is to check."""
    path = write_recipe(tmp_path)
    path.write_text(path.read_text().replace('["meadows", "streets"]', repr(sets)))
    with pytest.raises(ValueError, match="sets"):
        load_recipe(path)


def test_values_arrive(tmp_path: Path) -> None:
    recipe = load_recipe(write_recipe(tmp_path, part="chroma", start_from="cellnet"))
    assert recipe.name == "small-chroma"
    assert recipe.network["channels"] == 16
    assert recipe.data.sets == ("meadows", "streets")
    assert recipe.degradation.quality == (10, 80)
    assert recipe.degradation.quality_skew == 1.0  # a default
    assert (recipe.schedule.part, recipe.schedule.start_from) == ("chroma", "cellnet")


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("batch = 4", "bacth = 4", r"unknown keys \['bacth'\]; known: .*'batch'"),
        ("[schedule]", "[shedule]", r"unknown tables \['shedule'\]"),
        ("[network]", "[data2]", r"no \[network\]"),
        ('part = "luma"', 'part = "alpha"', "part must be"),
        ('part = "luma"', "", "part"),
        ("quality = [10, 80]", "quality = [80, 10]", "rising pair"),
        ('["grey"]', '["411"]', "unknown samplings"),
        ("batch = 4", "batch =", "Invalid value"),
        ("batch = 4", "batch = 0", "batch must be positive, got 0"),
        ("batch = 4", "batch = 2.5", "batch = 2.5 has the wrong type"),
        ("batch = 4", "batch = true", "batch = True has the wrong type"),
        ("batch = 4", "minutes = -1", "minutes must be positive"),
        ("batch = 4", "minutes = nan", "minutes must be positive"),
        ("batch = 4", "minutes = inf", "minutes must be positive"),
        ("batch = 4", "seed = -1", "seed must not be negative"),
        ("ema = 0.9", "ema = 1", "ema must be from 0 to below 1"),
        ("warmup_steps = 3", "warmup_steps = 0", "warmup_steps must be positive"),
        ("learning_rate = 5e-3", 'learning_rate = "low"', "learning_rate = 'low' has the wrong"),
        ("patch_px = 32", "patch_px = 40", "patch_px must be a multiple of 16, got 40"),
        ("patch_px = 32", "patch_px = 0", "patch_px must be a multiple of 16, got 0"),
        ("validation_every = 4", "validation_every = 0", "validation_every must be at least 1"),
        ('["meadows", "streets"]', '"meadows"', "sets = 'meadows' has the wrong type"),
        ("quality = [10, 80]", "quality = [10]", r"quality = \[10\] has the wrong type"),
        ("quality = [10, 80]", 'quality = [10, "80"]', "has the wrong type"),
    ],
)
def test_mistakes_are_refused(tmp_path: Path, old: str, new: str, said: str) -> None:
    path = write_recipe(tmp_path)
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    with pytest.raises(ValueError, match=said):
        load_recipe(path)


def test_whole_numbers_are_numbers(tmp_path: Path) -> None:
    path = write_recipe(tmp_path)
    path.write_text(path.read_text().replace("batch = 4", "minutes = 3"))
    assert load_recipe(path).schedule.minutes == 3


def test_grey_images_have_no_chroma_to_train(tmp_path: Path) -> None:
    path = write_recipe(tmp_path, part="chroma")
    path.write_text(path.read_text().replace('"444"', '"grey"'))
    with pytest.raises(ValueError, match='recipe small-chroma: "grey" has no chroma'):
        load_recipe(path)


@pytest.mark.parametrize(
    ("option", "said"),
    [
        ({"chanels": 8}, r"unknown keys \['chanels'\]; known: .*'channels'"),
        ({"channels": "8"}, "channels must be a positive integer, got '8'"),
        ({"blocks": 0}, "blocks must be a positive integer, got 0"),
    ],
)
def test_mistakes_in_networks_are_refused(option: dict[str, object], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        build_network({"architecture": "cellnet", **option})


def test_unknown_networks_are_refused() -> None:
    with pytest.raises(ValueError, match="unknown architecture 'unet': expected one of cellnet"):
        build_network({"architecture": "unet"})


def test_a_missing_recipe_is_refused_with_those_there_are(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="cellnet-large"):
        load_recipe(tmp_path / "none.toml")


def test_a_folder_of_a_recipes_name_is_no_recipe(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "cellnet").mkdir()
    monkeypatch.chdir(tmp_path)
    assert load_recipe("cellnet").name == "cellnet"


@pytest.mark.parametrize("name", ["carsr-best-sr", "cisr-tiny-best", "cjpgsr-paper"])
def test_a_recipe_serves_every_scale_of_its_network(name: str) -> None:
    own = load_recipe(name)
    for scale in ARCHITECTURES[own.network["architecture"]].scales:
        recipe = of_scale(own, scale)
        network = build_network(recipe.network)
        create_task(recipe, network)
        assert network.enlargement == scale
        low_px = [r.data.patch_px // r.degradation.scales[0] for r in (own, recipe)]  # type: ignore[union-attr]
        assert low_px[0] == low_px[1]
        if recipe != own:
            assert recipe.name == f"{name}-x{scale}"
            assert recipe.schedule.start_from in ("", f"{own.schedule.start_from}-x{scale}")
            assert bool(recipe.schedule.start_from) == bool(own.schedule.start_from)


@pytest.mark.parametrize(
    ("name", "scale", "said"),
    [
        ("cjpgsr-best", 3, "cjpgsr has no scale 3: choose one of 2, 4"),
        ("jscnn-best", 2, "jscnn has no scale 2: it has none"),
    ],
)
def test_scales_that_a_network_lacks_are_refused(name: str, scale: int, said: str) -> None:
    with pytest.raises(ValueError, match=f"recipe {name}: {said}"):
        of_scale(load_recipe(name), scale)
