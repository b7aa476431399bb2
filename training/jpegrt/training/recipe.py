"""A training run's recipe: one TOML file, checked when read."""

import tomllib
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, get_args, get_origin, get_type_hints

from jpegrt.training.architectures import ARCHITECTURES
from jpegrt.training.degradation import Degradation
from jpegrt.training.pixel_degradation import PixelDegradation
from jpegrt.training.schedule import Schedule

RECIPES = Path(__file__).parent / "recipes"


@dataclass(frozen=True)
class Data:
    """sets: folders of the data folder; validation_every: every n-th image is held out."""

    sets: tuple[str, ...]
    patch_px: int = 96
    validation_every: int = 13

    def __post_init__(self) -> None:
        # Names, not paths: what a recipe trains on is then plain to see, and to check.
        if not self.sets or any(Path(name).name != name for name in self.sets):
            raise ValueError(f"sets must name folders of the data folder, got {self.sets}")
        if self.patch_px < 16 or self.patch_px % 16:  # whole MCUs of every sampling
            raise ValueError(f"patch_px must be a multiple of 16, got {self.patch_px}")
        if self.validation_every < 1:
            raise ValueError(f"validation_every must be at least 1, got {self.validation_every}")


@dataclass(frozen=True)
class Recipe:
    """network: the arguments of `networks.build_network`; degradation is of the kind that the
    architecture takes."""

    name: str
    network: dict[str, Any]
    data: Data
    degradation: Degradation | PixelDegradation
    schedule: Schedule

    def __post_init__(self) -> None:
        architecture = ARCHITECTURES[self.network["architecture"]]
        for name, choices in (("part", architecture.parts), ("loss", architecture.losses)):
            if getattr(self.schedule, name) not in choices:
                raise ValueError(
                    f"recipe {self.name}: {name} must be one of {', '.join(choices)}, "
                    f"got {getattr(self.schedule, name)!r}"
                )
        if self.schedule.part == "chroma" and "grey" in self.degradation.samplings:
            raise ValueError(f'recipe {self.name}: "grey" has no chroma to train, take it out')


def recipe_names() -> list[str]:
    """The package's own recipes."""
    return sorted(file.stem for file in RECIPES.glob("*.toml"))


def load_recipe(path: Path | str) -> Recipe:
    """Reads a recipe file, or one of the package's own by name.

    Raises FileNotFoundError, or ValueError for a key or a value that no recipe may have.
    """
    file = Path(path)
    if not file.is_file() and str(path) in recipe_names():
        file = RECIPES / f"{path}.toml"
    if not file.is_file():
        raise FileNotFoundError(
            f"no recipe {path}: name a TOML file, or one of {', '.join(recipe_names())}"
        )
    tables = tomllib.loads(file.read_text())
    unknown = set(tables) - {"network", "data", "degradation", "schedule"}
    if unknown or "network" not in tables:
        raise ValueError(f"{file}: unknown tables {sorted(unknown)}, or no [network]")
    architecture = tables["network"].get("architecture")
    if architecture not in ARCHITECTURES:
        raise ValueError(
            f"{file}: unknown architecture {architecture!r}: "
            f"expected one of {', '.join(ARCHITECTURES)}"
        )
    return Recipe(
        file.stem,
        tables["network"],
        _section(Data, tables.get("data", {}), file),
        _section(ARCHITECTURES[architecture].degradation, tables.get("degradation", {}), file),
        _section(Schedule, tables.get("schedule", {}), file),
    )


def of_scale(recipe: Recipe, scale: int) -> Recipe:
    """The recipe with its network for another scale: as many pixels to the network, and its own
    name and that of the weights it starts from end in the scale, such as "-x3".

    Raises ValueError for one that the network cannot have.
    """
    architecture = recipe.network["architecture"]
    scales = ARCHITECTURES[architecture].scales
    if scale not in scales:
        choices = f"choose one of {', '.join(map(str, scales))}" if scales else "it has none"
        raise ValueError(f"recipe {recipe.name}: {architecture} has no scale {scale}: {choices}")
    assert isinstance(recipe.degradation, PixelDegradation)
    (own,) = recipe.degradation.scales
    if scale == own:
        return recipe
    start = recipe.schedule.start_from
    return replace(
        recipe,
        name=f"{recipe.name}-x{scale}",
        network={**recipe.network, "scale": scale},
        data=replace(recipe.data, patch_px=recipe.data.patch_px // own * scale),
        degradation=replace(recipe.degradation, scales=(scale,)),
        schedule=replace(recipe.schedule, start_from=start and f"{start}-x{scale}"),
    )


def _section(kind: Any, table: dict[str, Any], file: Path) -> Any:
    known = {field.name for field in fields(kind)}
    if unknown := set(table) - known:
        raise ValueError(f"{file}: unknown keys {sorted(unknown)}; known: {sorted(known)}")
    values = {key: tuple(v) if isinstance(v, list) else v for key, v in table.items()}
    types = get_type_hints(kind)
    for key, value in values.items():
        if not _is_of_type(value, types[key]):
            raise ValueError(f"{file}: {key} = {table[key]!r} has the wrong type")
    try:
        return kind(**values)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{file}: {error}") from error


def _is_of_type(value: object, expected: Any) -> bool:
    """Of the types that sections have: str, int, float (an int will do), and tuples."""
    if get_origin(expected) is tuple:
        if not isinstance(value, tuple):
            return False
        items = get_args(expected)
        if items[-1] is Ellipsis:
            items = items[:1] * len(value)
        return len(value) == len(items) and all(map(_is_of_type, value, items))
    return type(value) is expected or (expected is float and type(value) is int)
