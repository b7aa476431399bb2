"""The machine, its decoders and its clock, as far as the system tells."""

import os
import platform
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
from PIL import features

from jpegrt.kernels.libjpeg import libjpeg_version
from jpegrt.runtime.session import usable_cpus

# Of what a network or a decoder can make use of, narrowest first.
_SIMD = (
    "sse4_2",
    "avx2",
    "fma",
    "f16c",
    "avx512f",
    "avx512bw",
    "avx_vnni",
    "avx512_vnni",
    "avx512_bf16",
    "avx512_fp16",
    "amx_bf16",
    "amx_int8",
    "asimd",
    "asimddp",
    "i8mm",
    "bf16",
    "sve",
    "sve2",
)
_PACKAGES = ("jpegrt", "numpy", "pillow", "onnxruntime", "onnxruntime-gpu", "openvino", "torch")
# From where on the machine is not called idle: load a CPU, a block over the median, part of the time.
_BUSY, _UNSTEADY, _STOLEN = 0.5, 1.5, 0.02
_CPUFREQ = Path("/sys/devices/system/cpu/cpu0/cpufreq")


def describe_machine() -> dict[str, Any]:
    cpu = _cpuinfo()
    flags = set(cpu.get("flags", cpu.get("Features", "")).split())
    return {
        "cpu": cpu.get("model name", platform.processor() or platform.machine()),
        "architecture": platform.machine(),
        "simd": [name for name in _SIMD if name in flags],
        "cpus": os.cpu_count(),
        "usable_cpus": usable_cpus(),
        "memory_gib": _memory_gib(),
        "system": f"{platform.system()} {platform.release()}",
        "governor": _line(_CPUFREQ / "scaling_governor"),
        "largest_mhz": _mhz(_CPUFREQ / "cpuinfo_max_freq"),
        "load_average": round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None,
    }


def describe_decoders() -> dict[str, object]:
    """jpegrt reads with the system's libjpeg, Pillow brings its own: both are named.

    JSIMD_* are the variables by which libjpeg-turbo's instruction sets are switched off.
    """
    switches = {name: value for name, value in os.environ.items() if name.startswith("JSIMD_")}
    return {
        "jpegrt": libjpeg_version(),
        "pillow": "libjpeg-turbo " + str(features.version_feature("libjpeg_turbo"))
        if features.check_feature("libjpeg_turbo")
        else f"libjpeg {features.version_codec('jpg')}",
        "simd_switches": switches,
    }


def describe_versions() -> dict[str, str]:
    """Of Python and the packages that are installed."""
    found = {"python": sys.version.split()[0]}
    for name in _PACKAGES:
        with suppress(PackageNotFoundError):
            found[name] = version(name)
    return found


@dataclass(frozen=True)
class ClockReport:
    """How steady the processor was: a fixed computation, timed in every round.

    slowest, fastest: over its median. stolen: the part of the time that a hypervisor gave to others;
    None where the system does not tell.
    """

    median_ms: float
    fastest: float
    slowest: float
    stolen: float | None

    def to_json(self) -> dict[str, object]:
        return asdict(self)


def report_clock(blocks_s: Sequence[float], stolen: float | None) -> ClockReport:
    middle = float(np.median(blocks_s))
    fastest, slowest = (float(np.quantile(blocks_s, q)) / middle for q in (0.0, 1.0))
    return ClockReport(round(1e3 * middle, 4), round(fastest, 4), round(slowest, 4), stolen)


def warnings_of(load_average: float | None, usable_cpus: int, clock: ClockReport) -> list[str]:
    """A sentence for each sign that the machine was not idle: ratios may hold, times do not."""
    signs = []
    if load_average is not None and load_average > _BUSY * usable_cpus:
        signs.append(f"the machine was busy before the run (load {load_average:g})")
    if clock.slowest > _UNSTEADY:
        signs.append(f"a fixed computation once took {clock.slowest:.1f} times its median")
    if clock.stolen is not None and clock.stolen > _STOLEN:
        signs.append(f"{clock.stolen:.0%} of the time went to other virtual machines")
    return signs


class StolenTime:
    """What /proc/stat says that a hypervisor took, from when this is made."""

    def __init__(self, stat: Path = Path("/proc/stat")) -> None:
        self._stat = stat
        self._began = self._read()

    def part(self) -> float | None:
        now = self._read()
        if not now or not self._began:
            return None
        total = sum(now[:8]) - sum(self._began[:8])
        return round((now[7] - self._began[7]) / total, 4) if total > 0 else 0.0

    def _read(self) -> list[int]:
        line = _line(self._stat) or ""
        fields = [int(field) for field in line.split()[1:]]
        return fields if len(fields) >= 8 else []


def fixed_work() -> None:
    """About a third of a millisecond that depends on the processor's clock alone."""
    total = 0
    for number in range(5000):
        total += number * number


def _cpuinfo() -> dict[str, str]:
    found: dict[str, str] = {}
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            key, _, value = line.partition(":")
            found.setdefault(key.strip(), value.strip())
    return found


def _memory_gib() -> float | None:
    with suppress(AttributeError, ValueError, OSError):
        return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / (1 << 30), 1)
    return None


def _line(path: Path) -> str | None:
    with suppress(OSError), path.open() as file:
        return file.readline().strip()
    return None


def _mhz(path: Path) -> int | None:
    line = _line(path)
    return int(line) // 1000 if line and line.isdigit() else None
