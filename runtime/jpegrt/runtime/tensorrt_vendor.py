"""The Python modules of TensorRT's flavours, which share one API: to import, and to listen to."""

from importlib import import_module
from typing import Any

from jpegrt.runtime.errors import UsageError, one_line

# flavour -> (modules that run its engines, the better named first; the extra that installs one)
RUNTIME_MODULES = {
    "rtx": (("tensorrt_rtx", "tensorrt_rtx_bindings"), "rtx"),
    "tensorrt": (("tensorrt",), "tensorrt"),
    "lean": (("tensorrt_lean",), "lean"),
}


def import_first(modules: tuple[str, ...]) -> Any:
    """The first of the modules that is installed, None if there is none. Raises UsageError."""
    for name in modules:
        try:
            return import_module(name)
        except ModuleNotFoundError:
            continue
        except (ImportError, OSError) as error:
            raise UsageError(f"{name} cannot be imported: {one_line(error)}") from error
    return None


def import_runtime(flavour: str) -> Any:
    """The module that runs a flavour's engines. Raises UsageError."""
    modules, extra = RUNTIME_MODULES[flavour]
    if (module := import_first(modules)) is None:
        raise UsageError(f"{modules[0]} is not installed: run pip install 'jpegrt[{extra}]'")
    return module


def make_log(trt: Any) -> Any:
    """A logger for a flavour's module, which prints nothing.

    Its text is the first error since it was last forgotten: the others follow from it.
    """

    class Log(trt.ILogger):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.errors: list[str] = []

        def log(self, severity: Any, message: str) -> None:
            if severity <= trt.ILogger.Severity.ERROR:
                self.errors.append(message)

        def forget(self) -> None:
            self.errors.clear()

        def __str__(self) -> str:
            return self.errors[0] if self.errors else "it gave no reason"

    return Log()
