"""Errors that concern the user: the text is one sentence that says what to do."""

from collections.abc import Iterator
from contextlib import contextmanager


class RestoreError(Exception):
    """Something about an image, a model or the machine. The command line exits with `exit_code`."""

    exit_code = 1


class UsageError(RestoreError):
    """Nothing was tried: the request itself cannot be met."""

    exit_code = 2


def one_line(error: BaseException) -> str:
    """An error's text on one line: other people's libraries spread theirs over several."""
    return " ".join(str(error).split())


@contextmanager
def usage_errors() -> Iterator[None]:
    """Makes UsageErrors of what files that are not there and values that are wrong raise."""
    try:
        yield
    except (FileNotFoundError, ValueError) as error:
        raise UsageError(one_line(error)) from error
