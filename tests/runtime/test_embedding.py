"""A C program that keeps restoring: no leaks, flat memory, the same bytes in every thread."""

from itertools import pairwise
from pathlib import Path
from statistics import median

import pytest
from tests.kernels.c_programs import ROOT, Libjpeg, build_tool
from tests.kernels.images import synthetic
from tests.runtime.embedding import Installation, onnxruntime_library, run

SUPPRESSIONS = ROOT / "tests/c/valgrind.supp"
LEAKS = "definite,indirect,possible"
ENVIRONMENT = {"JPEGRT_ONNXRUNTIME": str(onnxruntime_library())}

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory, libjpeg: Libjpeg) -> Path:
    path = tmp_path_factory.mktemp("small") / "small.jpg"
    path.write_bytes(libjpeg.encode(synthetic(40, 48), "2x2,1x1,1x1", quality=40))
    return path


def restore_many(
    installation: Installation, module: str, jpeg: Path, count: int, threads: int
) -> list[str | Path]:
    program = installation.build / "restore_many"
    return [program, installation.bundle, module, jpeg, str(count), str(threads)]


@pytest.mark.parametrize("module", ["own", "onnxruntime"])
def test_valgrind_finds_nothing(installation: Installation, small: Path, module: str) -> None:
    valgrind = [
        build_tool("valgrind"),
        *(
            "--quiet",
            "--num-callers=40",
            "--error-exitcode=9",
            "--leak-check=full",
            f"--show-leak-kinds={LEAKS}",
        ),
        *(f"--errors-for-leak-kinds={LEAKS}", f"--suppressions={SUPPRESSIONS}"),
    ]
    command = restore_many(installation, module, small, 20, 1)
    assert run(*valgrind, *command, environment=ENVIRONMENT)


@pytest.mark.parametrize("module", ["own", "onnxruntime"])
def test_memory_is_flat(installation: Installation, small: Path, module: str) -> None:
    command = restore_many(installation, module, small, 3000, 1)
    resident_kib = [int(word) for word in run(*command, environment=ENVIRONMENT).split()[1:]]
    assert min(resident_kib) > 0
    # Over 900 restores: not 300 bytes each. The image's pixels alone are 5,760 bytes. A thread of
    # the library's may take its memory late, but once; what leaks, leaks all the time.
    assert median(late - early for early, late in pairwise(resident_kib)) < 256
    assert resident_kib[-1] - resident_kib[0] < 2048


@pytest.mark.parametrize("module", ["own", "onnxruntime"])
def test_eight_threads_give_the_same_bytes(
    installation: Installation, small: Path, module: str
) -> None:
    hashes = {
        run(
            *restore_many(installation, module, small, 20, threads), environment=ENVIRONMENT
        ).split()[0]
        for threads in (1, 8)
    }
    assert len(hashes) == 1
