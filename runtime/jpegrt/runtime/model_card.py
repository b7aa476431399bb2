"""A model's card: what its manifest says of it, for people, in Markdown.

Only the manifest is asked, so that a card can be made of any bundle and says what the bundle says.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

_NOT_STATED = "not stated"
_PARTS = ("luma", "chroma", "whole")  # of an image, as export verifies them


def model_card(manifest: Mapping[str, Any]) -> str:
    """What the manifest lacks is left out, or said to be not stated where it matters."""
    parts = [
        f"# {manifest['model']}",
        _sentence(manifest.get("summary", _NOT_STATED)),
        _facts(_what_it_is(manifest)),
        "## Training",
        _facts(_training(manifest.get("training", {}))),
    ]
    if history := manifest.get("training", {}).get("history"):
        parts.append(_sentence(history))
    parts += ["## Precisions", _precisions(manifest), *_precisions_on_sets(manifest)]
    parts += ["## Figures", *_figures(manifest)]
    if limits := manifest.get("limits"):
        parts += ["## Where it loses", _sentence(limits)]
    return "\n\n".join(parts)


def compression_name(quality: int | None) -> str:
    """Such as Q40; of an image that was not compressed: uncompressed."""
    return "uncompressed" if quality is None else f"Q{quality}"


def _what_it_is(manifest: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    if network := manifest.get("network"):
        yield "network", network
    scale = manifest.get("scale", 1)
    enlarging = f", enlarges {scale} times" if scale > 1 else ""
    yield (
        "takes",
        f"{manifest.get('domain', 'cells')}{enlarging}; {manifest.get('colour_rule', '')}",
    )
    yield (
        "cost",
        (
            f"{manifest.get('parameters', 0):,} parameters, "
            f"{manifest.get('multiply_adds_per_px', 0):,} multiply-adds a luma pixel of the input"
        ),
    )
    yield "licence", manifest.get("licence", _NOT_STATED)


def _training(training: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    yield "images and their terms", "; ".join(training.get("images", [])) or _NOT_STATED
    for key, title in (
        ("held_out_for_validation", "held out for validation"),
        ("degradation", "degradation"),
        ("recipes", "recipes"),
        ("objective", "loss, optimiser"),
    ):
        if value := training.get(key):
            yield title, ", ".join(value) if isinstance(value, list) else value
    steps, minutes = training.get("steps"), training.get("minutes")
    yield "steps", f"{steps:,}" if steps else _NOT_STATED
    yield "time", f"{minutes:g} minutes" if minutes else _NOT_STATED
    yield "hardware", training.get("hardware", _NOT_STATED)


def _precisions(manifest: Mapping[str, Any]) -> str:
    """Admitted and rejected ones, with the largest loss of any graph and quality."""
    lines = []
    for key, result in (("precisions", "admitted"), ("rejected_precisions", "failed: left out")):
        for precision, entry in manifest.get(key, {}).items():
            is_default = precision == manifest["default_precision"]
            for engine, graphs in entry.get("verification", {}).items():
                losses = [_largest_loss(graphs, part) for part in _PARTS]
                lines.append([precision, engine, *losses, "default" if is_default else result])
    return (
        "The largest loss of PSNR in dB against PyTorch's fp32 output, of any kind of image and "
        "quality, in the mean over held-out JPEGs.\n\n"
        + _table([["precision", "engine", *_PARTS, "result"], *lines])
    )


def _precisions_on_sets(manifest: Mapping[str, Any]) -> Iterator[str]:
    """Of sets, those that engines are derived from too."""
    rows = manifest.get("precisions_on_sets", [])
    if not rows:
        return
    yield (
        "The largest loss of PSNR in dB against fp32's of any kind of image and quality, in the mean "
        "over a set's centres of so many pixels, and how far a component's mean moved, in levels; by "
        "`scripts/verify_precisions.py`. TensorRT's fp16 and int8 (int8-symmetric) are derived when "
        "engines are built; here float16 is rounded on a CPU."
    )
    header = ["precision", "engine", "set", "pixels", "qualities", "loss", "moved", "result"]
    yield _table(
        [
            header,
            *(
                [
                    row["precision"],
                    row["engine"],
                    f"{row['set']}, {row['images']} images",
                    f"{row['crop_px']} x {row['crop_px']}",
                    " ".join(map(compression_name, row["qualities"])),
                    f"{row['loss_db']:.3f}",
                    f"{row['largest_bias']:.3f}",
                    f"{'passes' if row['passed'] else 'fails'}: {row['tolerance_db']:g} allowed",
                ]
                for row in rows
            ),
        ]
    )


def _largest_loss(graphs: Mapping[str, Any], part: str) -> str:
    losses = [
        loss
        for figures in graphs.values()
        for loss in figures["psnr_loss_db"].get(part, {}).values()
    ]
    return f"{max(losses):.3f}".replace("-0.000", "0.000") if losses else "-"


def _figures(manifest: Mapping[str, Any]) -> Iterator[str]:
    rows = manifest.get("quality", [])
    if not rows:
        yield _sentence(_NOT_STATED)
        return
    yield (
        "PSNR in dB, means over each set, by `jpegrt evaluate`; in brackets the gain over the plain "
        "decoder's or, if enlarged, bicubic interpolation's."
    )
    for row in rows:
        yield _table(list(_figure_lines(manifest, row)))


def _figure_lines(manifest: Mapping[str, Any], row: Mapping[str, Any]) -> Iterator[list[str]]:
    source = f" ({row['source']})" if "source" in row else ""
    yield [f"{row['set']}{source}", *(compression_name(quality) for quality in row["qualities"])]
    baseline = "JPEG" if manifest.get("scale", 1) == 1 else "bicubic"
    yield [baseline, *(_decibels(db) for db in row["jpeg_psnr_db"])]
    yield [
        f"{manifest['model']}, {row['engine']}",
        *(
            f"{db:.2f} ({db - jpeg:+.2f})"
            for db, jpeg in zip(row["psnr_db"], row["jpeg_psnr_db"], strict=True)
        ),
    ]
    if gains := row.get("worst_gain_db"):
        yield ["least gain of an image", *(f"{gain:+.2f}" for gain in gains)]
    for method, figures in row.get("published", {}).items():
        yield [f"{method}, published", *(_decibels(db) for db in figures)]


def _decibels(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"


def _facts(facts: Iterator[tuple[str, str]]) -> str:
    return _table([["", ""], *([name, value] for name, value in facts)])


def _table(lines: Sequence[Sequence[str]]) -> str:
    head, *rest = (f"| {' | '.join(line)} |" for line in lines)
    return "\n".join([head, "|---" * len(lines[0]) + "|", *rest])


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:] + ("" if text.endswith(".") else ".")
