"""A run's report as Markdown tables."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from jpegrt.runtime.bench.cases import FILE
from jpegrt.runtime.bench.stages import ON_A_DEVICE, STAGES

Report = Mapping[str, Any]


def markdown(report: Report) -> str:
    """All tables, with the machine and the verdict first."""
    parts = [f"**{verdict(report)}**"]
    if report["warnings"]:
        parts.append(f"Take care: {'; '.join(report['warnings'])}.")
    parts += [machine_line(report), _contenders(report["rows"])]
    if stages := _stages(report["rows"]):
        parts += ["Milliseconds of each stage, from a file to a PNG file:", stages]
    parts += ["From a process's start, and its memory:", _cold_starts(report)]
    parts += [f"Images a second, {side_line(report)}:", _throughput(report["throughput"])]
    if report["sizes"]:
        parts += ["Latency against image size:", _sizes(report["sizes"])]
    if report["left_out"]:
        parts += ["Left out:", "\n".join(f"- {reason}" for reason in report["left_out"])]
    return "\n\n".join(parts) + "\n"


def verdict(report: Report) -> str:
    """One sentence on whether the figures can be trusted."""
    control = report["control"]
    low, high = control["interval"]
    found = f"the A/A control is {control['ratio']:.3f} ({low:.3f} to {high:.3f})"
    if report["valid"]:
        return f"Valid: {found}, and stages add up."
    return f"Not valid: {'; '.join(report['problems'])}. {found[0].upper()}{found[1:]}."


def machine_line(report: Report) -> str:
    """The machine, its decoders and its load."""
    machine, decoders, versions = report["machine"], report["decoders"], report["versions"]
    engines = [
        f"{name} {versions[name]}" for name in ("openvino", "onnxruntime") if name in versions
    ]
    parts = [
        (
            f"{report['label']}, {machine['usable_cpus']} of {machine['cpus']} CPUs, "
            f"{threads_text(report['plan']['threads'][-1])}"
        ),
        f"instructions {', '.join(machine['simd'])}" if machine["simd"] else "",
        f"jpegrt reads with {decoders['jpegrt']}, Pillow with {decoders['pillow']}",
        ", ".join(engines),
        f"load before {machine['load_average']}",
        clock_line(machine["clock"]),
        report["date"],
    ]
    return "; ".join(part for part in parts if part) + "."


def clock_line(clock: Mapping[str, Any]) -> str:
    line = (
        f"a fixed computation took {clock['fastest']:.2f} to {clock['slowest']:.2f} of its median"
    )
    if clock["stolen"]:
        line += f", {clock['stolen']:.1%} of the time were stolen"
    return line


def side_line(report: Report) -> str:
    """Of what is measured with one image."""
    side = report["side"]
    return (
        f"{side['megapixels']:.2f} megapixels, quality {side['quality']}, "
        f"{sampling_name(side['subsampling'])}"
    )


def threads_text(threads: int) -> str:
    return f"{threads} {'thread' if threads == 1 else 'threads'}"


def sampling_name(subsampling: str) -> str:
    return subsampling if subsampling == "grey" else ":".join(subsampling)


def ratio_text(ratio: Mapping[str, float]) -> str:
    """Such as 76 (74 to 79); with the range where there are several images."""
    text = f"{number(ratio['median'])} ({number(ratio['low'])} to {number(ratio['high'])})"
    if ratio["least"] < ratio["most"]:
        text += f", images {number(ratio['least'])} to {number(ratio['most'])}"
    return text


def number(value: float) -> str:
    """Three significant digits, without an exponent."""
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _contenders(rows: Sequence[Mapping[str, Any]]) -> str:
    return table(
        [
            "quality",
            "what",
            "p50, ms",
            "p90",
            "p99",
            "first call",
            "images a second",
            "time / plain decode",
            "over the engine by hand",
            "times fp32's speed",
            "gain, dB",
        ],
        [
            [
                f"{row['quality']} {sampling_name(row['subsampling'])}",
                *contender_cells(row),
            ]
            for row in rows
        ],
    )


def contender_cells(row: Mapping[str, Any]) -> list[str]:
    """Its name, latencies, throughput, ratios and gain."""
    return [
        row["name"],
        *(number(row["latency_ms"][name]) for name in ("p50", "p90", "p99", "first")),
        number(row["images_per_s"]),
        ratio_text(row["ratio"]),
        *(ratio_text(row[key]) if key in row else "" for key in ("over_by_hand", "times_fp32")),
        f"{row['gain_db']:+.2f}" if "gain_db" in row else "",
    ]


def _stages(rows: Sequence[Mapping[str, Any]]) -> str:
    stages = [stage for stage in STAGES if stage not in ON_A_DEVICE]
    found = [row for row in rows if row["kind"] == FILE]
    if not found:
        return ""
    return table(
        ["quality", "what", *stages, "whole", "sum / whole"],
        [
            [
                f"{row['quality']} {sampling_name(row['subsampling'])}",
                row["setup"],
                *(number(row["stages_ms"][stage]) for stage in stages),
                number(row["whole_ms"]),
                f"{row['stages_over_whole']:.3f}",
            ]
            for row in found
        ],
    )


def _cold_starts(report: Report) -> str:
    starts = [(model["name"], model["cold_start"]) for model in report["models"]]
    return table(
        ["what", "loaded, ms", "session, ms", "first image, ms", "warm, ms", "peak memory, MiB"],
        [
            [
                name,
                *(number(start[f"{key}_ms"]) for key in ("imported", "opened", "first", "warm")),
                number(start["peak_mib"]),
            ]
            for name, start in [*starts, ("no model", report["plain_decoder"])]
        ],
    )


def _throughput(throughput: Mapping[str, Sequence[Mapping[str, float]]]) -> str:
    return table(
        ["what", "threads", "batch", "images a second"],
        [
            [name, str(row["threads"]), str(row["batch"]), number(row["images_per_s"])]
            for name, rows in throughput.items()
            for row in rows
        ],
    )


def _sizes(sizes: Mapping[str, Sequence[Mapping[str, float]]]) -> str:
    return table(
        [
            "what",
            "megapixels",
            "restore, ms",
            "ms a megapixel",
            "plain decode, ms",
            "peak memory, MiB",
        ],
        [
            [
                name,
                number(row["megapixels"]),
                number(row["restore_ms"]),
                number(row["restore_ms"] / row["megapixels"]),
                number(row["plain_decode_ms"]),
                number(row["peak_mib"]),
            ]
            for name, rows in sizes.items()
            for row in rows
        ],
    )
