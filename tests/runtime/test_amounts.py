"""What is chosen for which tables."""

from typing import Any

import pytest
from tests.kernels.images import synthetic
from tests.runtime.jpegs import encode
from tests.runtime.recompressed import with_tables

from jpegrt.kernels import read_coefficients
from jpegrt.runtime import amounts
from jpegrt.runtime.amounts import Amount, amount_at, choose_amount, measured
from jpegrt.runtime.bundle import find_bundle
from jpegrt.runtime.tables import ANNEX_K_CHROMA, ANNEX_K_LUMA, scaled_table

PIXELS = {"grey": synthetic(16, 16, 1), "444": synthetic(16, 16), "420": synthetic(16, 16)}
SUBSAMPLING = {"grey": "4:2:0", "444": "4:4:4", "420": "4:2:0"}


@pytest.fixture
def table(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """A measurement at two qualities: there is a cheap model and a dear one."""
    rows = {
        "cheap": {"gain_db": [], "strength": [1.0, 0.5], "gain_at_strength_db": [1.0, 0.0]},
        "dear": {"gain_db": [], "strength": [0.9, 0.3], "gain_at_strength_db": [1.04, 0.2]},
    }
    made: dict[str, Any] = {
        "models": {
            "cheap": {"multiply_adds_per_px": 1},
            "dear": {"multiply_adds_per_px": 2},
        },
        "qualities": [50, 90],
        "gains": dict.fromkeys(("grey", "444", "420"), rows),
    }
    monkeypatch.setattr(amounts, "measured", lambda: made)
    return made


def test_the_measurement_is_whole_and_of_shipped_models() -> None:
    table = measured()
    qualities = table["qualities"]
    assert qualities == sorted(set(qualities))
    assert (qualities[0], qualities[-1]) == (5, 100)
    for kind in ("grey", "444", "420"):
        assert set(table["gains"][kind]) == set(table["models"])
        for row in table["gains"][kind].values():
            assert {len(values) for values in row.values()} == {len(qualities)}
            assert all(0 <= strength <= 1 for strength in row["strength"])
    for name, facts in table["models"].items():
        bundle = find_bundle(name)
        assert bundle.spec.enlargement == 1
        assert bundle.manifest["multiply_adds_per_px"] == facts["multiply_adds_per_px"]
        assert bundle.default_precision == facts["precision"]


@pytest.mark.parametrize("kind", ["grey", "444", "420"])
def test_what_is_chosen_gained_and_nearly_most(kind: str) -> None:
    table = measured()
    for at, quality in enumerate(table["qualities"]):
        amount = amount_at(quality, kind)
        gains = {name: row["gain_at_strength_db"][at] for name, row in table["gains"][kind].items()}
        if amount.model == "none":
            assert amount.strength == 0
            assert max(gains.values()) <= 0
        else:
            assert gains[amount.model] > 0
            assert gains[amount.model] >= max(gains.values()) - 0.05
            assert 0 < amount.strength <= 1


@pytest.mark.usefixtures("table")
def test_of_nearly_equal_models_the_cheapest_is_taken() -> None:
    assert amount_at(50, "grey") == Amount("cheap", 1.0, 50)
    assert amount_at(5, "420") == Amount("cheap", 1.0, 5)
    assert amount_at(69, "grey") == Amount("cheap", 1.0, 69)
    assert amount_at(71, "grey") == Amount("dear", 0.3, 71)
    assert amount_at(100, "grey") == Amount("dear", 0.3, 100)


def test_where_nothing_gains_nothing_is_done(table: dict[str, Any]) -> None:
    table["gains"]["grey"]["dear"]["gain_at_strength_db"][1] = 0.0
    assert amount_at(90, "grey") == Amount("none", 0.0, 90)
    table["gains"]["grey"]["cheap"]["gain_at_strength_db"][0] = 0.9
    assert amount_at(50, "grey").model == "dear"


@pytest.mark.parametrize("quality", [1, 5, 30, 50, 75, 90, 96, 100])
@pytest.mark.parametrize("kind", ["grey", "444", "420"])
def test_standard_tables(kind: str, quality: int) -> None:
    amount = choose_amount(
        read_coefficients(encode(PIXELS[kind], quality=quality, subsampling=SUBSAMPLING[kind]))
    )
    assert amount == amount_at(quality, kind)


def test_the_coarsest_component_decides() -> None:
    luma, chroma = (
        [scaled_table(base, quality).ravel().tolist() for quality in (95, 40)]
        for base in (ANNEX_K_LUMA, ANNEX_K_CHROMA)
    )
    for tables, quality in ((luma[0], chroma[1]), 40), ((luma[1], chroma[0]), 40):
        image = read_coefficients(with_tables(PIXELS["420"], *tables))
        assert choose_amount(image).quality == quality


@pytest.mark.parametrize("kind", ["grey", "444", "420"])
def test_tables_of_ones_are_of_quality_100(kind: str) -> None:
    image = read_coefficients(with_tables(PIXELS[kind], [1] * 64, subsampling=SUBSAMPLING[kind]))
    assert choose_amount(image) == amount_at(100, kind)


@pytest.mark.parametrize(("step", "lowest", "highest"), [(2, 94, 99), (16, 55, 85), (255, 1, 10)])
def test_flat_tables_are_like_those_with_steps_as_large(
    step: int, lowest: int, highest: int
) -> None:
    image = read_coefficients(with_tables(PIXELS["grey"], [step] * 64))
    assert lowest <= choose_amount(image).quality <= highest
