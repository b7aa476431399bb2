"""A whole run: what a plan asks for, measured, as the report that is written as JSON."""

import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from jpegrt.runtime.bench import extensions, gpu, peers
from jpegrt.runtime.bench.cases import FIXED_WORK, CaseResult, measure_case
from jpegrt.runtime.bench.cold_start import Process, measure_cold_start
from jpegrt.runtime.bench.control import LEAST_ROUNDS, control
from jpegrt.runtime.bench.energy import find_meter
from jpegrt.runtime.bench.figures import gain_of, load_published
from jpegrt.runtime.bench.machine import (
    ClockReport,
    StolenTime,
    describe_decoders,
    describe_machine,
    describe_versions,
    report_clock,
    warnings_of,
)
from jpegrt.runtime.bench.plan import BY_HAND, TOOLS, Plan
from jpegrt.runtime.bench.report_markdown import threads_text
from jpegrt.runtime.bench.restores import Restores, Setup, find_setups
from jpegrt.runtime.bench.scaling import measure_sizes, measure_throughput
from jpegrt.runtime.bench.summary import per_image, stage_problems, summarise
from jpegrt.runtime.bench.workload import (
    Case,
    Picture,
    cases,
    load_pictures,
    make_case,
    make_size,
)
from jpegrt.runtime.engines import resolve_engine, runs_on_gpu
from jpegrt.runtime.errors import UsageError

FORMAT = 1
_COLD_STARTS = 3

Say = Callable[[str], None]


def run(plan: Plan, pictures: Sequence[Picture], say: Say = lambda _: None) -> dict[str, Any]:
    """Measures, and returns the report. say: gets what is being done.

    Raises UsageError for what there is not, RestoreError for an answer that is wrong.
    """
    if plan.device == "cuda" and (reason := gpu.device_missing()):
        raise UsageError(f"{reason}; --dry-run shows what would be measured on a GPU")
    check_baselines(plan)
    setups, left_out = find_setups(plan.models, plan.precisions, plan.engines, plan.threads[-1])
    started, stolen = time.time(), StolenTime()
    machine = describe_machine()
    meter = find_meter(plan.device)
    restores = [Restores(setup, plan.device) for setup in setups]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        results = [
            measure_case(case, restores, plan, folder, meter, say)
            for case in cases(pictures, plan.qualities, plan.subsamplings)
        ]
        side = make_case(pictures[0], plan.side_quality, plan.subsamplings[0])
        models = [_model(setup, side, plan, folder, say) for setup in setups]
        throughput = {
            setup.name: measure_throughput(
                setup, side, plan.threads, plan.batches, plan.side_rounds, folder, say
            )
            for setup in setups
        }
        none = Process("none", "-", "auto", plan.threads[-1])
        plain = _cold_start(none, side, folder, say)
        sizes = _sizes(restores, pictures[0], plan, folder, say)
    clock = _clock(results, stolen)
    rows = summarise(results)
    checked = control([result.control_pair for result in results])
    warnings = warnings_of(machine["load_average"], machine["usable_cpus"], clock)
    if plan.rounds < LEAST_ROUNDS:
        warnings.append(f"{plan.rounds} rounds are few: the control may fail, or hold, by chance")
    problems = stage_problems(rows)
    if not checked.holds:
        problems.insert(0, "the A/A control does not hold: the interval of its ratio leaves out 1")
    return {
        "format": FORMAT,
        "valid": not problems,
        "problems": problems,
        "warnings": warnings,
        "label": plan.label or machine["cpu"],
        "date": time.strftime("%Y-%m-%d", time.gmtime(started)),
        "minutes": round((time.time() - started) / 60, 2),
        # Not their folders, which are of this machine alone.
        "plan": {**asdict(plan), "models": [setup.bundle.name for setup in setups]},
        "machine": {**machine, "clock": clock.to_json()},
        "decoders": describe_decoders(),
        "versions": describe_versions(),
        "energy": meter.name if meter else None,
        "control": checked.to_json(),
        "models": models,
        "plain_decoder": plain,
        "rows": rows,
        "throughput": throughput,
        "sizes": sizes,
        "side": {
            "picture": side.picture,
            "quality": side.quality,
            "subsampling": side.subsampling,
            "megapixels": round(side.megapixels, 4),
        },
        "published": [network.to_json() for network in load_published()],
        "images": per_image(results),
        "left_out": [*left_out, *waiting(plan)],
    }


def describe(plan: Plan, images: Sequence[Path]) -> str:
    """The plan in words, with nothing measured: a dry run. Raises UsageError as `run` does."""
    setups, left_out = find_setups(plan.models, plan.precisions, plan.engines, plan.threads[-1])
    pictures = load_pictures(images)
    check_baselines(plan)
    gpu_names = [each.name for each in gpu.CONTENDERS if each.installed]
    lines = [
        f"images: {len(pictures)}",
        f"qualities: {', '.join(map(str, plan.qualities))}",
        f"subsampling: {', '.join(plan.subsamplings)}",
        f"rounds: {plan.rounds}, of {plan.seconds:g} s or one call",
        *(f"restore: {setup.name}, {threads_text(setup.threads)}" for setup in setups),
        *(f"baseline: {name}" for name in plan.baselines),
        *(f"on the GPU: {name}" for name in gpu_names if plan.device == "cuda"),
        "left out, or waiting:",
        *(f"  {reason}" for reason in [*left_out, *waiting(plan)]),
    ]
    return "\n".join(lines)


def check_baselines(plan: Plan) -> None:
    """Raises UsageError for one that there is not, or that lacks a package."""
    known = [BY_HAND, TOOLS, *extensions.names()]
    for name in plan.baselines:
        if name not in known:
            raise UsageError(f"unknown baseline {name}: choose of {', '.join(known)}")
        if name not in (BY_HAND, TOOLS):
            extensions.load(name)


def waiting(plan: Plan) -> list[str]:
    """What a run like this leaves out, and why."""
    reasons = []
    if TOOLS in plan.baselines:
        reasons += peers.reasons_against(plan.subsamplings)
    if plan.device == "cuda" and not any(map(runs_on_gpu, map(resolve_engine, plan.engines))):
        reasons.append("whole restores on a GPU: name an engine that runs there with --engine")
    device = gpu.device_missing() if plan.device == "cuda" else "asked for with --device cuda"
    for contender in gpu.CONTENDERS:
        if not contender.installed:
            reasons.append(f"{contender.name}: {contender.package} is not installed")
        elif device:
            reasons.append(f"{contender.name}: waits for a GPU ({device})")
    if find_meter(plan.device) is None:
        reasons.append("energy: no counter that this user may read")
    return reasons


def _model(setup: Setup, case: Case, plan: Plan, folder: Path, say: Say) -> dict[str, Any]:
    manifest = setup.bundle.manifest
    return {
        "name": setup.name,
        "model": setup.bundle.name,
        "precision": setup.precision,
        "engine": setup.engine,
        "threads": setup.threads,
        "parameters": manifest.get("parameters"),
        "multiply_adds_per_px": manifest.get("multiply_adds_per_px"),
        "live1_gain_db": gain_of(manifest),
        "cold_start": _cold_start(setup.process, case, folder, say),
    }


def _cold_start(process: Process, case: Case, folder: Path, say: Say) -> dict[str, float]:
    say(f"{process.model}: starting processes")
    jpeg = folder / "cold.jpg"
    jpeg.write_bytes(case.jpeg)
    return asdict(measure_cold_start(process, jpeg, _COLD_STARTS))


def _sizes(
    restores: Sequence[Restores], picture: Picture, plan: Plan, folder: Path, say: Say
) -> dict[str, list[dict[str, float]]]:
    made = {}
    for megapixels in plan.megapixels:
        case = make_size(picture, megapixels, plan.side_quality, plan.subsamplings[0])
        made[case.original.shape] = case
    sizes = sorted(made.values(), key=lambda case: case.megapixels)
    if not sizes:
        return {}
    return {
        one.setup.name: measure_sizes(one, sizes, plan.side_rounds, folder, say) for one in restores
    }


def _clock(results: Sequence[CaseResult], stolen: StolenTime) -> ClockReport:
    blocks = [block for result in results for block in result.samples[FIXED_WORK].blocks_s]
    return report_clock(blocks, stolen.part())
