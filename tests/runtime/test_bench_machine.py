"""What a benchmark says of the machine: energy, stolen time, memory, cold starts, tools."""

import ctypes as ct
import os
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from tests.runtime.jpegs import EXAMPLE

from jpegrt.runtime import RestoreError
from jpegrt.runtime.bench import machine, peers
from jpegrt.runtime.bench.cold_start import Process, measure_cold_start
from jpegrt.runtime.bench.energy import Nvml, Rapl
from jpegrt.runtime.bench.workload import Picture, make_case
from jpegrt.runtime.verification import shipped_original

PICTURE = Picture("photograph", shipped_original()[:48, :64])


def zone(folder: Path, name: str, microjoules: int, largest: int = 1000) -> Path:
    path = folder / name
    path.mkdir()
    (path / "energy_uj").write_text(f"{microjoules}\n")
    (path / "max_energy_range_uj").write_text(f"{largest}\n")
    return path / "energy_uj"


def test_packages_are_added_up_and_counters_wrap_around(tmp_path: Path) -> None:
    first, second = zone(tmp_path, "intel-rapl:0", 990), zone(tmp_path, "intel-rapl:1", 5)
    zone(tmp_path, "intel-rapl:0:0", 0)  # a part of the first, which would count twice
    meter = Rapl(tmp_path)
    assert meter.joules() == 0
    first.write_text("9")  # 1000 is followed by 0
    second.write_text("15")
    assert meter.joules() == pytest.approx((20 + 10) / 1e6)
    second.write_text("16")
    assert meter.joules() == pytest.approx(31 / 1e6)


def test_no_counter_is_an_os_error(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="RAPL"):
        Rapl(tmp_path)


def nvml(status: int) -> Any:
    def energy(device: object, out: Any) -> int:
        ct.cast(out, ct.POINTER(ct.c_ulonglong))[0] = 2500
        return status

    return SimpleNamespace(
        nvmlInit_v2=lambda: 0,
        nvmlDeviceGetHandleByIndex_v2=lambda index, out: 0,
        nvmlDeviceGetTotalEnergyConsumption=energy,
    )


def test_a_gpu_s_counter_is_in_millijoules() -> None:
    assert Nvml(nvml(0)).joules() == 2.5
    with pytest.raises(OSError, match="energy"):
        Nvml(nvml(3))


def test_stolen_time_is_a_part_of_all_time(tmp_path: Path) -> None:
    stat = tmp_path / "stat"
    stat.write_text("cpu 100 0 100 700 50 0 0 50 9 9\ncpu0 1 1\n")
    stolen = machine.StolenTime(stat)
    assert stolen.part() == 0
    stat.write_text("cpu 150 0 120 720 50 0 0 60 9 9\n")
    assert stolen.part() == 0.1
    assert machine.StolenTime(tmp_path / "none").part() is None


def test_the_clock_is_reported_by_its_extremes() -> None:
    report = machine.report_clock([0.002, 0.001, 0.004], 0.25).to_json()
    assert report == {"median_ms": 2, "fastest": 0.5, "slowest": 2, "stolen": 0.25}


def test_a_machine_that_is_not_idle_is_told() -> None:
    steady, unsteady = (machine.ClockReport(0.2, 0.99, slowest, 0.0) for slowest in (1.1, 2.25))
    stolen = machine.ClockReport(0.2, 0.99, 1.1, 0.1)
    assert machine.warnings_of(0.4, 2, steady) == machine.warnings_of(None, 2, steady) == []
    assert machine.warnings_of(1.5, 2, steady) == ["the machine was busy before the run (load 1.5)"]
    assert machine.warnings_of(0, 2, unsteady) == [
        "a fixed computation once took 2.2 times its median"
    ]
    assert machine.warnings_of(0, 2, stolen) == ["10% of the time went to other virtual machines"]


def test_the_machine_is_described_without_paths_and_names() -> None:
    described = machine.describe_machine()
    assert described["cpu"] and described["cpus"]
    assert os.uname().nodename not in str(described)
    decoders = machine.describe_decoders()
    assert str(decoders["jpegrt"]).startswith("libjpeg")
    assert str(decoders["pillow"]).startswith("libjpeg")
    assert {"python", "numpy", "pillow", "jpegrt"} <= set(machine.describe_versions())


DECODER = Process("none", "-", "auto", 1)


def test_memory_is_that_of_the_image(tmp_path: Path) -> None:
    large = tmp_path / "large.jpg"
    large.write_bytes(make_case(PICTURE.enlarged_to(2000, 3000), 50, "420").jpeg)
    more = DECODER.peak_mib(large) - DECODER.peak_mib(EXAMPLE / "example.jpg")
    assert 3 * 6e6 / 2**20 < more < 100  # the pixels alone, and the coefficients


def test_a_cold_start_is_timed_from_the_process_s_start() -> None:
    found = measure_cold_start(DECODER, EXAMPLE / "example.jpg", 1)
    assert 0 < found.imported_ms < found.opened_ms < found.first_ms
    assert 0 < found.warm_ms < found.first_ms
    assert 10 < found.peak_mib < 500


def test_a_process_that_fails_says_why(tmp_path: Path) -> None:
    with pytest.raises(RestoreError, match="No such file"):
        measure_cold_start(DECODER, tmp_path / "missing.jpg", 1)


CASE = make_case(PICTURE, 50, "420")


def put_on_path(folder: Path, program: str, script: str, monkeypatch: pytest.MonkeyPatch) -> None:
    path = folder / program
    path.write_text(script)
    path.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")


def test_tools_on_the_path_are_contenders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    assert peers.usable("420") == []
    assert peers.reasons_against(["grey"])[0] == "jpeg-quantsmooth: no jpegqs on the PATH"
    copying = '#!/bin/sh\n[ "$OMP_NUM_THREADS" = 3 ] && cp "$3" "$4"\n'
    put_on_path(tmp_path, "jpegqs", copying, monkeypatch)
    assert peers.usable("grey") == [peers.TOOLS[0]]
    contender, pixels = peers.contender(peers.TOOLS[0], CASE, tmp_path, threads=3)
    assert (contender.name, pixels.shape) == ("jpeg-quantsmooth", (48, 64, 3))
    assert contender.call() is None


def test_a_tool_that_writes_png(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    converting = (
        f"#!{sys.executable}\nimport sys\nfrom PIL import Image\n"
        "assert sys.argv[1] == '-f' and sys.argv[3] == '-o'\n"
        "Image.open(sys.argv[2]).save(sys.argv[4])\n"
    )
    put_on_path(tmp_path, "jpeg2png", converting, monkeypatch)
    assert peers.TOOLS[1] in peers.usable("420")
    assert peers.TOOLS[1] not in peers.usable("grey")
    assert "jpeg2png on grey JPEGs, which it does not take" in peers.reasons_against(["grey"])
    assert not any("jpeg2png" in reason for reason in peers.reasons_against(["420"]))
    _, pixels = peers.contender(peers.TOOLS[1], CASE, tmp_path, threads=1)
    assert pixels.shape == (48, 64, 3)


def test_a_tool_that_fails_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put_on_path(tmp_path, "jpegqs", "#!/bin/sh\necho no memory >&2\nexit 3\n", monkeypatch)
    with pytest.raises(RestoreError, match="jpegqs failed: no memory"):
        peers.contender(peers.TOOLS[0], CASE, tmp_path, threads=1)
