"""The command line as a whole: options, extensions, and how it ends."""

import os
import re
import signal
import subprocess
import time
from pathlib import Path

import pytest
from tests.kernels.images import synthetic
from tests.runtime.command_line import SCRIPT, CommandLine, Outcome, finish, start
from tests.runtime.jpegs import EXAMPLE, encode

COMMANDS = ("restore", "models", "info", "evaluate", "train", "export")
PHOTO = EXAMPLE / "example.jpg"


def test_version() -> None:
    outcome = finish(start("--version"))
    assert (outcome.code, outcome.err) == (0, "")
    assert re.fullmatch(r"jpegrt \d+\.\d+\.\d+\n", outcome.out)


def test_help_lists_all_commands_and_exit_codes(jpegrt: CommandLine) -> None:
    outcome = jpegrt("--help")
    assert outcome.code == 0
    listed = re.findall(r"^    (\w+) ", outcome.out, re.MULTILINE)
    assert sorted(listed) == sorted(COMMANDS)
    assert "exit codes:" in outcome.out


@pytest.mark.parametrize("command", COMMANDS)
def test_help_of_each_command(jpegrt: CommandLine, command: str) -> None:
    outcome = jpegrt(command, "--help")
    assert (outcome.code, outcome.err) == (0, "")
    assert f"usage: jpegrt {command}" in outcome.out
    assert "exit codes:" in outcome.out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "COMMAND"),
        (["repair"], "invalid choice: 'repair'"),
        (["restore"], "required: INPUT, -o/--output"),
        (["restore", PHOTO], "required: -o/--output"),
        (["restore", PHOTO, "-o", "a.png", "--fast"], "unrecognized arguments: --fast"),
        (["restore", PHOTO, "-o", "a.png", "--precision", "int4"], "invalid choice: 'int4'"),
        (["restore", PHOTO, "-o", "a.png", "--engine", "abacus"], "invalid choice: 'abacus'"),
        (["restore", PHOTO, "-o", "a.png", "--threads", "0"], "must be at least 1, not 0"),
        (["restore", PHOTO, "-o", "a.png", "--threads", "two"], "invalid"),
        (["restore", PHOTO, "-o", "a.png", "--threads", "5000000000"], "must be at most"),
        (["restore", PHOTO, "-o", "a.png", "--max-pixels", "-1"], "must be at least 1, not -1"),
        (["info", PHOTO, "--max-pixels", "9" * 30], "must be at most"),
        (["info"], "required: file"),
        (["models", "cellnet"], "unrecognized arguments: cellnet"),
        (["evaluate"], "required: --images"),
        (["evaluate", "--images", ".", "--quality", "101"], "must be from 1 to 100, not 101"),
        (["train", "cellnet"], "required: --data"),
        (["train", "cellnet", "--data", ".", "--steps", "0"], "must be at least 1, not 0"),
        (["export", "cellnet", "--data", "."], "required: -o/--output"),
    ],
)
def test_bad_options_are_usage_errors(
    jpegrt: CommandLine, arguments: list[str | Path], said: str
) -> None:
    outcome = jpegrt(*arguments)
    assert (outcome.code, outcome.out) == (2, "")
    assert "error: " in outcome.err.splitlines()[-1]
    assert said in outcome.err.splitlines()[-1]


@pytest.mark.parametrize("command", [["train", "cellnet"], ["export", "cellnet", "-o", "bundle"]])
def test_a_missing_package_is_named_with_its_extra(tmp_path: Path, command: list[str]) -> None:
    absent = "raise ModuleNotFoundError(\"No module named 'torch'\", name='torch')\n"
    (tmp_path / "torch.py").write_text(absent)
    path = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
    outcome = finish(start(*command, "--data", tmp_path, PYTHONPATH=path))
    assert (outcome.code, outcome.out) == (2, "")
    assert outcome.complaint == (
        f"jpegrt: jpegrt {command[0]} needs the package torch: "
        f"run pip install 'jpegrt[{command[0]}]'"
    )


@pytest.mark.parametrize("command", [["train"], ["export", "-o", "bundle"]])
def test_a_missing_recipe_is_refused(
    jpegrt: CommandLine, tmp_path: Path, command: list[str]
) -> None:
    outcome = jpegrt(*command, "--data", tmp_path, "no-such-recipe")
    assert (outcome.code, outcome.out) == (2, "")
    assert "no-such-recipe" in outcome.complaint
    assert "cellnet-large" in outcome.complaint  # one of those there are


@pytest.mark.parametrize("command", [["train"], ["export", "-o", "bundle"]])
def test_missing_data_are_refused(jpegrt: CommandLine, tmp_path: Path, command: list[str]) -> None:
    runs = tmp_path / "runs"
    outcome = jpegrt(*command, "--data", tmp_path, "--runs", runs, "cellnet")
    assert (outcome.code, outcome.out) == (2, "")
    assert outcome.complaint


def test_a_reader_that_leaves_is_no_error() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    result = subprocess.run(
        [SCRIPT, "models", "--json"], check=False, stdout=writing, stderr=subprocess.PIPE, text=True
    )
    os.close(writing)
    assert (result.returncode, result.stderr) == (0, "")


def wait_for(path: Path) -> None:
    deadline = time.monotonic() + 60
    while not path.exists():
        assert time.monotonic() < deadline, f"{path} did not appear"
        time.sleep(0.01)


def test_interrupt(tmp_path: Path) -> None:
    photo = encode(synthetic(200, 300), quality=20)
    inputs = [tmp_path / f"{n:03}.jpg" for n in range(300)]
    for path in inputs:
        path.write_bytes(photo)
    output = tmp_path / "out"
    process = start("restore", *inputs, "-o", output, "--threads", "1")
    wait_for(output / "002.png")
    process.send_signal(signal.SIGINT)
    outcome: Outcome = finish(process)
    assert outcome.code == 130
    assert outcome.complaint == "jpegrt: interrupted"
    written = os.listdir(output)
    assert 3 <= len(written) < 300
    assert {Path(name).suffix for name in written} == {".png"}
