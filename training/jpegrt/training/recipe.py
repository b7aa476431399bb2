"""A training run's recipe: one TOML file, checked when read."""

import tomllib
from dataclasses import dataclass, fields
from math import inf
from pathlib import Path
from typing import Any, get_args, get_origin, get_type_hints

from jpegrt.training.degradation import Degradation

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
class Schedule:
    """part: which weights are trained, "luma" or "chroma" (the other part is frozen).
    start_from: the recipe whose weights a run begins with (its network may be smaller); none if
        empty.
    minutes: length of the run, which the cosine schedule fills.
    ema: decay of the averaged weights, which are the ones kept.
    """

    part: str
    start_from: str = ""
    minutes: float = 60
    batch: int = 24
    learning_rate: float = 1e-3
    warmup_steps: int = 100
    ema: float = 0.999
    seed: int = 0
    validate_minutes: float = 5

    def __post_init__(self) -> None:
        if self.part not in ("luma", "chroma"):
            raise ValueError(f'part must be "luma" or "chroma", got {self.part!r}')
        for name in ("minutes", "batch", "learning_rate", "warmup_steps", "validate_minutes"):
            if not 0 < getattr(self, name) < inf:
                raise ValueError(f"{name} must be positive, got {getattr(self, name)}")
        if self.seed < 0:
            raise ValueError(f"seed must not be negative, got {self.seed}")
        if not 0 <= self.ema < 1:
            raise ValueError(f"ema must be from 0 to below 1, got {self.ema}")


@dataclass(frozen=True)
class Recipe:
    """network: the arguments of `networks.build_network`."""

    name: str
    network: dict[str, Any]
    data: Data
    degradation: Degradation
    schedule: Schedule

    def __post_init__(self) -> None:
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
    return Recipe(
        file.stem,
        tables["network"],
        _section(Data, tables.get("data", {}), file),
        _section(Degradation, tables.get("degradation", {}), file),
        _section(Schedule, tables.get("schedule", {}), file),
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
