"""Everything that is timed of one JPEG, in one set of rounds."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from jpegrt.kernels.libjpeg import plain_decode
from jpegrt.runtime import metrics
from jpegrt.runtime.bench import extensions, gpu, peers
from jpegrt.runtime.bench.baselines import AGAIN, LIBJPEG, plain_decodes
from jpegrt.runtime.bench.checks import check_near
from jpegrt.runtime.bench.energy import Meter
from jpegrt.runtime.bench.machine import fixed_work
from jpegrt.runtime.bench.plan import BY_HAND, TOOLS, Plan
from jpegrt.runtime.bench.restores import Restores
from jpegrt.runtime.bench.rounds import Contender, Samples, measure, silent
from jpegrt.runtime.bench.workload import Case

FIXED_WORK = "fixed work"

DECODE, RESTORE, FILE, HAND, FRAMEWORK, TOOL = (
    "decode",
    "restore",
    "file to file",
    "by hand",
    "framework",
    "tool",
)


@dataclass(frozen=True)
class Entry:
    """A contender, what kind it is, the setup it belongs to and what it gains over the JPEG."""

    contender: Contender
    kind: str
    setup: str | None = None
    gain_db: float | None = None


@dataclass(frozen=True)
class CaseResult:
    """samples: by contender; that of FIXED_WORK, which is no entry, too."""

    case: Case
    entries: Sequence[Entry]
    samples: dict[str, Samples]

    @property
    def base(self) -> Samples:
        return self.samples[LIBJPEG]

    @property
    def control_pair(self) -> tuple[Samples, Samples]:
        return self.samples[AGAIN], self.base


def measure_case(
    case: Case,
    restores: Sequence[Restores],
    plan: Plan,
    folder: Path,
    meter: Meter | None,
    say: Callable[[str], None],
) -> CaseResult:
    """folder: for files. Raises RestoreError if an answer is wrong."""
    say(f"{case.name}: checking answers")
    entries = list(_entries(case, restores, plan, folder))
    contenders = [entry.contender for entry in entries]
    samples = measure(
        [*contenders, Contender(FIXED_WORK, fixed_work)],
        plan.rounds,
        plan.seconds,
        meter=meter,
        before_round=lambda number: say(f"{case.name}: round {number + 1} of {plan.rounds}"),
    )
    return CaseResult(case, entries, samples)


def _entries(case: Case, restores: Sequence[Restores], plan: Plan, folder: Path) -> Sequence[Entry]:
    decoded = np.empty(case.original.shape, np.uint8)
    plain_decode(case.jpeg, decoded)
    decodes = plain_decodes(case, plan.threads[-1])
    if plan.device == "cuda":
        decodes += gpu.prepare(case, decoded)
    entries = [Entry(contender, DECODE) for contender in decodes]
    prepared: set[tuple[str, str]] = set()
    for one in restores:
        setup = one.setup
        contender, pixels = one.contender(case)
        gain_db = _gain_db(pixels, decoded, case)
        entries.append(Entry(contender, RESTORE, setup.name, gain_db))
        entries.append(Entry(one.file_contender(case, folder), FILE, setup.name))
        if BY_HAND in plan.baselines:
            entries += [Entry(hand, HAND, setup.name) for hand in one.by_hand(case)]
        for name in plan.baselines:
            if name in (BY_HAND, TOOLS) or (name, setup.bundle.name) in prepared:
                continue
            prepared.add((name, setup.bundle.name))
            call = extensions.load(name)(setup.bundle, case, setup.threads, plan.device)
            if call is not None:
                what = f"{setup.bundle.name} {name}"
                check_near(f"{what}, {case.name},", call(), pixels)
                entries.append(Entry(Contender(what, silent(call)), FRAMEWORK, setup.name))
    if TOOLS in plan.baselines:
        for tool in peers.usable(case.subsampling):
            contender, pixels = peers.contender(tool, case, folder, plan.threads[-1])
            entries.append(Entry(contender, TOOL, None, _gain_db(pixels, decoded, case)))
    return entries


def _gain_db(pixels: NDArray[np.uint8], decoded: NDArray[np.uint8], case: Case) -> float | None:
    """Over the JPEG, in PSNR; None for images of another size."""
    if pixels.shape != case.original.shape:
        return None
    before, after = (metrics.psnr(image, case.original) for image in (decoded, pixels))
    return round(after - before, 4) if np.isfinite(after) and np.isfinite(before) else None
