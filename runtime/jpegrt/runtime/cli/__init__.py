"""The command line: `jpegrt COMMAND ...`."""

import argparse
import logging
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib.metadata import EntryPoint, entry_points, version

from jpegrt.kernels import NativeError
from jpegrt.runtime.cli import bench, compare, evaluate, info, models, restore, verify
from jpegrt.runtime.cli.stdout import finish
from jpegrt.runtime.errors import RestoreError, UsageError, one_line

_EXIT_CODES = """\
exit codes:
  0    done
  1    an image could not be restored, or a result not be written; restore went on
       with the other images
  2    the request cannot be met, and nothing was tried: a wrong option, an unknown
       model, an output that exists or cannot be written, a missing package
  130  interrupted
"""


# Of commands that other parts register, and whose extra has another name.
_EXTRAS = {"build": "export", "inspect": "export"}


def build_parser(extensions: Sequence[EntryPoint], command: str | None) -> argparse.ArgumentParser:
    """The parser with the runtime's commands, and those that other parts register.

    Of these only `command` is loaded: they may be slow to import, or lack a package.
    """
    parser = argparse.ArgumentParser(
        prog="jpegrt",
        description="Restores JPEGs from their DCT coefficients.",
        epilog=_EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"jpegrt {version('jpegrt')}")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    _add(commands, "restore", "restore JPEGs", restore.configure)
    _add(commands, "models", "list the models there are", models.configure)
    _add(commands, "info", "show what a JPEG is made of", info.configure)
    _add(commands, "compare", "show two versions of an image on one page", compare.configure)
    _add(commands, "evaluate", "measure a model on a folder of originals", evaluate.configure)
    _add(commands, "bench", "measure the time beside a plain decode", bench.configure)
    _add(commands, "verify", "compare an engine and a precision with fp32", verify.configure)
    for extension in sorted(extensions, key=lambda e: e.name, reverse=True):
        configure = _load(extension) if extension.name == command else _nothing
        _add(commands, extension.name, f"(with the extra [{_extra(extension.name)}])", configure)
    return parser


def _extra(command: str) -> str:
    return _EXTRAS.get(command, command)


def _nothing(parser: argparse.ArgumentParser) -> None:
    """Configures a command that is only listed."""


def _load(extension: EntryPoint) -> Callable[[argparse.ArgumentParser], None]:
    with _extra_needed(extension.name):
        configure: Callable[[argparse.ArgumentParser], None] = extension.load()
        return configure


@contextmanager
def _extra_needed(name: str) -> Iterator[None]:
    """Turns a missing package into the sentence that says how to get it."""
    try:
        yield
    except ModuleNotFoundError as error:
        raise UsageError(
            f"jpegrt {name} needs the package {error.name}: run pip install 'jpegrt[{_extra(name)}]'"
        ) from error


def _add(
    commands: "argparse._SubParsersAction[argparse.ArgumentParser]",
    name: str,
    summary: str,
    configure: Callable[[argparse.ArgumentParser], None],
) -> None:
    configure(
        commands.add_parser(
            name,
            help=summary,
            epilog=_EXIT_CODES,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
    )


class _Stderr(logging.Handler):
    """Shows what takes its time, as building an engine does."""

    def emit(self, record: logging.LogRecord) -> None:
        print(f"jpegrt: {one_line(record.getMessage())}", file=sys.stderr, flush=True)


def _show_log() -> None:
    log = logging.getLogger("jpegrt")
    log.setLevel(logging.INFO)
    if not log.handlers:
        log.addHandler(_Stderr())


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command; returns its exit code."""
    _show_log()
    code = 0
    try:
        try:
            code = _run(argv)
        finally:
            finish()
    except BrokenPipeError:
        return code
    except RestoreError as error:
        return _complain(error, error.exit_code)
    return code


def _run(argv: Sequence[str] | None) -> int:
    argv = sys.argv[1:] if argv is None else argv
    extensions = list(entry_points(group="jpegrt.commands"))
    command = argv[0] if argv else None
    try:
        arguments = build_parser(extensions, command).parse_args(argv)
        if any(extension.name == command for extension in extensions):
            with _extra_needed(str(command)):
                return int(arguments.run(arguments))
        return int(arguments.run(arguments))
    except RestoreError as error:
        return _complain(error, error.exit_code)
    except BrokenPipeError:  # the reader of our output has gone, as `head` does
        return 0
    except KeyboardInterrupt as error:
        return _complain(str(error) or "interrupted", 130)
    except (OSError, MemoryError, NativeError) as error:  # what no command foresaw
        return _complain(str(error) or "not enough memory", 1)


def _complain(reason: object, code: int) -> int:
    print(f"jpegrt: {one_line(reason)}", file=sys.stderr)
    return code
