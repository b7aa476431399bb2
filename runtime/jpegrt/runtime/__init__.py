"""Sessions, bundles, engines and the command line. Never imports torch."""

from jpegrt.runtime.errors import RestoreError, UsageError
from jpegrt.runtime.session import Session

__all__ = ["RestoreError", "Session", "UsageError"]
