"""The most memory that this process has had."""

import resource
import sys
from pathlib import Path


def peak_mib() -> float:
    """Resident, in MiB, since the process began."""
    status = Path("/proc/self/status")
    if status.exists():
        # What getrusage tells would be the parent's, if that had more before it started this one.
        for line in status.read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1 << 20 if sys.platform == "darwin" else 1 << 10)
