"""`jpegrt models`."""

import json
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest
from tests.runtime.command_line import CommandLine

from jpegrt.runtime import bundle
from jpegrt.runtime.bundle import list_bundles


def test_text(jpegrt: CommandLine) -> None:
    outcome = jpegrt("models")
    assert (outcome.code, outcome.err) == (0, "")
    for shipped in list_bundles():
        assert f"{shipped.name}: {shipped.manifest['summary']}" in outcome.out
    assert "int8 (default)" in outcome.out
    assert "grey, 420, 444, 422, 440" in outcome.out
    assert "licence     Apache-2.0" in outcome.out


def test_json(jpegrt: CommandLine) -> None:
    outcome = jpegrt("models", "--json")
    assert (outcome.code, outcome.err) == (0, "")
    assert json.loads(outcome.out) == [shipped.manifest for shipped in list_bundles()]


def test_measured_quality_is_shown(
    jpegrt: CommandLine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(bundle.shipped_bundles() / "cellnet", tmp_path / "bundles" / "cellnet")
    path = tmp_path / "bundles" / "cellnet" / bundle.MANIFEST
    row = {
        "set": "photos",
        "qualities": [10, 90],
        "jpeg_psnr_db": [27.5, 40],
        "psnr_db": [29, 40.5],
    }
    path.write_text(json.dumps({**json.loads(path.read_text()), "quality": [row]}))
    monkeypatch.setattr(bundle, "resources", SimpleNamespace(files=lambda _: tmp_path))
    assert "Q10 29.00 (+1.50)  Q90 40.50 (+0.50)" in jpegrt("models").out
