"""`jpegrt export`: ordinary mistakes are one line, and delete nothing."""

import sys
from pathlib import Path

import onnx
import pytest
from tests.export.fake_tensorrt import FakeTensorRt
from tests.export.small import random_network
from tests.runtime.command_line import CommandLine, Outcome
from tests.training.photographs import write_photographs, write_recipe

from jpegrt.runtime.bundle import find_bundle
from jpegrt.runtime.engine_files import read_facts
from jpegrt.training.networks import build_network
from jpegrt.training.networks.cellnet import CellNet
from jpegrt.training.recipe import load_recipe
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


CISR_RECIPE = """
[network]
architecture = "cisr"
groups = 1
blocks = 1
channels = 4
reduction = 2
unfoldings = 2

[data]
sets = ["meadows", "streets"]
patch_px = 32
validation_every = 4

[degradation]
scales = [2]
samplings = ["420"]

[schedule]
loss = "l1"
"""


@pytest.mark.slow
def test_cisr_as_a_bundle_and_as_a_single_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recipe = tmp_path / "small-cisr.toml"
    recipe.write_text(CISR_RECIPE)
    run = tmp_path / "runs" / recipe.stem
    run.mkdir(parents=True)
    save_weights(build_network(load_recipe(recipe).network), run / f"{recipe.stem}.safetensors")
    for name in ("meadows", "streets"):
        write_photographs(tmp_path / name, 2)
    jpegrt = CommandLine(capsys)
    options = ("--data", tmp_path, "--runs", tmp_path / "runs")

    bundle = tmp_path / "bundle"
    exported = jpegrt("export", recipe, *options, "-o", bundle, "--window", "12")
    assert exported.code == 0, exported.err
    spec = find_bundle(str(bundle)).spec
    assert (spec.unfoldings, spec.window_px, spec.enlargement) == (2, 12, 2)

    single = tmp_path / "cisr.onnx"
    exported = jpegrt("export", recipe, *options, "-o", single, "--single-file")
    assert exported.code == 0, exported.err
    assert exported.out.startswith(f"{single}: image, keys -> image_restored; at most ")
    onnx.checker.check_model(single)


def test_only_cisr_is_a_single_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output = tmp_path / "cellnet.onnx"
    outcome = export(tmp_path, capsys, random_network(channels=16), output, "--single-file")
    assert outcome.code == 2
    assert outcome.complaint == (
        "jpegrt: only cisr is written as a single file: leave out --single-file"
    )
    assert not output.exists()


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
