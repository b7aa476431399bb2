"""Sessions, bundles, engines and the command line. Never imports torch."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from jpegrt.runtime.errors import RestoreError, UsageError
from jpegrt.runtime.session import Session

if TYPE_CHECKING:
    from jpegrt.runtime.comparison import Comparison, compare
    from jpegrt.runtime.restoration import Restoration, restore

__all__ = [
    "Comparison",
    "Restoration",
    "RestoreError",
    "Session",
    "UsageError",
    "compare",
    "restore",
]

# Imported when they are first asked for: a program that has a Session needs none of it.
_ON_DEMAND = {
    "Comparison": "comparison",
    "compare": "comparison",
    "Restoration": "restoration",
    "restore": "restoration",
}


def __getattr__(name: str) -> Any:
    if name not in _ON_DEMAND:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_ON_DEMAND[name]}"), name)
