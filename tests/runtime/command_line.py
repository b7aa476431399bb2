"""The command line as a user meets it: exit code, stdout and stderr."""

import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from jpegrt.runtime.cli import main

SCRIPT = Path(sys.executable).with_name("jpegrt")


@dataclass(frozen=True)
class Outcome:
    code: int
    out: str
    err: str

    @property
    def complaint(self) -> str:
        """The one line on stderr."""
        assert len(self.err.splitlines()) == 1, self.err
        return self.err.strip()


class CommandLine:
    """Runs commands in this process, which is fast; `start` runs one in a process of its own."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys

    def __call__(self, *arguments: str | Path) -> Outcome:
        self._capsys.readouterr()
        try:
            code = main([str(argument) for argument in arguments])
        except SystemExit as exit_:  # argparse: --help, or an error in the options
            assert isinstance(exit_.code, int)
            code = exit_.code
        return Outcome(code, *self._capsys.readouterr())


def start(*arguments: str | Path, **environment: str) -> "subprocess.Popen[str]":
    """The installed script, in a process of its own."""
    assert SCRIPT.exists(), "the package is not installed: run scripts/setup.sh"
    # A shell's background job ignores Ctrl-C, and so would what it starts.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        return subprocess.Popen(
            [SCRIPT, *arguments],
            env={**os.environ, **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
    finally:
        signal.signal(signal.SIGINT, before)


def finish(process: "subprocess.Popen[str]") -> Outcome:
    out, err = process.communicate(timeout=60)
    return Outcome(process.returncode, out, err)
