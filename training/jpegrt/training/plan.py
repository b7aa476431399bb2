"""Every recipe in one go: in which order, and for which share of the time."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from jpegrt.training.recipe import load_recipe

# In order of value: the shipped models first, what is trained for comparison last.
SHARES: Mapping[str, float] = {
    "cellnet": 14,
    "cellnet-colour": 10,
    "cellnet-small-start": 8,
    "cellnet-small": 8,
    "cellnet-large": 20,
    "cellnet-large-colour": 12,
    "jscnn-best": 12,
    "hrcnn-best-start": 4,
    "hrcnn-best": 4,
    "carsr-best-car": 3,
    "carsr-best-sr": 4,
    "carsr-best": 5,
    "cjpgsr-best": 8,
    "cisr-tiny-best-once": 6,
    "cisr-tiny-best": 4,
    "cisr-full-best": 14,
}
# Of recipes that are not listed; they come after those, papers' own at the very end.
OTHER_SHARE = 6
PAPER_SHARE = 2


@dataclass(frozen=True)
class Part:
    """A recipe's part of the plan."""

    recipe: str
    minutes: float


def plan(recipes: Iterable[str], minutes: float) -> list[Part]:
    """The package's recipes that are named, in order of value, but each after what it starts from."""
    named = sorted(recipes, key=_value)
    ordered: list[str] = []

    def add(recipe: str) -> None:
        if recipe in named and recipe not in ordered:
            add(load_recipe(recipe).schedule.start_from)
            ordered.append(recipe)

    for recipe in named:
        add(recipe)
    total = sum(map(_share, ordered))
    return [Part(recipe, minutes * _share(recipe) / total) for recipe in ordered]


def _share(recipe: str) -> float:
    return SHARES.get(recipe, PAPER_SHARE if _of_a_paper(recipe) else OTHER_SHARE)


def _value(recipe: str) -> tuple[int, str]:
    listed = list(SHARES)
    if recipe in listed:
        return listed.index(recipe), recipe
    return len(listed) + _of_a_paper(recipe), recipe


def _of_a_paper(recipe: str) -> bool:
    return "paper" in recipe.split("-")
