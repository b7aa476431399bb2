"""Measures a paper's tables: our baselines and models on the images that the rows name."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol as TypedAs

import numpy as np

from jpegrt.runtime.errors import RestoreError
from jpegrt.runtime.evaluation import Scores
from jpegrt.runtime.papers.protocol import Compression, Pixels, Protocol
from jpegrt.runtime.papers.published import Paper, Row, Table
from jpegrt.runtime.papers.sets import load_image


class Model(TypedAs):
    """What of a Session is needed here."""

    model_name: str
    precision: str
    engine_name: str
    enlargement: int

    def restore(self, source: bytes | Pixels) -> Pixels: ...


@dataclass(frozen=True)
class MeasuredRow:
    """A row's own figures, means over its images and compressions; `model` restored or is None."""

    row: Row
    images: int
    baseline: Scores
    restored: Scores | None
    model: str | None

    @property
    def gain_db(self) -> float | None:
        """PSNR over the baseline's."""
        return self.restored.psnr_db - self.baseline.psnr_db if self.restored else None


@dataclass(frozen=True)
class MeasuredTable:
    """A table by one of its protocols. left_out: rows whose images are not there."""

    table: Table
    protocol: Protocol
    rows: tuple[MeasuredRow, ...]
    left_out: tuple[Row, ...]

    def describe_protocol(self) -> str:
        """For reports, but for SSIM, which few tables have."""
        rows = [row.row for row in self.rows]
        codecs = {c.codec for row in rows for c in row.compressions if c.codec}
        return self.protocol.describe({row.scale for row in rows}, codecs)


@dataclass(frozen=True)
class Task:
    """One image, compressed once, by one protocol."""

    protocol: Protocol
    path: Path
    scale: int
    compression: Compression


@dataclass(frozen=True)
class Plan:
    """What to measure.

    sets: the images of those sets that are there. qualities, codec: rows of these alone; None: all.
    """

    paper: Paper
    sets: Mapping[str, Sequence[Path]]
    qualities: frozenset[int] | None = None
    codec: str | None = None

    def tables(self) -> Iterator[tuple[Table, Protocol]]:
        """Those that have rows to measure."""
        for table in self.paper.tables:
            if any(self.images(row) for row in self.rows(table)):
                for protocol in table.protocols:
                    yield table, protocol

    def rows(self, table: Table) -> list[Row]:
        return [row for row in table.rows if all(map(self._is_asked_for, row.compressions))]

    def _is_asked_for(self, compression: Compression) -> bool:
        return (self.qualities is None or compression.quality in self.qualities) and (
            self.codec in (None, compression.codec)
        )

    def images(self, row: Row) -> list[Path]:
        return [path for path in self.sets.get(row.set, ()) if row.image in (None, path.stem)]

    def tasks(self, row: Row, protocol: Protocol) -> list[Task]:
        return [
            Task(protocol, path, row.scale, compression)
            for compression in row.compressions
            for path in self.images(row)
        ]

    def count(self) -> int:
        """How often an image is measured: rows of several tables share some."""
        return len(
            {
                task
                for table, protocol in self.tables()
                for row in self.rows(table)
                for task in self.tasks(row, protocol)
            }
        )


@dataclass
class Measurement:
    """Carries a plan out. models: by how often they enlarge. step: called after every image."""

    plan: Plan
    models: Mapping[int, Model]
    step: Callable[[], None] = lambda: None
    _done: dict[Task, tuple[Scores, Scores | None]] = field(default_factory=dict)

    def tables(self) -> Iterator[MeasuredTable]:
        """Raises RestoreError when an image cannot be read or restored."""
        for table, protocol in self.plan.tables():
            rows = self.plan.rows(table)
            yield MeasuredTable(
                table,
                protocol,
                tuple(self._measure(row, protocol) for row in rows if self.plan.images(row)),
                tuple(row for row in rows if not self.plan.images(row)),
            )

    def _measure(self, row: Row, protocol: Protocol) -> MeasuredRow:
        results = [self._image(task) for task in self.plan.tasks(row, protocol)]
        model = self.models.get(row.scale)
        return MeasuredRow(
            row,
            len(self.plan.images(row)),
            _mean([baseline for baseline, _ in results]),
            _mean([restored for _, restored in results if restored]) if model else None,
            model.model_name if model else None,
        )

    def _image(self, task: Task) -> tuple[Scores, Scores | None]:
        if task not in self._done:
            original = load_image(task.path)
            what = (original, task.scale, task.compression)
            model = self.models.get(task.scale)
            try:
                restored = task.protocol.score(*what, model.restore) if model else None
                self._done[task] = (task.protocol.baseline(*what), restored)
            except RestoreError as error:
                raise RestoreError(f"{task.path}, {task.compression}: {error}") from error
            self.step()
        return self._done[task]


def _mean(scores: Sequence[Scores]) -> Scores:
    return Scores(
        *(
            float(np.mean(values))
            for values in zip(*((s.psnr_db, s.ssim, s.psnr_b_db) for s in scores), strict=True)
        )
    )
