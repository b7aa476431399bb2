"""Energy counters: RAPL's of the processors, and the driver's of an NVIDIA GPU."""

import ctypes as ct
from contextlib import suppress
from pathlib import Path
from typing import Protocol

POWERCAP = Path("/sys/class/powercap")
_NVML = "libnvidia-ml.so.1"


class Meter(Protocol):
    """Counts joules. name: what it counts."""

    name: str

    def joules(self) -> float:
        """Used since some moment in the past."""


class Rapl:
    """The packages' counters of Linux's powercap. Raises OSError if there are none to be read."""

    name = "processor packages (RAPL)"

    def __init__(self, folder: Path = POWERCAP) -> None:
        # One colon: a package. Two: a part of one, such as its cores.
        zones = [zone for zone in sorted(folder.glob("*-rapl:*")) if zone.name.count(":") == 1]
        if not zones:
            raise FileNotFoundError("there are no RAPL counters")
        self._counters = [zone / "energy_uj" for zone in zones]
        self._ranges = [int((zone / "max_energy_range_uj").read_text()) for zone in zones]
        self._last = [int(counter.read_text()) for counter in self._counters]
        self._used = 0

    def joules(self) -> float:
        for index, counter in enumerate(self._counters):
            now = int(counter.read_text())
            self._used += (now - self._last[index]) % (self._ranges[index] + 1)  # it wraps around
            self._last[index] = now
        return self._used / 1e6


class Nvml:
    """The counter of the first NVIDIA GPU. Raises OSError without a driver that has one."""

    name = "GPU (NVML)"

    def __init__(self, library: ct.CDLL | None = None) -> None:
        self._nvml = library or ct.CDLL(_NVML)
        self._device = ct.c_void_p()
        if self._nvml.nvmlInit_v2() or self._nvml.nvmlDeviceGetHandleByIndex_v2(
            0, ct.byref(self._device)
        ):
            raise OSError("NVML has no device")
        self.joules()

    def joules(self) -> float:
        millijoules = ct.c_ulonglong()
        if self._nvml.nvmlDeviceGetTotalEnergyConsumption(self._device, ct.byref(millijoules)):
            raise OSError("NVML counts no energy on this device")
        return millijoules.value / 1e3


def find_meter(device: str) -> Meter | None:
    """That of "cpu" or "cuda", None where there is none, or only the administrator may read it."""
    with suppress(OSError):
        return Nvml() if device == "cuda" else Rapl()
    return None
