"""What a paper published: its tables, and how their figures were made, from the paper's TOML file.

A row's `cells` are the paper's own, one for each of the table's methods, in their order: figures of
the table's metrics with strokes between, or "-" where the paper has none.
"""

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from typing import Any

from jpegrt.runtime.errors import UsageError
from jpegrt.runtime.papers import CODECS, PAPERS
from jpegrt.runtime.papers.protocol import Compression, Protocol

METRICS = {"psnr_db": "PSNR", "ssim": "SSIM", "psnr_b_db": "PSNR-B"}

Figures = Mapping[str, float]  # by names of METRICS


@dataclass(frozen=True)
class Row:
    """A line of a published table.

    set: a name in `sets.SETS`; image: one image of it, by name without suffix; None: all.
    compressions: what the figures are the mean over; mostly one.
    published: by method; a method without figures in this row is left out.
    """

    set: str
    image: str | None
    scale: int
    compressions: tuple[Compression, ...]
    published: Mapping[str, Figures]

    @property
    def compression(self) -> str:
        """Such as "JPEG 10", or "none"."""
        if len(self.compressions) == 1:
            return str(self.compressions[0])
        return f"all {len(self.compressions)}"


@dataclass(frozen=True)
class Table:
    """A published table, as far as it can be computed with the sets there are.

    methods: its columns. baseline: the one that is JPEG or bicubic interpolation, None if the
        paper has none. own: those of the paper's own networks.
    protocols: how the figures were made; several where the paper does not say.
    note: why our baseline differs, where it does and the reason is known.
    """

    name: str
    about: str
    metrics: tuple[str, ...]
    methods: tuple[str, ...]
    baseline: str | None
    own: tuple[str, ...]
    protocols: tuple[Protocol, ...]
    note: str
    rows: tuple[Row, ...]


@dataclass(frozen=True)
class LeftOut:
    """Something that the paper published and that is not computed."""

    what: str
    why: str


@dataclass(frozen=True)
class Paper:
    """A paper.

    networks: what its bundles are called but for their scale (`bundle.name_of_scale`); the first
        that is there is measured. recipe: what trains the first.
    """

    name: str
    title: str
    authors: str
    networks: tuple[str, ...]
    recipe: str
    tables: tuple[Table, ...]
    left_out: tuple[LeftOut, ...]


def load_paper(name: str) -> Paper:
    """Raises UsageError if there is none of that name."""
    if name not in PAPERS:
        raise UsageError(f"unknown paper {name}: choose one of {', '.join(PAPERS)}")
    file = resources.files("jpegrt.runtime") / "papers" / f"{name}.toml"
    content = tomllib.loads(file.read_text())
    return Paper(
        name,
        content["title"],
        content["authors"],
        tuple(content["networks"]),
        content["recipe"],
        tuple(_table(table) for table in content["tables"]),
        tuple(LeftOut(**left_out) for left_out in content["left_out"]),
    )


def _table(content: Mapping[str, Any]) -> Table:
    metrics, methods = tuple(content["metrics"]), tuple(content["methods"])
    return Table(
        content["name"],
        content["about"],
        metrics,
        methods,
        content.get("baseline"),
        tuple(content["own"]),
        tuple(Protocol(**protocol) for protocol in content["protocols"]),
        content.get("note", ""),
        tuple(_row(row, methods, metrics) for row in content["rows"]),
    )


def _row(content: Mapping[str, Any], methods: Sequence[str], metrics: Sequence[str]) -> Row:
    compressions = [
        Compression(codec, quality)
        for codec in CODECS
        for quality in _as_list(content.get(codec.lower(), []))
    ]
    published = {}
    for method, cell in zip(methods, content["cells"].split(), strict=True):
        if cell != "-":
            figures = [float(figure) for figure in cell.split("/")]
            published[method] = dict(zip(metrics, figures, strict=True))
    return Row(
        content["set"],
        content.get("image"),
        content.get("scale", 1),
        tuple(compressions) or (Compression(None),),
        published,
    )


def _as_list(value: int | list[int]) -> list[int]:
    return value if isinstance(value, list) else [value]
