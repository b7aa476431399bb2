"""Which model a scale or a name stands for."""

from pathlib import Path

import pytest
from tests.runtime.pixel_bundles import write_pixel_bundle

from jpegrt.runtime.bundle import list_bundles
from jpegrt.runtime.cli.model_choice import SCALES, choose_model
from jpegrt.runtime.errors import UsageError


@pytest.mark.parametrize("scale", [None, 1])
def test_the_default_restores(scale: int | None) -> None:
    assert choose_model(None, scale) == choose_model("auto", scale) == "auto"


def test_every_scale_has_a_shipped_model() -> None:
    shipped = {bundle.name: bundle.spec.enlargement for bundle in list_bundles()}
    for name in (None, "auto"):
        assert all(shipped[choose_model(name, scale)] == scale for scale in SCALES if scale > 1)


def test_a_scale_for_which_nothing_is_shipped() -> None:
    with pytest.raises(UsageError, match="no shipped model enlarges 7 times"):
        choose_model(None, 7)


def test_a_name_and_a_scale_are_a_model() -> None:
    assert choose_model("jscnn", 3) == "jscnn-x3"
    assert choose_model("jscnn-x3", 3) == "jscnn-x3"
    with pytest.raises(UsageError, match="model jscnn-x3 enlarges 3 times, not 2"):
        choose_model("jscnn-x3", 2)


def test_a_named_model_has_to_enlarge_so_often(tmp_path: Path) -> None:
    twice = str(write_pixel_bundle(tmp_path / "twice", scale=2))
    assert choose_model(twice, None) == choose_model(twice, 2) == twice
    assert choose_model("none", 1) == "none"
    with pytest.raises(UsageError, match="enlarges 2 times, not 3"):
        choose_model(twice, 3)
    with pytest.raises(UsageError, match="model cellnet enlarges 1 times, not 2"):
        choose_model("cellnet", 2)
