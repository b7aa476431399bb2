"""What a benchmark's report says and shows: tables, charts, the page in a browser."""

import os
import re
import shutil
import subprocess
from html.parser import HTMLParser
from itertools import combinations
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from tests.runtime.bench_reports import MODELS, SIZES, make_report

from jpegrt.runtime.bench import figures
from jpegrt.runtime.bench.axes import Scale, log_ticks, scale_of, short, ticks
from jpegrt.runtime.bench.charts import Bar, Labelled, Point, Series, lines, scatter, stacked_bars
from jpegrt.runtime.bench.report_html import page
from jpegrt.runtime.bench.report_markdown import markdown, number, verdict
from jpegrt.runtime.bundle import find_bundle
from jpegrt.runtime.papers.published import load_paper

VOID = {"meta", "line", "circle", "rect", "polyline"}


class Page(HTMLParser):
    """Tags with their attributes, and text; asserts that what is opened is closed."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self._open: list[str] = []
        self.feed(html)
        assert not self._open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID or tag == "circle":
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        while self._open and self._open[-1] in ("rect",):  # has a title within
            self._open.pop()
        if tag not in ("rect", "circle") or (self._open and self._open[-1] == tag):
            assert self._open.pop() == tag, tag

    def handle_data(self, data: str) -> None:
        self.text += data


def test_the_page_needs_nothing_from_elsewhere() -> None:
    html = page(make_report())
    assert not re.search(r"https?:|//\w|@import|url\(|<script|<link|<img", html)
    parsed = Page(html)
    assert not any({"src", "href", "onload", "onclick"} & set(a) for _, a in parsed.tags)
    assert sum(tag == "svg" for tag, _ in parsed.tags) == 6
    assert "prefers-color-scheme: dark" in html


def test_everything_that_was_timed_is_on_the_page() -> None:
    report = make_report()
    text = Page(page(report)).text
    for row in report["rows"]:
        assert row["name"] in text
    for published in report["published"]:
        assert published["name"] in text
    for fact in ("A fast CPU", "avx512_vnni", "libjpeg-turbo", "jpeg2png: no jpeg2png", "0.9910"):
        assert fact in text
    assert "Valid" in text and "Not valid" not in text


def test_a_run_that_is_not_valid_says_so_first() -> None:
    report = make_report() | {"valid": False, "problems": ["the A/A control does not hold"]}
    said = "Not valid: the A/A control does not hold"
    assert verdict(report).startswith(said)
    assert markdown(report).startswith(f"**{said}")
    assert said in Page(page(report)).text[:7000]
    assert 'class="verdict bad"' in page(report)


def test_a_machine_that_was_not_idle_is_told() -> None:
    report = make_report()
    assert "Take care" not in page(report) + markdown(report)
    report["warnings"] = ["the machine was busy", "time was stolen"]
    said = "Take care: the machine was busy; time was stolen."
    assert said in markdown(report) and said in Page(page(report)).text


def test_names_cannot_become_markup() -> None:
    report = make_report()
    report["label"] = "<script>alert(1)</script>"
    report["rows"][0]["name"] = report["left_out"][0] = '<b>&"'
    html = page(report)
    assert "<script" not in html and "<b>&" not in html
    assert "&lt;b&gt;&amp;" in html


def test_markdown_tables_are_whole() -> None:
    text = markdown(make_report())
    tables = re.findall(r"(?:^\|.*\|\n)+", text, re.MULTILINE)
    assert len(tables) == 5
    for table in tables:
        assert len({line.count("|") for line in table.splitlines()}) == 1
    assert tables[0].count("| 3.21 (3.11 to 3.34) |") == 3 * 4  # in int8
    for name in MODELS:
        assert tables[0].count(f"| {name} |") == 4  # qualities
        assert tables[4].count(f"| {name} |") == len(SIZES)


@pytest.mark.parametrize(
    ("value", "shown"),
    [(0.5, "0.50"), (9.994, "9.99"), (23.76, "23.8"), (100, "100"), (2896.4, "2,896")],
)
def test_numbers_have_three_digits(value: float, shown: str) -> None:
    assert number(value) == shown


def test_ticks_are_round_and_within() -> None:
    for low, high in [(0.0, 1.0), (0.9, 2.1), (3.0, 870.0), (0.01, 0.013)]:
        found = ticks(low, high)
        assert 3 <= len(found) <= 8
        assert all(low - 1e-9 <= tick <= high + 1e-9 for tick in found)
        steps = np.diff(found)
        np.testing.assert_allclose(steps, steps[0])
        assert round(float(f"{steps[0]:e}".partition("e")[0]), 6) in (1, 2, 2.5, 5)
    assert log_ticks(30, 3000) == [50, 100, 200, 500, 1000, 2000]
    assert log_ticks(0.5, 20_000) == [1, 10, 100, 1000, 10_000]


def test_scales_put_values_where_they_belong() -> None:
    scale = Scale(1, 100, 0, 200, logarithmic=True)
    assert [scale.at(value) for value in (1, 10, 100)] == pytest.approx([0, 100, 200])
    linear = scale_of([5.0, 10.0], 300, 0, from_zero=True)
    assert linear.at(0) == pytest.approx(300) and 0 < linear.at(10) < 50
    assert scale_of([7.0], 0, 10).at(7) == pytest.approx(5)
    assert [short(v) for v in (0.1, 20, 5000, 50_000, 2.5e6)] == [
        "0.1",
        "20",
        "5,000",
        "50 k",
        "2.5 M",
    ]


def elements(figure: str, kind: str) -> list[dict[str, str]]:
    """The attributes of a chart's elements of a class."""
    (svg,) = re.findall(r"<svg.*</svg>", figure)
    found = ElementTree.fromstring(svg).iter()
    return [e.attrib | {"text": e.text or ""} for e in found if kind in e.get("class", "").split()]


def test_lines_show_every_point_with_its_interval() -> None:
    series = [
        Series("a", [Point(10, 30, 28, 35), Point(50, 20)], 0),
        Series("b", [Point(10, 300), Point(50, 200)], 1),
    ]
    figure = lines(
        "ratios", series, "quality", "ratio", logarithmic_y=True, every_x=True, reference=(1, "one")
    )
    dots = [(float(dot["cx"]), float(dot["cy"])) for dot in elements(figure, "dot")]
    assert len(dots) == 4
    assert dots[0][1] > dots[2][1] and dots[0][1] < dots[1][1]  # higher is further up
    (bar,) = elements(figure, "bar")
    assert float(bar["y1"]) > dots[0][1] > float(bar["y2"])
    (reference,) = elements(figure, "reference")
    assert float(reference["y1"]) > max(y for _, y in dots)
    assert figure.count("<li>") == 2


def test_what_is_proportional_lies_on_its_dashed_line() -> None:
    flat = Series("flat", [Point(x, 3 * x) for x in (0.1, 1, 100)], 0)
    figure = lines(
        "sizes", [flat], "", "", logarithmic_x=True, logarithmic_y=True, proportional=True
    )
    (dashed,) = elements(figure, "proportional")
    dots = elements(figure, "dot")
    assert (dashed["x1"], dashed["y1"]) == (dots[0]["cx"], dots[0]["cy"])
    assert (dashed["x2"], dashed["y2"]) == (dots[2]["cx"], dots[2]["cy"])


def test_bars_are_as_long_as_the_parts_say() -> None:
    figure = stacked_bars("stages", [Bar("a", [1, 2, 5], "8 ms")], ["read", "network", "encode"])
    widths = [float(bar["width"]) for bar in elements(figure, "fill")]
    assert widths == pytest.approx([90, 180, 450])


def test_labels_cover_neither_each_other_nor_points() -> None:
    published = [(p.name, p.multiply_adds_per_px, p.gain_db) for p in figures.load_published()]
    ours = [(name.split()[0], cost, gain) for name, (_, cost, gain) in MODELS.items()]
    points = [Labelled(*point) for point in [*published, *ours]]
    figure = scatter("cost", points, "cost", "gain")
    (svg,) = re.findall(r"<svg.*</svg>", figure)
    names = {point.name for point in points}
    boxes = []
    for text in ElementTree.fromstring(svg).iter("text"):
        if text.text in names:
            width = 0.5 * 12 * len(str(text.text))
            left = (
                float(text.attrib["x"])
                - width * {"start": 0, "middle": 0.5, "end": 1}[text.attrib["text-anchor"]]
            )
            top = float(text.attrib["y"]) - 9
            boxes.append((left, top, left + width, top + 10))
    assert len(boxes) == len(points)
    for a, b in combinations(boxes, 2):
        assert a[2] <= b[0] or b[2] <= a[0] or a[3] <= b[1] or b[3] <= a[1]
    assert all(left >= 0 and right <= 720 for left, _, right, _ in boxes)


def test_published_figures_are_those_of_the_papers() -> None:
    found = {network.name: network for network in figures.load_published()}
    for paper, name, baseline in [("jscnn", "JSCNN", 27.77), ("hrcnn", "HR-CNN", 27.19)]:
        rows = [row for table in load_paper(paper).tables for row in table.rows]
        (row,) = [
            r
            for r in rows
            if r.set == "LIVE1"
            and r.compression == "JPEG 10"
            and r.image is None
            and name in r.published
        ][:1]
        assert row.published["JPEG"]["psnr_db"] == baseline
        gain = row.published[name]["psnr_db"] - baseline
        assert found[name].gain_db == pytest.approx(gain, abs=1e-6)
    jscnn = find_bundle("jscnn").manifest
    assert found["JSCNN"].multiply_adds_per_px == jscnn["multiply_adds_per_px"]


def test_gains_are_the_manifests() -> None:
    row = next(r for r in find_bundle("cellnet").manifest["quality"] if r["set"] == "live1_grey")
    gain = figures.gain_of(find_bundle("cellnet").manifest)
    assert gain == pytest.approx(row["psnr_db"][0] - row["jpeg_psnr_db"][0], abs=1e-4)
    assert figures.gain_of(find_bundle("jscnn").manifest) is not None
    assert figures.gain_of(find_bundle("jscnn-x2").manifest) is None
    assert figures.gain_of({}) is None


BROWSER = next((path for name in ("chromium", "google-chrome") if (path := shutil.which(name))), "")


def screenshot(html: Path, width: int, *, dark: bool) -> NDArray[np.uint8]:
    """The first 2000 rows of the page as a browser shows it."""
    picture = html.with_suffix(".png")
    command = [BROWSER, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"]
    command += [f"--window-size={width},2000", f"--user-data-dir={html.parent / 'profile'}"]
    command += [f"--blink-settings=preferredColorScheme={0 if dark else 1}"]
    command += [f"--screenshot={picture}", html.as_uri()]
    environment = {**os.environ, "HOME": str(html.parent)}
    result = subprocess.run(command, check=False, capture_output=True, text=True, env=environment)
    assert picture.exists(), result.stderr
    with Image.open(picture) as image:
        return np.asarray(image.convert("RGB"))


@pytest.mark.slow
@pytest.mark.skipif(not BROWSER, reason="no Chromium or Chrome on the PATH")
@pytest.mark.parametrize(("dark", "paper"), [(False, (255, 255, 255)), (True, (20, 23, 26))])
def test_a_browser_shows_it_within_its_window(
    dark: bool, paper: tuple[int, int, int], tmp_path: Path
) -> None:
    html = tmp_path / "bench.html"
    html.write_text(page(make_report()))
    width = 1040
    shown = screenshot(html, width, dark=dark)
    assert shown.shape == (2000, width, 3)
    margins: Any = np.concatenate((shown[:, :20], shown[:, -20:]), axis=1)
    assert (margins == paper).all(), "something stands beyond the page's margins"
    inside = shown[:, 24:-24].reshape(-1, 3).astype(int)
    assert (np.abs(inside - paper).max(axis=1) > 100).mean() > 0.01  # text and lines
    colours = np.unique(inside[::7] // 8, axis=0)
    saturated = (colours.max(axis=1) - colours.min(axis=1)) > 10
    assert saturated.sum() > 20  # and the charts' own
