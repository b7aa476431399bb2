"""What was measured beside what was published: as Markdown for people, as JSON for programs."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from jpegrt.runtime.evaluation import Scores, encoder_versions
from jpegrt.runtime.papers.measure import MeasuredRow, MeasuredTable, Model
from jpegrt.runtime.papers.published import METRICS, Figures, Paper, Row

_DIGITS = {"psnr_db": 2, "ssim": 4, "psnr_b_db": 2}
_NOTHING = "-"


@dataclass(frozen=True)
class Subject:
    """What a report is of.

    folder: of the sets; limit: how many images of each were taken, None: all.
    models, missing: what was measured at each scale, or why there is no model.
    """

    paper: Paper
    folder: str
    limit: int | None
    models: Mapping[int, Model]
    missing: Mapping[int, str]


def heading(subject: Subject) -> str:
    """The report's begin: which paper, what is measured and what is missing."""
    paper, models, missing = subject.paper, subject.models, subject.missing
    lines = [f"# {paper.name}: {paper.title} ({paper.authors})", ""]
    if subject.limit:
        lines += [
            f"Images of each set: {subject.limit} at most; the paper's figures are of all.",
            "",
        ]
    for scale, model in sorted(models.items()):
        lines.append(
            f"- x{scale}: {model.model_name}, precision {model.precision}, "
            f"engine {model.engine_name}"
        )
    lines += [f"- x{scale}: the baseline alone. {why}" for scale, why in sorted(missing.items())]
    return "\n".join(lines).rstrip()


def markdown(measured: MeasuredTable) -> str:
    """A table as Markdown, aligned so that a terminal shows it well too."""
    table = measured.table
    metrics = " / ".join(METRICS[metric] for metric in table.metrics)
    protocol = measured.describe_protocol()
    if "ssim" in table.metrics:
        protocol += f"; {measured.protocol.describe_ssim()}"
    lines = [
        f"## {table.name}: {table.about}",
        "",
        f"{metrics}, means over images. Here: {protocol}.",
    ]
    if table.note:
        lines.append(table.note)
    lines += ["", *_aligned(_cells(measured))]
    if measured.left_out:
        rows = ", ".join(_where(row) for row in measured.left_out)
        lines += ["", f"Not computed, since their images are not there: {rows}."]
    return "\n".join(lines)


def closing(paper: Paper) -> str:
    """What of the paper is not computed at all."""
    lines = [f"- {left_out.what}: {left_out.why}" for left_out in paper.left_out]
    return "\n".join(["## Not computed", "", *lines])


def _cells(measured: MeasuredTable) -> list[list[str]]:
    table, rows = measured.table, measured.rows
    restored = any(row.restored for row in rows)
    header = ["images", f"{_baseline_name(rows)}, here"]
    if table.baseline:
        header += ["paper", "difference, dB"]
    if restored:
        header += ["model", "restored, here", "gain, dB"]
    if table.baseline:
        header += [f"{method}'s gain, dB" for method in table.own]
    header += [method for method in table.methods if method != table.baseline]
    cells = [header]
    for row in rows:
        published = row.row.published
        line = [_where(row.row), _scores(row.baseline, table.metrics)]
        paper = published.get(table.baseline or "")
        if table.baseline:
            line.append(_figures(paper, table.metrics))
            line.append(_signed(difference_db(row, table.baseline)))
        if restored:
            line.append(row.model or _NOTHING)
            line.append(_scores(row.restored, table.metrics) if row.restored else _NOTHING)
            line.append(_signed(row.gain_db))
        if table.baseline:
            for method in table.own:
                own = published.get(method)
                line.append(_signed(own["psnr_db"] - paper["psnr_db"] if own and paper else None))
        for method in table.methods:
            if method != table.baseline:
                line.append(_figures(published.get(method), table.metrics))
        cells.append(line)
    return cells


def _baseline_name(rows: Sequence[MeasuredRow]) -> str:
    return "JPEG" if all(row.row.scale == 1 for row in rows) else "bicubic"


def difference_db(row: MeasuredRow, baseline: str | None) -> float | None:
    """Our baseline's PSNR less the paper's; None where the paper has none."""
    paper = row.row.published.get(baseline or "")
    return row.baseline.psnr_db - paper["psnr_db"] if paper else None


def _where(row: Row) -> str:
    parts = [row.set, row.image, f"x{row.scale}" if row.scale > 1 else None]
    if row.compression != "none":
        parts.append(row.compression)
    return " ".join(part for part in parts if part)


def _figures(figures: Figures | None, metrics: Sequence[str]) -> str:
    if not figures:
        return _NOTHING
    return " / ".join(f"{figures[metric]:.{_DIGITS[metric]}f}" for metric in metrics)


def _scores(scores: Scores, metrics: Sequence[str]) -> str:
    return _figures(asdict(scores), metrics)


def _signed(value: float | None) -> str:
    return _NOTHING if value is None else f"{value:+.2f}"


def _aligned(cells: Sequence[Sequence[str]]) -> list[str]:
    # Markdown needs none of the blanks: they are for people who read it as text.
    widths = [max(len(line[i]) for line in cells) for i in range(len(cells[0]))]
    lines = [
        f"| {' | '.join(cell.ljust(width) for cell, width in zip(line, widths, strict=True))} |"
        for line in cells
    ]
    return [lines[0], f"|{'|'.join('-' * (width + 2) for width in widths)}|", *lines[1:]]


def to_json(subject: Subject, tables: Sequence[MeasuredTable]) -> dict[str, Any]:
    """For json.dump; infinite values, which JSON lacks, are None."""
    return {
        "paper": subject.paper.name,
        "title": subject.paper.title,
        "authors": subject.paper.authors,
        "images": subject.folder,
        "limit": subject.limit,
        "versions": encoder_versions(),
        "models": {
            str(scale): {
                "model": model.model_name,
                "precision": model.precision,
                "engine": model.engine_name,
            }
            for scale, model in sorted(subject.models.items())
        },
        "missing_models": {str(scale): why for scale, why in sorted(subject.missing.items())},
        "tables": [_table_to_json(table) for table in tables],
        "left_out": [asdict(left_out) for left_out in subject.paper.left_out],
    }


def _table_to_json(measured: MeasuredTable) -> dict[str, Any]:
    table = measured.table
    return {
        "table": table.name,
        "about": table.about,
        "metrics": list(table.metrics),
        "baseline": table.baseline,
        "own": list(table.own),
        "protocol": f"{measured.describe_protocol()}; {measured.protocol.describe_ssim()}",
        "note": table.note,
        "rows": [_row_to_json(row, table.baseline) for row in measured.rows],
        "left_out": [_where(row) for row in measured.left_out],
    }


def _row_to_json(row: MeasuredRow, baseline: str | None) -> dict[str, Any]:
    return {
        "set": row.row.set,
        "image": row.row.image,
        "images": row.images,
        "scale": row.row.scale,
        "compressions": [
            {"codec": compression.codec, "quality": compression.quality}
            for compression in row.row.compressions
        ],
        "baseline": _scores_to_json(row.baseline),
        "baseline_difference_db": _finite(difference_db(row, baseline)),
        "model": row.model,
        "restored": _scores_to_json(row.restored) if row.restored else None,
        "gain_db": _finite(row.gain_db),
        "published": {method: dict(figures) for method, figures in row.row.published.items()},
    }


def _scores_to_json(scores: Scores) -> dict[str, float | None]:
    return {name: _finite(value) for name, value in asdict(scores).items()}


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None
