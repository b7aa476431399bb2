"""Recipes: the shipped ones load, and mistakes are refused."""

from pathlib import Path

import pytest
from tests.training.photographs import write_recipe

from jpegrt.training.networks import build_network
from jpegrt.training.recipe import RECIPES, load_recipe, recipe_names

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
    assert recipe.data.patch_px % (8 * 2) == 0  # whole MCUs of every sampling
    assert network.cell_px in (2, 4)
    if recipe.schedule.start_from:
        assert recipe.schedule.start_from in recipe_names()
    assert (recipe.degradation.samplings == ("grey",)) == (recipe.schedule.part == "luma")


@pytest.mark.parametrize("name", recipe_names())
def test_no_recipe_trains_on_a_test_set(name: str) -> None:
    sets = set(load_recipe(name).data.sets)
    for part in {part.lower() for path in sets for part in Path(path).parts}:
        assert part not in TEST_SETS
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
    assert recipe.network["channels"] == 8
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
    ],
)
def test_mistakes_are_refused(tmp_path: Path, old: str, new: str, said: str) -> None:
    path = write_recipe(tmp_path)
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    with pytest.raises(ValueError, match=said):
        load_recipe(path)


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
