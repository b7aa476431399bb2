"""The command line: `jpegrt COMMAND ...`."""

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from importlib.metadata import EntryPoint, entry_points, version

from jpegrt.runtime.cli import evaluate, info, models, restore
from jpegrt.runtime.errors import RestoreError

_EXIT_CODES = """\
exit codes:
  0  done
  1  an image could not be restored (the others were)
  2  the request cannot be met: a wrong option, an unknown model, a missing package
"""


def build_parser(extensions: Sequence[EntryPoint]) -> argparse.ArgumentParser:
    """The parser with the runtime's commands, and those that installed parts register."""
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
    _add(commands, "evaluate", "measure a model on a folder of originals", evaluate.configure)
    for extension in sorted(extensions, key=lambda e: e.name, reverse=True):
        _add(commands, extension.name, f"needs the extra [{extension.name}]", extension.load())
    return parser


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


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command; returns its exit code."""
    arguments = build_parser(list(entry_points(group="jpegrt.commands"))).parse_args(argv)
    try:
        code: int = arguments.run(arguments)
        return code
    except RestoreError as error:
        print(f"jpegrt: {error}", file=sys.stderr)
        return error.exit_code
    except BrokenPipeError:  # the reader of our output has gone, as `head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except KeyboardInterrupt:
        print("jpegrt: interrupted", file=sys.stderr)
        return 130
