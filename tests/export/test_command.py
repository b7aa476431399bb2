"""`jpegrt export`: ordinary mistakes are one line, and delete nothing."""

import sys
from pathlib import Path

import pytest
from tests.export.fake_tensorrt import FakeTensorRt
from tests.export.small import random_network
from tests.runtime.command_line import CommandLine, Outcome
from tests.training.photographs import write_photographs, write_recipe

from jpegrt.runtime.engine_files import read_facts
from jpegrt.training.networks.cellnet import CellNet
from jpegrt.training.weights import save_weights


@pytest.fixture
def output(tmp_path: Path) -> Path:
    folder = tmp_path / "output"
    folder.mkdir()
    return folder


def export(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    network: CellNet,
    output: Path,
    *options: str,
) -> Outcome:
    recipe, runs = write_recipe(tmp_path), tmp_path / "runs"
    (runs / recipe.stem).mkdir(parents=True)
    save_weights(network, runs / recipe.stem / f"{recipe.stem}.safetensors")
    for name in ("meadows", "streets"):
        write_photographs(tmp_path / name, 2)
    jpegrt = CommandLine(capsys)
    return jpegrt("export", recipe, "--data", tmp_path, "--runs", runs, "-o", output, *options)


def test_a_folder_that_is_no_bundle_is_kept(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], output: Path
) -> None:
    (output / "photo.png").write_bytes(b"precious")
    outcome = export(tmp_path, capsys, random_network(channels=16), output)
    assert (outcome.code, outcome.out) == (2, "")
    assert f"{output} is not a bundle" in outcome.complaint
    assert (output / "photo.png").read_bytes() == b"precious"


def test_weights_of_another_network_are_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], output: Path
) -> None:
    outcome = export(tmp_path, capsys, random_network(channels=8), output)
    assert (outcome.code, outcome.out) == (2, "")
    assert "weights of recipe small-luma" in outcome.complaint
    assert "do not fit" in outcome.complaint


@pytest.mark.slow
def test_fp16_from_weights_to_an_engine(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    output: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    exported = export(tmp_path, capsys, random_network(channels=16), output, "--precision", "fp16")
    assert exported.code == 0, exported.err
    assert exported.out == f"{output}: fp32, fp16, default fp32\n"
    jpegrt = CommandLine(capsys)
    verified = jpegrt("verify", output, "--precision", "fp16", "--quality", "40", "--threads", "1")
    assert verified.code == 0, verified.out
    monkeypatch.setitem(sys.modules, "tensorrt_rtx", FakeTensorRt("rtx"))
    command = ("build", output, "-o", tmp_path / "engines", "--target", "sm75")
    built = jpegrt(*command, "--precision", "fp16", "int8")
    assert built.code == 2
    assert "model output has no precision int8" in built.complaint.splitlines()[-1]
    built = jpegrt(*command, "--precision", "fp16")
    assert built.code == 0, built.err
    assert "deriving" not in built.err
    facts = read_facts(tmp_path / "engines" / "440.fp16.rtx-1.7.1.sm75.engine")
    assert (facts.model, facts.source) == ("output", "440.fp16.onnx")
