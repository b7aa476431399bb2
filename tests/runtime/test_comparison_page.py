"""The page of a comparison in a real browser: what is seen, and what mouse, keys and fingers do."""

import io
import platform
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tests.kernels.images import Pixels, synthetic
from tests.runtime.browser import Browser, find_browser, started

from jpegrt.runtime import compare

RED, BLUE, GREEN = (200, 40, 30), (20, 60, 210), (10, 150, 20)
WIDTH, HEIGHT = 1280, 800


@pytest.fixture(scope="module")
def shared_browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    browser = find_browser()
    if not browser:
        # Set-up installs one on Debian; Ubuntu has it as a snap only.
        debian = platform.freedesktop_os_release().get("ID") == "debian"
        assert not debian, "install a browser (chromium-headless-shell)"
        pytest.skip("no Chromium here")
    with started(browser, tmp_path_factory.mktemp("profile")) as running:
        yield running


@pytest.fixture
def browser(shared_browser: Browser) -> Iterator[Browser]:
    """Every page loads nothing but itself, and reports nothing."""
    shared_browser.requests.clear()
    shared_browser.opened.clear()
    yield shared_browser
    assert not shared_browser.complaints
    shared_browser.prefer("light")
    schemes = {address.partition(":")[0] for address in shared_browser.requests}
    assert schemes <= {"file", "data"}
    files = {address for address in shared_browser.requests if address.startswith("file")}
    assert files == set(shared_browser.opened)


def one_colour(colour: tuple[int, int, int], width: int = 96, height: int = 64) -> Pixels:
    return np.full((height, width, 3), colour, np.uint8)


def open_page(browser: Browser, folder: Path, *pictures: Pixels, density: float = 1) -> None:
    page = folder / "page.html"
    compare(*pictures).save(page)
    browser.open(page, WIDTH, HEIGHT, density)


def seen(browser: Browser) -> Pixels:
    with Image.open(io.BytesIO(browser.screenshot())) as image:
        return np.asarray(image.convert("RGB"))


def box(browser: Browser, selector: str) -> tuple[float, float, float, float]:
    """Left, top, width and height."""
    rectangle = f"document.querySelector({selector!r}).getBoundingClientRect()"
    found = browser.evaluate(f"(r => [r.left, r.top, r.width, r.height])({rectangle})")
    left, top, width, height = found
    return left, top, width, height


def stage_of(browser: Browser, screen: Pixels) -> Pixels:
    left, top, width, height = (round(edge) for edge in box(browser, "#stage"))
    return screen[top : top + height, left : left + width]


def click(browser: Browser, selector: str) -> None:
    browser.evaluate(f"document.querySelector({selector!r}).click()")


def focus(browser: Browser, selector: str) -> None:
    browser.evaluate(f"document.querySelector({selector!r}).focus()")


def share_of(screen: Pixels, colour: tuple[int, int, int]) -> float:
    return float((screen == colour).all(axis=2).mean())


def divider_at(browser: Browser) -> float:
    """Where red ends and blue begins, 0 to 1 of the stage's width, in its middle row but for the
    divider's own grip."""
    row = stage_of(browser, seen(browser))
    line = row[row.shape[0] // 2 + 60]
    blue = (line == BLUE).all(axis=1)
    red = (line == RED).all(axis=1)
    reds, blues = np.flatnonzero(red), np.flatnonzero(blue)
    if not len(blues):
        return 1
    if not len(reds):
        return 0
    assert reds.max() < blues.min()
    return float((reds.max() + blues.min()) / 2 / len(line))


def test_slider_by_keys_and_mouse(browser: Browser, tmp_path: Path) -> None:
    # As wide as the stage for its height, so that colours reach its edges.
    open_page(browser, tmp_path, one_colour(RED, 240, 125), one_colour(BLUE, 240, 125))
    assert divider_at(browser) == pytest.approx(0.5, abs=0.01)
    focus(browser, "#divider")
    for key, expected in (
        ("ArrowRight", 0.51), ("ArrowLeft", 0.5), ("ArrowLeft", 0.49), ("PageUp", 0.59),
        ("PageDown", 0.49), ("Home", 0), ("End", 1),
    ):  # fmt: skip
        browser.press(key)
        assert divider_at(browser) == pytest.approx(expected, abs=0.01)
        now = browser.evaluate("document.getElementById('divider').ariaValueNow")
        assert float(now) == pytest.approx(100 * expected)
    assert browser.evaluate("document.getElementById('divider').ariaValueText") == (
        "A on 100 %, B on 0 %"
    )
    left, top, width, height = box(browser, "#stage")
    middle = top + height / 2
    browser.drag((left + width - 9, middle), (left + width / 2, middle), (left + width / 4, middle))
    assert divider_at(browser) == pytest.approx(0.25, abs=0.01)
    # Anywhere on a picture that is seen whole.
    browser.drag((left + width * 0.6, middle + 90), (left + width * 0.8, middle + 90))
    assert divider_at(browser) == pytest.approx(0.8, abs=0.01)


def test_pictures_are_seen_pixel_by_pixel(browser: Browser, tmp_path: Path) -> None:
    """At 100 % what is on the screen is what was in the files."""
    before, after = synthetic(150, 200, seed=1), synthetic(150, 200, seed=2)
    for density in (1, 2):
        open_page(browser, tmp_path / str(density), before, after, density=density)
        click(browser, "#whole")
        assert browser.evaluate("document.getElementById('scale').value") == "100 %"
        focus(browser, "#divider")
        for key, expected in (("Home", after), ("End", before)):
            browser.press(key)
            screen = seen(browser)
            left, top, width, height = (density * edge for edge in box(browser, "#stage"))
            x, y = round(left + (width - 200) / 2), round(top + (height - 150) / 2)
            np.testing.assert_array_equal(screen[y : y + 150, x : x + 200], expected)


def test_zoom_is_sharp_and_the_same_on_both_sides(browser: Browser, tmp_path: Path) -> None:
    chequered = np.zeros((64, 96, 3), np.uint8)
    chequered[::2, ::2] = chequered[1::2, 1::2] = (250, 240, 0)
    chequered[20:30, 40:44] = GREEN
    open_page(browser, tmp_path, chequered, chequered)
    click(browser, "[value=side]")
    left, top, width, height = box(browser, "#stage")
    browser.turn_wheel(left + width / 4, top + height / 2, -400)
    browser.drag((left + width / 4, top + height / 2), (left + width / 4 - 37, top + 300))
    percent = float(browser.evaluate("document.getElementById('scale').value").rstrip(" %"))
    assert percent > 400
    screen = stage_of(browser, seen(browser))[40:]  # below the labels
    half = (screen.shape[1] - 2) // 2
    np.testing.assert_array_equal(screen[:, :half], screen[:, -half:])
    colours = {tuple(colour) for colour in np.unique(screen[:, :half].reshape(-1, 3), axis=0)}
    background = {tuple(screen[-1, 0])} if len(colours) > 3 else set()
    assert colours - background <= {(0, 0, 0), (250, 240, 0), GREEN}  # nothing in between
    assert share_of(screen[:, :half], GREEN) > 0.01


def test_wheel_zooms_where_it_points(browser: Browser, tmp_path: Path) -> None:
    marked = one_colour(RED, 300, 200)
    marked[150:154, 40:44] = GREEN
    open_page(browser, tmp_path, marked, marked)

    def mark() -> tuple[float, float]:
        rows, columns = np.nonzero((seen(browser) == GREEN).all(axis=2))
        return float(columns.mean()), float(rows.mean())

    x, y = mark()
    browser.turn_wheel(x, y, -300)
    assert mark() == pytest.approx((x, y), abs=4)
    assert browser.evaluate("scale()") > 4
    focus(browser, "#stage")
    browser.press("0", "0")
    assert mark() == pytest.approx((x, y), abs=2)


def test_keys_on_the_picture(browser: Browser, tmp_path: Path) -> None:
    open_page(browser, tmp_path, synthetic(160, 250), synthetic(160, 250, seed=1))
    focus(browser, "#stage")
    percents = []
    for key in ("1", "+", "+", "-", "ArrowRight", "ArrowDown", "0"):
        browser.press(key, key if len(key) == 1 else "")
        percents.append(browser.evaluate("document.getElementById('scale').value"))
    assert percents[:6] == ["100 %", "200 %", "400 %", "200 %", "200 %", "200 %"]
    assert percents[6] not in percents[:6]
    for key in "1+++":
        browser.press(key, key)
    middle = browser.evaluate("[state.x, state.y]")
    browser.press("ArrowRight")
    browser.press("ArrowDown")
    moved = browser.evaluate("[state.x, state.y]")
    assert moved == pytest.approx([middle[0] + 60 / 8, middle[1] + 60 / 8])


def test_map_of_differences(browser: Browser, tmp_path: Path) -> None:
    before = one_colour((100, 100, 100), 96, 64)
    after = before.copy()
    after[:32, 48:, 1] += 4
    after[32:, :48, 2] -= 10
    after[32:, 48:, 0] += 155
    open_page(browser, tmp_path, before, after)
    click(browser, "[value=difference]")
    assert browser.evaluate("document.getElementById('spread').textContent") == (
        "Mean of all samples 14.08, largest 155."
    )
    ramp = np.array([(11, 12, 26), (74, 29, 110), (182, 48, 80), (242, 139, 45), (255, 246, 194)])
    for gain in (1, 8, 16):
        browser.evaluate(f"gain.value = {gain}; gain.dispatchEvent(new Event('change'))")
        legend = browser.evaluate("document.querySelector('.ticks').innerText").split("\n")
        assert (
            legend
            == {
                1: ["0", "128", "255"],
                8: ["0", "16", "32 or more"],
                16: ["0", "8", "16 or more"],
            }[gain]
        )
        screen = stage_of(browser, seen(browser))
        height, width = screen.shape[:2]
        quarters = [(-60, -60), (-60, 60), (60, -60), (60, 60)]
        for (down, across), difference in zip(quarters, (0, 4, 10, 155), strict=True):
            share = min(gain * difference / 255, 1)
            expected = [np.interp(share, np.linspace(0, 1, 5), ramp[:, c]) for c in range(3)]
            colour = screen[height // 2 + down, width // 2 + across]
            np.testing.assert_allclose(colour, expected, atol=2)


def test_an_original_may_take_either_side(browser: Browser, tmp_path: Path) -> None:
    colours = [one_colour(colour, 240, 125) for colour in (RED, BLUE, GREEN)]
    open_page(browser, tmp_path, *colours)

    def shares() -> list[float]:
        screen = stage_of(browser, seen(browser))
        return [round(share_of(screen, colour), 1) for colour in (RED, BLUE, GREEN)]

    def choose(side: str, index: int) -> None:
        browser.evaluate(
            f"(c => {{ c.value = {index}; c.dispatchEvent(new Event('change')) }})"
            f"(document.getElementById('{side}'))"
        )

    with_both = shares()
    assert with_both[0] == with_both[1] > 0.2
    choose("right", 2)
    assert shares() == [with_both[0], 0, with_both[1]]
    choose("left", 2)  # which stands on the right: they change places
    assert shares() == [with_both[0], 0, with_both[1]]
    assert browser.evaluate("[left.querySelector('img').alt, right.querySelector('img').alt]") == [
        "Original",
        "A",
    ]


def test_fingers_on_a_telephone(browser: Browser, tmp_path: Path) -> None:
    compare(synthetic(200, 300), synthetic(200, 300, seed=1)).save(tmp_path / "page.html")
    browser.open(tmp_path / "page.html", 390, 844, 2)
    browser.resize(390, 844, 2, mobile=True)
    overflowing = "document.documentElement.scrollWidth > document.documentElement.clientWidth"
    assert not browser.evaluate(overflowing)
    left, top, width, height = box(browser, "#stage")
    assert (left, width) == (0, 390)
    assert height > 400
    x, y = left + width / 2, top + height / 2
    browser.touch([(x, y)], [(x + 40, y)], [(x + 80, y)])
    assert browser.evaluate("state.split") == pytest.approx((width / 2 + 80) / width, abs=0.01)
    before = browser.evaluate("scale()")
    browser.touch(
        [(x - 30, y), (x + 30, y)], [(x - 60, y), (x + 60, y)], [(x - 120, y), (x + 120, y)]
    )
    assert browser.evaluate("scale()") == pytest.approx(4 * before, rel=0.1)
    middle = browser.evaluate("state.x")
    browser.touch([(x, y + 90)], [(x - 50, y + 90)])
    assert browser.evaluate("state.x") == pytest.approx(middle + 50 / (4 * before), rel=0.1)
    for target in ("button", "select", ".views span"):
        heights = browser.evaluate(
            f"[...document.querySelectorAll('{target}')].map((e) => e.offsetHeight).filter(Boolean)"
        )
        assert all(height >= 44 for height in heights)
    browser.resize(WIDTH, HEIGHT)


CONTRASTS = """
(() => {
  const numbers = (text) => text.match(/[\\d.]+/g).map(Number);
  const behind = (element) => {
    for (; element; element = element.parentElement) {
      const colour = numbers(getComputedStyle(element).backgroundColor);
      if (colour.length < 4 || colour[3] > 0) return colour.slice(0, 3);
    }
  };
  const luminance = (colour) => {
    const [r, g, b] = colour.map((c) => (c /= 255) <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  return [...document.querySelectorAll("h1 span, h2, p, small, th, td, button, select, output, .views span, kbd")]
    .filter((e) => e.offsetHeight && e.textContent.trim())
    .map((e) => {
      const [a, b] = [numbers(getComputedStyle(e).color), behind(e)].map(luminance);
      return (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    });
})()
"""


def test_light_and_dark_can_be_read(browser: Browser, tmp_path: Path) -> None:
    """WCAG 2.2, 1.4.3: a contrast of 4.5 to 1 for text."""
    open_page(browser, tmp_path, *[synthetic(64, 96, seed=n) for n in range(3)])
    grounds = []
    for scheme in ("light", "dark"):
        browser.prefer(scheme)
        click(browser, "[value=difference]")
        contrasts = browser.evaluate(CONTRASTS)
        assert len(contrasts) > 25
        assert min(contrasts) >= 4.5
        grounds.append(seen(browser)[-3, -3].mean())
    assert grounds[0] > 200
    assert grounds[1] < 60


def test_everything_has_a_name(browser: Browser, tmp_path: Path) -> None:
    open_page(browser, tmp_path, *[synthetic(64, 96, seed=n) for n in range(3)])
    told = browser.accessible()
    for role in ("button", "radio", "slider", "combobox", "image", "table", "heading"):
        names = [name for found, name in told if found == role]
        assert names and all(names), role
    # By Tab alone: the views, two choosers, four buttons, the picture and its divider.
    browser.evaluate("document.activeElement.blur()")
    reached = []
    for _ in range(9):
        browser.press("Tab")
        reached.append(browser.evaluate("document.activeElement.id || document.activeElement.name"))
    assert reached == ["view", "left", "right", "out", "in", "fit", "whole", "stage", "divider"]


def test_in_a_notebook(browser: Browser, tmp_path: Path) -> None:
    """The page in a frame of another one, whose wheel goes on scrolling that one."""
    frame = compare(one_colour(RED, 300, 200), one_colour(BLUE, 300, 200))._repr_html_()
    notebook = tmp_path / "notebook.html"
    notebook.write_text(f"<!doctype html><p>Out[1]:{frame}<p style='height:2000px'>more")
    browser.open(notebook, WIDTH, HEIGHT)
    screen = seen(browser)
    assert share_of(screen, RED) > 0.1
    assert share_of(screen, BLUE) > 0.1
    browser.turn_wheel(300, 400, 200)
    assert browser.evaluate("new Promise((f) => setTimeout(() => f(scrollY), 100))") > 100


def test_pages_begin_with_what_is_chosen_by_default(browser: Browser, tmp_path: Path) -> None:
    open_page(browser, tmp_path, synthetic(64, 96), synthetic(64, 96, seed=1))
    assert browser.evaluate("document.querySelector('[name=view]:checked').value") == "slider"
    assert browser.evaluate("document.title") == "A and B"
    assert re.fullmatch(r"[\d.]+ %", browser.evaluate("document.getElementById('scale').value"))
    assert not browser.evaluate("document.querySelectorAll('select:not(#gain)').length")
