"""The page of a comparison: HTML with its style, its script and its pictures inside."""

import base64
import hashlib
import html
import io
import math
from collections.abc import Mapping, Sequence
from importlib import resources
from importlib.metadata import version
from itertools import combinations
from string import Template

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from jpegrt.runtime.comparison.measures import Measures, absolute_difference
from jpegrt.runtime.comparison.pictures import Picture

_GAINS = (1, 2, 4, 8, 16, 32)
_FRAME_HEIGHT_PX = 680

# What a difference looks like, from none to the most: brighter is more, so grey prints tell it too.
_RAMP = ((11, 12, 26), (74, 29, 110), (182, 48, 80), (242, 139, 45), (255, 246, 194))


def page_of(
    pictures: Sequence[Picture], measures: Mapping[str, Measures], notes: Sequence[str]
) -> str:
    """A whole HTML document. pictures: A, B and perhaps the original."""
    style, script = _asset("page.css"), _asset("page.js")
    differences = {
        (left, right): absolute_difference(pictures[left].pixels, pictures[right].pixels)
        for left, right in combinations(range(len(pictures)), 2)
    }
    height, width = pictures[0].pixels.shape[:2]
    gain = _gain_for(differences[0, 1])
    return Template(_asset("page.html")).substitute(
        style=style,
        script=script,
        script_hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
        title=html.escape(f"{pictures[0].name} and {pictures[1].name}"),
        a=html.escape(pictures[0].name),
        b=html.escape(pictures[1].name),
        width=width,
        height=height,
        files="".join(map(_file_of, ("A", "B", "Original"), pictures)),
        pictures="".join(_picture_of(i, picture) for i, picture in enumerate(pictures)),
        differences="".join(_difference_of(pair, d) for pair, d in differences.items()),
        choosers=_choosers(len(pictures)),
        gains="".join(
            f"<option value={n}{' selected' * (n == gain)}>&times; {n}</option>" for n in _GAINS
        ),
        slope=gain,
        red=_channel(0),
        green=_channel(1),
        blue=_channel(2),
        ramp=", ".join("rgb({} {} {})".format(*colour) for colour in _RAMP),
        rows="".join(_row_of(pair, measured) for pair, measured in measures.items()),
        notes="".join(f"<p>{_with_times(note)}</p>" for note in [*_gains_of(measures), *notes]),
        version=version("jpegrt"),
    )


def frame_of_page(page: str) -> str:
    """HTML to put into another page, such as a notebook's: the page in a frame of its own, which can
    neither see the other one nor change it."""
    return (
        '<iframe sandbox="allow-scripts" title="Comparison of two images" '
        f'style="width:100%;height:{_FRAME_HEIGHT_PX}px;border:0" srcdoc="{html.escape(page)}">'
        "</iframe>"
    )


def _asset(name: str) -> str:
    return (resources.files(__package__) / name).read_text(encoding="utf-8")


def _file_of(letter: str, picture: Picture) -> str:
    name = html.escape(picture.name)
    about = f"{_with_times(picture.size)} pixels"
    if picture.size_bytes is not None:
        about += f", {picture.size_bytes:,} bytes"
    return f'<li><b>{letter}</b> <span class="name">{name}</span> <small>{about}</small></li>'


def _with_times(text: str) -> str:
    return html.escape(text).replace(" x ", "&nbsp;&times;&nbsp;")


def _picture_of(index: int, picture: Picture) -> str:
    source = _data_uri(picture.pixels, picture.icc)
    name = html.escape(picture.name)
    return f'<img data-picture={index} alt="{name}" draggable=false src="{source}">\n'


def _difference_of(pair: tuple[int, int], difference: NDArray[np.uint8]) -> str:
    largest = difference.max(axis=2) if difference.ndim == 3 else difference
    return (
        f'<img data-pair="{pair[0]}-{pair[1]}" data-mean="{difference.mean():.2f}" '
        f'data-largest="{difference.max()}" alt="Map of the differences" draggable=false '
        f'src="{_data_uri(largest)}">\n'
    )


def _data_uri(pixels: NDArray[np.uint8], icc: bytes = b"") -> str:
    fits = icc[16:20] == (b"RGB " if pixels.ndim == 3 else b"GRAY")
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG", icc_profile=icc if fits else None)
    return "data:image/png;base64," + base64.b64encode(file.getvalue()).decode()


def _gain_for(difference: NDArray[np.uint8]) -> int:
    """That which makes most of it visible and little of it saturated."""
    most = max(1.0, float(np.percentile(difference, 99.5)))
    return max(gain for gain in _GAINS if gain == 1 or gain * most <= 255)


def _channel(index: int) -> str:
    return " ".join(f"{colour[index] / 255:.4f}" for colour in _RAMP)


def _choosers(count: int) -> str:
    """Which two are shown, where there is a choice."""
    if count == 2:
        return ""
    names = ("A", "B", "Original")
    return (
        '<div class="group">'
        + "".join(
            f"<label>{side} <select id={side.lower()}>"
            + "".join(
                f"<option value={i}{' selected' * (i == chosen)}>{name}</option>"
                for i, name in enumerate(names)
            )
            + "</select></label>"
            for side, chosen in (("Left", 0), ("Right", 1))
        )
        + "</div>"
    )


def _row_of(pair: str, measured: Measures) -> str:
    cells = ((measured.psnr_db, 2), (measured.ssim, 4), (measured.psnr_b_db, 2))
    return f"<tr><th scope=row>{pair}" + "".join(f"<td>{_figure(*cell)}" for cell in cells) + "\n"


def _figure(value: float | None, digits: int) -> str:
    if value is None:
        return "&ndash;"
    return "&infin;" if math.isinf(value) else f"{value:.{digits}f}"


def _gains_of(measures: Mapping[str, Measures]) -> list[str]:
    """What B has over A, where the original tells."""
    if len(measures) == 1:
        return []
    _, a, b = measures.values()
    difference = b.psnr_db - a.psnr_db
    if not math.isfinite(difference):
        return []
    if abs(difference) < 0.005:
        return ["A and B are equally near the original, by PSNR."]
    nearer, other = ("B", "A") if difference > 0 else ("A", "B")
    return [f"{nearer} is {abs(difference):.2f} dB nearer the original than {other}, by PSNR."]
