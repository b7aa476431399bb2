"""A run's report as one page: tables and charts, nothing from elsewhere, light and dark."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from html import escape
from importlib import resources
from typing import Any

from jpegrt.runtime.bench.cases import FILE, RESTORE
from jpegrt.runtime.bench.charts import Bar, Labelled, Point, Series, lines, scatter, stacked_bars
from jpegrt.runtime.bench.figures import QUALITY
from jpegrt.runtime.bench.report_markdown import (
    clock_line,
    contender_cells,
    number,
    sampling_name,
    side_line,
    threads_text,
    verdict,
)
from jpegrt.runtime.bench.stages import ON_A_DEVICE, STAGES, TOLERANCE

Report = Mapping[str, Any]
Rows = Sequence[Mapping[str, Any]]


def page(report: Report) -> str:
    """The whole HTML document."""
    style = (resources.files("jpegrt.runtime") / "bench" / "report.css").read_text()
    sections = [
        _heading(report),
        *(section(report) for section in _SECTIONS),
    ]
    body = "\n".join(part for part in sections if part)
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>jpegrt bench, {escape(report['date'])}</title>\n<style>\n{style}</style>\n"
        f"</head>\n<body>\n{body}\n</body>\n</html>\n"
    )


def _heading(report: Report) -> str:
    kind = "good" if report["valid"] else "bad"
    quality = report["side"]["quality"]
    boxes = [
        (
            f"{number(row['ratio']['median'])} x",
            (
                f"a plain decode: {row['name']}, quality {quality}, "
                f"{sampling_name(row['subsampling'])}"
            ),
        )
        for row in _of_kind(report["rows"], RESTORE)
        if (row["quality"], row["subsampling"]) == (quality, report["side"]["subsampling"])
    ]
    warned = escape("; ".join(report["warnings"]))
    warnings = f'<p class="soft">Take care: {warned}.</p>\n' if warned else ""
    shown = "".join(f"<div><b>{escape(b)}</b><span>{escape(s)}</span></div>" for b, s in boxes)
    return (
        "<h1>What restoring a JPEG costs</h1>\n"
        f'<p class="soft">jpegrt bench, {escape(report["date"])}: {escape(str(report["label"]))}, '
        f"{threads_text(report['plan']['threads'][-1])}, {report['plan']['rounds']} rounds, "
        f"{report['minutes']:.1f} minutes</p>\n"
        f'<p class="verdict {kind}">{escape(verdict(report))}</p>\n{warnings}'
        f'<div class="headline">{shown}</div>'
    )


def _ratios(report: Report) -> str:
    parts = []
    for subsampling in report["plan"]["subsamplings"]:
        rows = [r for r in _of_kind(report["rows"], RESTORE) if r["subsampling"] == subsampling]
        series = [
            Series(
                name,
                [
                    Point(
                        row["quality"],
                        row["ratio"]["median"],
                        row["ratio"]["low"],
                        row["ratio"]["high"],
                    )
                    for row in rows
                    if row["name"] == name
                ],
                colour,
            )
            for colour, name in enumerate(_once(row["name"] for row in rows))
        ]
        title = f"time over plain decode, {sampling_name(subsampling)}"
        parts.append(
            lines(
                title,
                series,
                "libjpeg quality factor",
                title,
                logarithmic_y=True,
                every_x=True,
                reference=(1.0, "a plain decode"),
            )
        )
    return _section(
        "Over a plain decode",
        "The time of a whole restore, bytes to pixels, over that of libjpeg's plain decode of the "
        "same bytes, both in this process and in the same rounds: the median over rounds, with the "
        "bootstrap interval of 95 %. The better the quality, the longer the plain decode takes.",
        *parts,
    )


def _stage_bars(report: Report) -> str:
    stages = [stage for stage in STAGES if stage not in ON_A_DEVICE]
    side = report["side"]
    rows = [
        row
        for row in _of_kind(report["rows"], FILE)
        if (row["quality"], row["subsampling"]) == (side["quality"], side["subsampling"])
    ]
    bars = [
        Bar(
            row["setup"],
            [row["stages_ms"][stage] for stage in stages],
            f"{number(row['whole_ms'])} ms, stages add up to {row['stages_over_whole']:.1%}",
        )
        for row in rows
    ]
    values = [
        [row["setup"], *(number(row["stages_ms"][s]) for s in stages), number(row["whole_ms"])]
        for row in rows
    ]
    return _section(
        "Where the time goes",
        f"From a file to a PNG file, quality {side['quality']}, "
        f"{sampling_name(side['subsampling'])}: the shares of the stages, and their milliseconds. "
        f"They have to add up to the whole within {TOLERANCE:.0%}. On the CPU nothing is packed and "
        "nothing uploaded.",
        stacked_bars("stages of a restore", bars, stages),
        _table(["ms", *stages, "whole"], values),
    )


def _quality_and_cost(report: Report) -> str:
    models = [model for model in report["models"] if model["live1_gain_db"] is not None]
    of_model = {model["model"]: model for model in models}
    ours = [
        Labelled(name, model["multiply_adds_per_px"], model["live1_gain_db"])
        for name, model in of_model.items()
    ]
    others = [
        Labelled(p["name"], p["multiply_adds_per_px"], p["gain_db"], published=True)
        for p in report["published"]
    ]
    gain = f"PSNR gain on LIVE1, quality {QUALITY}, dB"
    charts = [
        scatter("quality against multiply-adds", [*ours, *others], "multiply-adds a pixel", gain)
    ]
    side = report["side"]
    timed = [
        Labelled(model["name"], row["ms_per_megapixel"], model["live1_gain_db"])
        for model in models
        for row in report["rows"]
        if row["name"] == model["name"]
        and (row["quality"], row["subsampling"]) == (side["quality"], side["subsampling"])
    ]
    if timed:
        charts.append(
            scatter("quality against time", timed, "milliseconds a megapixel, measured here", gain)
        )
    notes = [f"{p['name']}: {p['note']}" for p in report["published"]]
    return _section(
        "Quality against cost",
        "Filled: models measured here, whose gain is their manifest's. Hollow: networks as their "
        "papers have them; their multiply-adds are counted from their layers, and they were not "
        "timed here. Up and to the left is better.",
        *charts,
        f'<p class="soft">{escape("; ".join(notes))}.</p>',
    )


def _throughput(report: Report) -> str:
    several = len(report["throughput"]) > 1
    series = []
    for colour, (name, rows) in enumerate(report["throughput"].items()):
        for dashed, threads in enumerate(_once(row["threads"] for row in rows)):
            points = [Point(r["batch"], r["images_per_s"]) for r in rows if r["threads"] == threads]
            of = threads_text(threads)
            series.append(Series(f"{name}, {of}" if several else of, points, colour, dashed))
    return _section(
        "Throughput",
        f"Images a second against the number of images that are handed over at once, "
        f"{side_line(report)}. A batch is restored in parallel, an image on each thread; a single "
        "image has all threads.",
        lines(
            "throughput",
            series,
            "images handed over at once",
            "images a second",
            every_x=True,
            logarithmic_y=several,
        ),
    )


def _sizes(report: Report) -> str:
    if not report["sizes"]:
        return ""
    series = [
        Series(name, [Point(row["megapixels"], row["restore_ms"]) for row in rows], colour)
        for colour, (name, rows) in enumerate(report["sizes"].items())
    ]
    rows = next(iter(report["sizes"].values()))
    decodes = [Point(row["megapixels"], row["plain_decode_ms"]) for row in rows]
    plain = Series("plain decode", decodes, len(series))
    values = [
        [
            name,
            number(row["megapixels"]),
            number(row["restore_ms"]),
            number(row["restore_ms"] / row["megapixels"]),
            number(row["restore_ms"] / row["plain_decode_ms"]),
            number(row["peak_mib"]),
        ]
        for name, of_size in report["sizes"].items()
        for row in of_size
    ]
    return _section(
        "Against image size",
        "A whole restore, bytes to pixels. Dashed: proportional to the pixels, through the largest "
        "image. A line that lies on it costs the same a pixel at every size. The peak is the memory of a "
        "process that restores the image once.",
        lines(
            "latency against size",
            [*series, plain],
            "megapixels",
            "milliseconds",
            logarithmic_x=True,
            logarithmic_y=True,
            proportional=True,
        ),
        _table(
            ["", "megapixels", "restore, ms", "ms a megapixel", "x plain decode", "peak, MiB"],
            values,
        ),
    )


def _contenders(report: Report) -> str:
    joules = any("joules_per_megapixel" in row for row in report["rows"])
    parts = []
    for quality, subsampling in _once((r["quality"], r["subsampling"]) for r in report["rows"]):
        rows = [
            row
            for row in report["rows"]
            if (row["quality"], row["subsampling"]) == (quality, subsampling)
        ]
        values = [[*contender_cells(row), *([_joules(row)] if joules else [])] for row in rows]
        header = ["", "p50, ms", "p90", "p99", "first", "images / s"]
        header += ["over plain decode", "over by hand", "times fp32's speed", "gain, dB"]
        header += ["J / megapixel"] if joules else []
        own = [row["kind"] == RESTORE for row in rows]
        parts.append(f"<h3>Quality {quality}, {escape(sampling_name(subsampling))}</h3>")
        parts.append(_table(header, values, own))
    return _section(
        "Everything that was timed",
        "Percentiles over all calls; the first call, which loads and compiles, apart. The interval "
        "of 95 % is that of the median ratio; a range of images is given where there are several. By "
        "hand: the engine alone, driven by its own API, on the tensor that the restore gives it.",
        *parts,
    )


def _cold_starts(report: Report) -> str:
    starts = [(model["name"], model["cold_start"]) for model in report["models"]]
    values = [
        [
            name,
            *(number(start[f"{key}_ms"]) for key in ("imported", "opened", "first", "warm")),
            number(start["peak_mib"]),
        ]
        for name, start in [*starts, ("no model", report["plain_decoder"])]
    ]
    header = ["since the process began", "loaded, ms", "session made, ms", "first image, ms"]
    return _section(
        "Cold start and memory",
        f"A new process that restores one image, {side_line(report)}: when each step is done, what an "
        "image takes after some, and the most memory that it had.",
        _table([*header, "a warm image, ms", "peak, MiB"], values),
    )


def _method(report: Report) -> str:
    machine, plan, control = report["machine"], report["plan"], report["control"]
    decoders, versions = report["decoders"], report["versions"]
    facts = [
        (
            f"{machine['cpu']} ({machine['architecture']}), {machine['usable_cpus']} of "
            f"{machine['cpus']} CPUs usable, {machine['memory_gib']} GiB, {machine['system']}"
        ),
        f"instructions: {', '.join(machine['simd']) or 'not told'}",
        (
            f"clock: governor {machine['governor'] or 'not told'}; {clock_line(machine['clock'])}; load "
            f"before the run {machine['load_average']}"
        ),
        (
            f"decoders: jpegrt and the plain decode use {decoders['jpegrt']}, Pillow brings "
            f"{decoders['pillow']}"
        ),
        f"energy: {report['energy'] or 'no counter that this user may read'}",
        "; ".join(f"{name} {version}" for name, version in versions.items()),
        (
            f"{plan['rounds']} rounds, the order drawn anew in each; at least {plan['seconds']:g} s or "
            "one call of each contender a round; ratios are of one round's blocks"
        ),
        (
            f"A/A control: a plain decode under two names, {control['ratio']:.4f}; the interval of "
            f"{control['level']:.0%} over the whole run is {control['interval'][0]:.4f} to "
            f"{control['interval'][1]:.4f}, and has to hold 1"
        ),
        (
            "answers are checked before they are timed: plain decodes are equal to the bit, a model's "
            "pixels near those of its fp32, an engine driven by hand gives the restore's own tensor"
        ),
    ]
    parts = [_list(facts)]
    if report["left_out"]:
        parts += ["<h3>Left out</h3>", _list(report["left_out"])]
    return _section("Machine and method", "", *parts)


_SECTIONS: Sequence[Callable[[Report], str]] = (
    _ratios,
    _stage_bars,
    _quality_and_cost,
    _throughput,
    _sizes,
    _cold_starts,
    _contenders,
    _method,
)


def _section(title: str, text: str, *parts: str) -> str:
    paragraph = f"<p>{escape(text)}</p>\n" if text else ""
    return f"<h2>{escape(title)}</h2>\n{paragraph}" + "\n".join(parts)


def _table(header: Sequence[str], rows: Sequence[Sequence[str]], own: Sequence[bool] = ()) -> str:
    """own: which rows are those of restores, and stand out."""
    head = "".join(f"<th>{escape(name)}</th>" for name in header)
    marked = own or [False] * len(rows)
    body = "".join(
        f"<tr{' class=own' if mark else ''}>"
        + "".join(f"<td>{escape(cell)}</td>" for cell in row)
        + "</tr>\n"
        for row, mark in zip(rows, marked, strict=True)
    )
    return (
        f'<div class="scroll"><table><thead><tr>{head}</tr></thead>\n'
        f"<tbody>\n{body}</tbody></table></div>"
    )


def _list(items: Iterable[str]) -> str:
    return f'<ul class="plain">{"".join(f"<li>{escape(item)}</li>" for item in items)}</ul>'


def _of_kind(rows: Rows, kind: str) -> list[Mapping[str, Any]]:
    return [row for row in rows if row["kind"] == kind]


def _once(values: Iterable[Any]) -> list[Any]:
    return list(dict.fromkeys(values))


def _joules(row: Mapping[str, Any]) -> str:
    return number(row["joules_per_megapixel"]) if "joules_per_megapixel" in row else ""
