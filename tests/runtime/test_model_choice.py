"""Which model a scale or a name stands for."""

from pathlib import Path

import pytest
from tests.runtime.pixel_bundles import write_pixel_bundle

from jpegrt.runtime.bundle import list_bundles
from jpegrt.runtime.cli.model_choice import SCALES, choose_model
from jpegrt.runtime.errors import UsageError


@pytest.mark.parametrize("scale", [None, 1])
def test_the_default_restores(scale: int | None) -> None:
    assert choose_model(None, scale) == "cellnet"


def test_every_scale_has_a_shipped_model_or_a_sentence() -> None:
    shipped = {bundle.name: bundle.spec.enlargement for bundle in list_bundles()}
    for scale in SCALES:
        if scale in shipped.values():
            assert shipped[choose_model(None, scale)] == scale
        else:
            with pytest.raises(UsageError, match=f"no shipped model enlarges {scale} times"):
                choose_model(None, scale)


def test_a_named_model_has_to_enlarge_so_often(tmp_path: Path) -> None:
    twice = str(write_pixel_bundle(tmp_path / "twice", scale=2))
    assert choose_model(twice, None) == choose_model(twice, 2) == twice
    assert choose_model("none", 1) == "none"
    with pytest.raises(UsageError, match="enlarges 2 times, not 3"):
        choose_model(twice, 3)
    with pytest.raises(UsageError, match="model cellnet enlarges 1 times, not 2"):
        choose_model("cellnet", 2)
