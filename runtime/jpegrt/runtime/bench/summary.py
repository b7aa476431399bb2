"""What the report says of a contender: over all images of a quality and a sampling."""

from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import Any

import numpy as np

from jpegrt.runtime.bench.cases import HAND, RESTORE, CaseResult, Entry
from jpegrt.runtime.bench.rounds import Samples
from jpegrt.runtime.bench.stages import TOLERANCE, sum_over_whole
from jpegrt.runtime.bench.statistics import latency_ms, medians, ratio

Row = dict[str, Any]


def summarise(results: Sequence[CaseResult]) -> list[Row]:
    """A row for each contender, quality and sampling."""
    rows = []
    for (subsampling, quality), group in groupby(
        results, key=lambda result: (result.case.subsampling, result.case.quality)
    ):
        images = list(group)
        for entry in images[0].entries:
            row = _row(entry.contender.name, images)
            rows.append({**row, "quality": quality, "subsampling": subsampling})
    return rows


def _row(name: str, results: Sequence[CaseResult]) -> Row:
    """Of images that all have this contender."""
    entries = [_entry(result, name) for result in results]
    samples = [result.samples[name] for result in results]
    merged = Samples(
        first_s=samples[0].first_s, calls_s=[call for each in samples for call in each.calls_s]
    )
    per_image = [float(np.median(each.calls_s)) for each in samples]
    megapixels = [result.case.megapixels for result in results]
    row: Row = {
        "name": name,
        "kind": entries[0].kind,
        "setup": entries[0].setup,
        "images": len(results),
        "ratio": ratio([(result.samples[name], result.base) for result in results]).to_json(),
        "latency_ms": latency_ms(merged),
        "images_per_s": round(len(per_image) / sum(per_image), 4),
        "ms_per_megapixel": round(1e3 * sum(per_image) / sum(megapixels), 4),
    }
    gains = [entry.gain_db for entry in entries if entry.gain_db is not None]
    if gains:
        row["gain_db"] = round(float(np.mean(gains)), 4)
    joules = [float(np.median(each.joules)) for each in samples if each.joules]
    if joules:
        row["joules_per_megapixel"] = round(sum(joules) / sum(megapixels), 6)
    if any(each.stages_ms for each in samples):
        row |= _stages(samples)
    if entries[0].kind == RESTORE:
        row |= _over_by_hand(name, results)
    if entries[0].setup:
        row |= _over_fp32(name, entries[0].setup, results)
    return row


def _stages(samples: Sequence[Samples]) -> Row:
    """The middle image's stages, and how they add up over all calls."""
    middle = sorted(samples, key=lambda each: float(np.median(each.calls_s)))[len(samples) // 2]
    sums = [
        sum_over_whole(stages, 1e3 * seconds)
        for each in samples
        for stages, seconds in zip(each.stages_ms, each.calls_s, strict=True)
    ]
    return {
        "stages_ms": {name: round(ms, 4) for name, ms in medians(middle.stages_ms).items()},
        "whole_ms": round(1e3 * float(np.median(middle.calls_s)), 4),
        "stages_over_whole": round(float(np.median(sums)), 4),
    }


def _over_by_hand(name: str, results: Sequence[CaseResult]) -> Row:
    """A restore over its engine driven by hand on the same tensor."""
    hand = f"{name}, {HAND}"
    if not all(hand in result.samples for result in results):
        return {}
    pairs = [(result.samples[name], result.samples[hand]) for result in results]
    return {"over_by_hand": ratio(pairs).to_json()}


def _over_fp32(name: str, setup: str, results: Sequence[CaseResult]) -> Row:
    """How many times as fast as the same in fp32, of another precision that was timed beside it."""
    model, precision, engine = setup.rsplit(" ", 2)  # as `Setup.name`
    same = name.replace(setup, f"{model} fp32 {engine}")
    if precision == "fp32" or not all(same in result.samples for result in results):
        return {}
    pairs = [(result.samples[same], result.samples[name]) for result in results]
    return {"times_fp32": ratio(pairs).to_json()}


def _entry(result: CaseResult, name: str) -> Entry:
    return next(entry for entry in result.entries if entry.contender.name == name)


def stage_problems(rows: Iterable[Row]) -> list[str]:
    """A sentence for each row whose stages do not add up to its whole."""
    return [
        f"the stages of {row['name']} at quality {row['quality']}, {row['subsampling']}, add up to "
        f"{row['stages_over_whole']:.2f} of the whole"
        for row in rows
        if "stages_over_whole" in row and abs(row["stages_over_whole"] - 1) > TOLERANCE
    ]


def per_image(results: Sequence[CaseResult]) -> list[Row]:
    """What each image took, for those who want to look further."""
    return [
        {
            "picture": result.case.picture,
            "quality": result.case.quality,
            "subsampling": result.case.subsampling,
            "width": result.case.original.shape[1],
            "height": result.case.original.shape[0],
            "bytes": len(result.case.jpeg),
            "contenders": {
                entry.contender.name: {
                    "median_ms": latency_ms(result.samples[entry.contender.name])["p50"],
                    "ratio": ratio([(result.samples[entry.contender.name], result.base)]).to_json(),
                }
                for entry in result.entries
            },
        }
        for result in results
    ]
