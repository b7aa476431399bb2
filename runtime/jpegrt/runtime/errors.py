"""Errors that concern the user: the text is one sentence that says what to do."""


class RestoreError(Exception):
    """Something about an image, a model or the machine. The command line exits with `exit_code`."""

    exit_code = 1


class UsageError(RestoreError):
    """Nothing was tried: the request itself cannot be met."""

    exit_code = 2
