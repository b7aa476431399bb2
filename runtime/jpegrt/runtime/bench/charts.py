"""The charts of the report, as SVG. Colours and type are the page's, by class: report.css."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from html import escape

from jpegrt.runtime.bench.axes import Scale, scale_of, short

WIDTH, HEIGHT = 720, 340
_LEFT, _RIGHT, _TOP, _BOTTOM = 70, 16, 18, 46
_COLOURS, _DASHES = 6, 3  # that report.css has
_LABEL_PX = 12


@dataclass(frozen=True)
class Point:
    """low, high: an interval of y, drawn as a bar."""

    x: float
    y: float
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Series:
    """colour: a number of the palette. dashed: how often its line is broken, 0 to 2."""

    name: str
    points: Sequence[Point]
    colour: int
    dashed: int = 0

    @property
    def classes(self) -> str:
        return f"c{self.colour % _COLOURS} dashed{self.dashed % _DASHES}"


@dataclass(frozen=True)
class Labelled:
    """A point with its name beside it. published: of others, drawn hollow."""

    name: str
    x: float
    y: float
    published: bool = False


@dataclass(frozen=True)
class Bar:
    """A stacked bar, of parts in the order of the legend. label: what stands at its end."""

    name: str
    parts: Sequence[float]
    label: str


@dataclass
class _Canvas:
    """height: of the drawing; its elements, bottom first."""

    height: int = HEIGHT
    elements: list[str] = field(default_factory=list)

    def line(self, x1: float, y1: float, x2: float, y2: float, kind: str) -> None:
        self.elements.append(
            f'<line class="{kind}" x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"/>'
        )

    def text(self, x: float, y: float, text: str, kind: str = "", anchor: str = "start") -> None:
        self.elements.append(
            f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">'
            f"{escape(text)}</text>"
        )

    def dot(self, x: float, y: float, kind: str, title: str) -> None:
        self.elements.append(
            f'<circle class="{kind}" cx="{x:.1f}" cy="{y:.1f}" r="4.5">'
            f"<title>{escape(title)}</title></circle>"
        )

    def svg(self, name: str) -> str:
        return (
            f'<svg viewBox="0 0 {WIDTH} {self.height}" role="img" aria-label="{escape(name)}">'
            f"{''.join(self.elements)}</svg>"
        )


def lines(
    name: str,
    series: Sequence[Series],
    x_title: str,
    y_title: str,
    *,
    logarithmic_x: bool = False,
    logarithmic_y: bool = False,
    every_x: bool = False,
    reference: tuple[float, str] | None = None,
    proportional: bool = False,
) -> str:
    """Points joined by lines.

    every_x: each x is a tick, at equal distances. reference: a horizontal line and its name.
    proportional: a dashed line through each series' last point, of what is proportional to x.
    """
    points = [point for each in series for point in each.points]
    places = sorted({point.x for point in points})
    heights = [
        value for p in points for value in (p.y, p.low, p.high) if value is not None and value > 0
    ]
    if reference:
        heights.append(reference[0])
    right, bottom = WIDTH - _RIGHT, HEIGHT - _BOTTOM
    y_scale = scale_of(
        heights, bottom, _TOP, logarithmic=logarithmic_y, from_zero=not logarithmic_y
    )
    x_at: Callable[[float], float]
    if every_x:
        step = (right - _LEFT) / len(places)
        x_at = {place: _LEFT + (i + 0.5) * step for i, place in enumerate(places)}.__getitem__
        x_ticks = places
    else:
        x_scale = scale_of(places, _LEFT, right, logarithmic=logarithmic_x)
        x_at, x_ticks = x_scale.at, x_scale.ticks
    canvas = _Canvas()
    _frame(canvas, y_scale, [(x_at(tick), short(tick)) for tick in x_ticks], x_title, y_title)
    if reference:
        y = y_scale.at(reference[0])
        canvas.line(_LEFT, y, right, y, "reference")
        canvas.text(right, y - 5, reference[1], "note", "end")
    for index, each in enumerate(series):
        # Series of one place would hide each other's intervals.
        shift = 7 * (index - (len(series) - 1) / 2) if every_x else 0.0
        placed = [(x_at(point.x) + shift, point) for point in each.points]
        if proportional:
            _proportional(canvas, each, x_at, y_scale)
        path = " ".join(f"{x:.1f},{y_scale.at(point.y):.1f}" for x, point in placed)
        canvas.elements.append(f'<polyline class="line {each.classes}" points="{path}"/>')
        for x, point in placed:
            if point.low and point.high:
                canvas.line(
                    x, y_scale.at(point.low), x, y_scale.at(point.high), f"bar {each.classes}"
                )
            title = f"{each.name}: {point.y:.4g}"
            canvas.dot(x, y_scale.at(point.y), f"dot {each.classes}", title)
    return _figure(canvas.svg(name), [(each.name, each.classes) for each in series])


def scatter(name: str, points: Sequence[Labelled], x_title: str, y_title: str) -> str:
    """Named points over a logarithmic x."""
    x_scale = scale_of([p.x for p in points], _LEFT, WIDTH - _RIGHT, logarithmic=True)
    y_scale = scale_of([p.y for p in points], HEIGHT - _BOTTOM, _TOP)
    canvas = _Canvas()
    ticks = [(x_scale.at(tick), short(tick)) for tick in x_scale.ticks]
    _frame(canvas, y_scale, ticks, x_title, y_title)
    places = [(x_scale.at(point.x), y_scale.at(point.y)) for point in points]
    labels = _place_labels([point.name for point in points], places)
    for point, (x, y), (label_x, label_y, anchor) in zip(points, places, labels, strict=True):
        title = f"{point.name}: {point.y:+.2f} at {short(point.x)}"
        canvas.dot(x, y, "published" if point.published else "dot c0", title)
        canvas.text(label_x, label_y, point.name, "" if point.published else "strong", anchor)
    return f'<div class="figure">{canvas.svg(name)}</div>'


def stacked_bars(name: str, bars: Sequence[Bar], parts: Sequence[str]) -> str:
    """Each bar as long as the others: its parts are shares of its own sum."""
    row, height = 46, 8
    canvas = _Canvas(row * len(bars) + height)
    for index, bar in enumerate(bars):
        y = row * index
        canvas.text(0, y + 14, bar.name, "strong")
        canvas.text(WIDTH, y + 14, bar.label, "note", "end")
        x, total = 0.0, sum(bar.parts)
        for number, (part, value) in enumerate(zip(parts, bar.parts, strict=True)):
            width = WIDTH * value / total
            canvas.elements.append(
                f'<rect class="fill c{number % _COLOURS}" x="{x:.1f}" y="{y + 21}" '
                f'width="{width:.1f}" height="18"><title>{escape(part)}: {value:.3g} ms, '
                f"{value / total:.1%}</title></rect>"
            )
            x += width
    return _figure(canvas.svg(name), [(part, f"c{i % _COLOURS}") for i, part in enumerate(parts)])


def _frame(
    canvas: _Canvas,
    y_scale: Scale,
    x_ticks: Iterable[tuple[float, str]],
    x_title: str,
    y_title: str,
) -> None:
    right, bottom = WIDTH - _RIGHT, HEIGHT - _BOTTOM
    for tick in y_scale.ticks:
        y = y_scale.at(tick)
        canvas.line(_LEFT, y, right, y, "grid")
        canvas.text(_LEFT - 8, y + 4, short(tick), "tick", "end")
    for x, label in x_ticks:
        canvas.line(x, bottom, x, bottom + 5, "axis")
        canvas.text(x, bottom + 19, label, "tick", "middle")
    canvas.line(_LEFT, bottom, right, bottom, "axis")
    canvas.text((_LEFT + right) / 2, HEIGHT - 6, x_title, "title", "middle")
    middle = (_TOP + bottom) / 2
    canvas.elements.append(
        f'<text class="title" transform="translate(12 {middle:.1f}) rotate(-90)" '
        f'text-anchor="middle">{escape(y_title)}</text>'
    )


def _proportional(
    canvas: _Canvas, series: Series, x_at: Callable[[float], float], y_scale: Scale
) -> None:
    last = max(series.points, key=lambda point: point.x)
    first = min(series.points, key=lambda point: point.x)
    from_y = last.y * first.x / last.x
    if y_scale.low <= from_y:
        x1, x2 = x_at(first.x), x_at(last.x)
        canvas.line(
            x1, y_scale.at(from_y), x2, y_scale.at(last.y), f"proportional {series.classes}"
        )


def _place_labels(
    names: Sequence[str], places: Sequence[tuple[float, float]]
) -> list[tuple[float, float, str]]:
    """Each beside its point, on the first side where it covers nothing yet and stays inside."""
    taken = [(x - 6, y - 6, x + 6, y + 6) for x, y in places]
    chosen = []
    for name, (x, y) in zip(names, places, strict=True):
        width = 0.56 * _LABEL_PX * len(name)
        offers = [
            (x + 9, y + 4, "start", x + 9),
            (x - 9, y + 4, "end", x - 9 - width),
            (x, y - 10, "middle", x - width / 2),
            (x, y + 19, "middle", x - width / 2),
            (x + 9, y - 10, "start", x + 9),
            (x + 9, y + 18, "start", x + 9),
            (x - 9, y - 10, "end", x - 9 - width),
            (x - 9, y + 18, "end", x - 9 - width),
        ]
        boxes = [(left, top - 10, left + width, top + 3) for _, top, _, left in offers]
        free = [
            number
            for number, box in enumerate(boxes)
            if box[0] >= _LEFT
            and box[2] <= WIDTH
            and not any(_overlap(box, other) for other in taken)
        ]
        best = free[0] if free else 0
        taken.append(boxes[best])
        chosen.append(offers[best][:3])
    return chosen


def _overlap(a: tuple[float, float, float, float], b: tuple[float, float, float, float]) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]


def _figure(svg: str, legend: Sequence[tuple[str, str]]) -> str:
    """legend: names, and the classes of their keys."""
    keys = "".join(
        f'<li><span class="key {classes}"></span>{escape(name)}</li>' for name, classes in legend
    )
    return f'<div class="figure">{svg}<ul class="legend">{keys}</ul></div>'
