"""Errors that concern the user: the text is one sentence that says what to do."""

from collections.abc import Iterator
from contextlib import contextmanager


class RestoreError(Exception):
    """Something about an image, a model or the machine. The command line exits with `exit_code`."""

    exit_code = 1


class UsageError(RestoreError):
    """Nothing was tried: the request itself cannot be met."""

    exit_code = 2


def one_line(text: object) -> str:
    """A message or an error's text on one line that any terminal can show.

    Other people's libraries spread theirs over several lines, and file names hold any byte.
    """
    spaced = " ".join(str(text).split())
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in spaced)


@contextmanager
def usage_errors() -> Iterator[None]:
    """Makes UsageErrors of what files that are not there and values that are wrong raise."""
    try:
        yield
    except (FileNotFoundError, ValueError) as error:
        raise UsageError(one_line(error)) from error
