"""`jpegrt verify`: what a precision costs is found on any machine, and a bad engine is found out."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tests.runtime.command_line import CommandLine

from jpegrt.kernels import Engine, Tensors, read_coefficients
from jpegrt.runtime import Session
from jpegrt.runtime.bundle import find_bundle
from jpegrt.runtime.engines import create_engine
from jpegrt.runtime.metrics import psnr
from jpegrt.runtime.verification import Verification, encode_440, shipped_original, verify

QUICK = ("--quality", "40", "--threads", "1")


class Changed:
    """An engine whose answers are changed: by an addition, or in one value."""

    def __init__(self, engine: Engine, addition: float = 0, one_value: float | None = None) -> None:
        self._engine, self._addition, self._one_value = engine, addition, one_value

    def run(self, graph: str, inputs: Tensors, outputs: Tensors) -> None:
        self._engine.run(graph, inputs, outputs)
        for tensor in outputs.values():
            tensor += self._addition
        if self._one_value is not None:
            outputs["luma_restored"][0, 0, 0, 0] = self._one_value


def verify_changed(
    tolerance_db: float = 1, bias_levels: float = 0.1, **change: float
) -> Verification:
    bundle = find_bundle("cellnet")
    engine = create_engine("onnxruntime", bundle, "fp32", threads=1)
    originals = [shipped_original()[:64, :96]]
    changed = Changed(engine, **change)
    return verify(bundle.spec, engine, changed, originals, [40], tolerance_db, bias_levels)


def test_an_engine_equals_itself() -> None:
    result = verify_changed(0, 0)
    assert result.passed
    assert [row.graph for row in result.comparisons] == ["grey", "420", "444", "422", "440"]
    assert all(row.largest_error == 0 == row.psnr_change_db for row in result.comparisons)


def test_a_colour_cast_fails() -> None:
    result = verify_changed(addition=0.5 / 255)
    assert not result.passed
    assert result.largest_bias == pytest.approx(0.5, abs=1e-3)
    assert [len(row.bias) for row in result.comparisons] == [1, 3, 3, 3, 3]
    needed = re.search(r"--bias ([\d.]+) would pass", result.verdict())
    assert needed
    assert verify_changed(addition=0.5 / 255, bias_levels=float(needed[1])).passed


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_one_value_that_is_not_finite_fails(value: float) -> None:
    result = verify_changed(one_value=value)
    assert not result.passed
    assert "not finite" in result.verdict()
    json.dumps(result.to_json(), allow_nan=False)


def test_the_shipped_original_is_the_examples_centre() -> None:
    with Image.open(Path(__file__).parents[2] / "scripts" / "example" / "example.png") as image:
        centre = np.asarray(image.convert("RGB"))[64:-64, 128:-128]
    np.testing.assert_array_equal(shipped_original(), centre)


def test_440_files_are_what_they_say() -> None:
    original = shipped_original()
    jpeg = encode_440(original, 95)
    assert read_coefficients(jpeg).subsampling == "4:4:0"
    assert psnr(Session("none").restore(jpeg), original) > 35


def test_command_passes_and_fails_by_the_tolerance(capsys: pytest.CaptureFixture[str]) -> None:
    jpegrt = CommandLine(capsys)
    command = ("verify", "cellnet", "--precision", "int8", "--engine", "onnxruntime", *QUICK)
    failed = jpegrt(*command, "--tolerance", "0")
    assert (failed.code, failed.err) == (1, "")
    needed = re.search(r"--tolerance ([\d.]+) would pass", failed.out)
    assert needed and float(needed[1]) > 0.01
    passed = jpegrt(*command, "--tolerance", needed[1], "--json")
    assert passed.code == 0
    report = json.loads(passed.out)
    assert (report["precision"], report["engine"], report["passed"]) == (
        "int8",
        "onnxruntime",
        True,
    )
    assert 0 < report["loss_db"] <= float(needed[1])
    assert len(report["comparisons"]) == 5


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (("--device", "0"), "engine onnxruntime runs on the CPU: name no device"),
        (("--engines", "."), "engine onnxruntime runs a model's own graphs: name no folder of"),
    ],
)
def test_command_refuses_what_would_do_nothing(
    capsys: pytest.CaptureFixture[str], options: tuple[str, ...], complaint: str
) -> None:
    outcome = CommandLine(capsys)("verify", "cellnet", "--engine", "onnxruntime", *options)
    assert (outcome.code, outcome.out) == (2, "")
    assert complaint in outcome.complaint


def test_command_takes_images(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    jpegrt = CommandLine(capsys)
    command = ("verify", "cellnet", "--precision", "fp32", "--images", tmp_path, *QUICK)
    assert "holds no lossless images" in jpegrt(*command).complaint
    for number in range(2):
        Image.fromarray(shipped_original()[16 * number :, :100]).save(tmp_path / f"{number}.png")
    outcome = jpegrt(*command)
    assert outcome.code == 0
    assert "images: 2" in outcome.out
    Image.new("RGB", (8, 300)).save(tmp_path / "narrow.png")
    assert "16 pixels a side are needed" in jpegrt(*command).complaint
