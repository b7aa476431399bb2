"""The command line as a whole: options, extensions, and how it ends."""

import errno
import os
import re
import shlex
import signal
import subprocess
import time
from pathlib import Path
from typing import NoReturn

import pytest
from tests.kernels.images import synthetic
from tests.runtime.command_line import SCRIPT, CommandLine, Outcome, finish, start
from tests.runtime.jpegs import EXAMPLE, encode

from jpegrt.kernels import NativeError, Status
from jpegrt.runtime.cli import models
from jpegrt.runtime.journal import JOURNAL_NAME

COMMANDS = (
    *("restore", "models", "info", "bench", "compare", "evaluate", "verify"),
    *("train", "export", "build", "inspect"),
)
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
    table = (EXAMPLE.parents[1] / "README.md").read_text().partition("| exit code |")[2]
    codes = re.findall(r"^\| (\d+) \| (.*) \|$", table, re.MULTILINE)
    assert [code for code, _ in codes] == ["0", "1", "2", "130"]
    for code, meaning in codes:
        assert f"{code} {meaning}" in " ".join(outcome.out.split())


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
        (["restore"], "required: -o/--output"),
        (["restore", PHOTO], "required: -o/--output"),
        (["restore", PHOTO, "-o", "a.png", "--fast"], "unrecognized arguments: --fast"),
        (["restore", PHOTO, "-o", "a.png", "--precision", "int4"], "invalid choice: 'int4'"),
        (["restore", PHOTO, "-o", "a.png", "--engine", "abacus"], "invalid choice: 'abacus'"),
        (["restore", PHOTO, "-o", "a.png", "--threads", "0"], "from 1 to 1024, not 0"),
        (["restore", PHOTO, "-o", "a.png", "--threads", "two"], "a number from 1 to 1024"),
        (["restore", PHOTO, "-o", "a.png", "--threads", "1025"], "from 1 to 1024, not 1025"),
        (["restore", PHOTO, "-o", "a.png", "--max-pixels", "-1"], "must be a number from 1 to"),
        (["info", PHOTO, "--max-pixels", "9" * 30], "must be a number from 1 to"),
        (["info"], "required: file"),
        (["models", "cellnet", "jscnn-x2"], "unrecognized arguments: jscnn-x2"),
        (["evaluate"], "required: --images"),
        (["evaluate", "--images", ".", "--quality", "101"], "a number from 1 to 100, not 101"),
        (["evaluate", "--images", ".", "--quality", "low"], "a number from 1 to 100, not low"),
        (["train", "cellnet"], "required: --data"),
        (["train", "cellnet", "--data", ".", "--steps", "0"], "must be a number from 1 to"),
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


@pytest.mark.parametrize(
    "command", [["build", "cellnet", "--target", "sm86"], ["inspect", "cellnet"]]
)
def test_commands_of_another_extra_name_that(tmp_path: Path, command: list[str]) -> None:
    absent = "raise ModuleNotFoundError(\"No module named 'onnx'\", name='onnx')\n"
    (tmp_path / "onnx.py").write_text(absent)
    path = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
    outcome = finish(start(*command, PYTHONPATH=path))
    assert (outcome.code, outcome.out) == (2, "")
    assert outcome.complaint == (
        f"jpegrt: jpegrt {command[0]} needs the package onnx: run pip install 'jpegrt[export]'"
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


@pytest.mark.parametrize("command", [("models",), ("info", PHOTO), ("--help",)])
def test_a_full_stdout_is_told_in_one_line(command: tuple[str | Path, ...]) -> None:
    with open("/dev/full", "w") as full:
        result = subprocess.run(
            [SCRIPT, *command],
            env={**os.environ, "PYTHONUNBUFFERED": ""},  # argparse ignores what fails at once
            check=False,
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
        )
    assert result.returncode == 1
    assert result.stderr == "jpegrt: stdout cannot be written: No space left on device\n"


def test_a_full_stdout_matters_only_to_what_prints() -> None:
    with open("/dev/full", "w") as full:
        result = subprocess.run(
            [SCRIPT, "restore", "none.jpg", "-o", "out.txt"],
            check=False,
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
        )
    assert result.returncode == 2
    assert len(result.stderr.splitlines()) == 1


def test_a_closed_stdout_is_no_error() -> None:
    result = subprocess.run(
        f"{shlex.quote(str(SCRIPT))} models >&-", shell=True, check=False, stderr=subprocess.PIPE
    )
    assert (result.returncode, result.stderr) == (0, b"")


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (MemoryError(), "not enough memory"),
        (OSError(errno.EIO, "Input/output error"), "Input/output error"),
        (NativeError(Status.NO_MEMORY, "out of\nmemory"), "out of memory"),
    ],
)
def test_what_no_command_foresaw_is_told_in_one_line(
    jpegrt: CommandLine, monkeypatch: pytest.MonkeyPatch, error: Exception, said: str
) -> None:
    def fail() -> NoReturn:
        raise error

    monkeypatch.setattr(models, "list_bundles", fail)
    outcome = jpegrt("models")
    assert (outcome.code, outcome.out) == (1, "")
    assert outcome.complaint.startswith("jpegrt: ")
    assert said in outcome.complaint


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
    written = os.listdir(output)
    written.remove(JOURNAL_NAME)
    assert outcome.complaint == (
        f"jpegrt: interrupted; {len(written)} of 300 are finished: to go on, run the same command "
        "with --resume"
    )
    assert 3 <= len(written) < 300
    assert {Path(name).suffix for name in written} == {".png"}
