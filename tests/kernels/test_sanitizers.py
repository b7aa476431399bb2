"""The native core under sanitizers: mutated files and packed streams for a while, sessions in several threads."""

import os
import subprocess
from pathlib import Path

import pytest
from tests.kernels.c_programs import ROOT, Libjpeg, build_tool
from tests.kernels.images import synthetic
from tests.kernels.samplings import CODINGS, SAMPLINGS

from jpegrt.runtime.bundle import shipped_bundles

MANIFESTS = sorted(
    [*(ROOT / "tests/fuzz").glob("*/manifest/*.json"), shipped_bundles() / "cellnet/manifest.json"]
)
GRAPHS = sorted((ROOT / "tests/fuzz").glob("*/external_tensors/*"))

ENVIRONMENT = os.environ | {
    "ASAN_OPTIONS": "abort_on_error=0:detect_stack_use_after_return=1",
    "UBSAN_OPTIONS": "print_stacktrace=1",
    "TSAN_OPTIONS": "halt_on_error=1",
}


@pytest.fixture(scope="module")
def corpus(libjpeg: Libjpeg, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("corpus")
    files = {
        f"{i}_{j}": libjpeg.encode(synthetic(17, 35, seed=i), sampling, *flags, restart=i % 3)
        for i, sampling in enumerate(SAMPLINGS.values())
        for j, flags in enumerate(CODINGS.values())
    }
    for flags in ((), ("progressive",)):
        files["grey" + "".join(flags)] = libjpeg.encode(synthetic(30, 20, channels=1), "", *flags)
        files["rgb" + "".join(flags)] = libjpeg.encode(synthetic(30, 20), "", "rgb", *flags)
    inks = synthetic(17, 35, channels=4)
    files["cmyk"] = libjpeg.encode(inks, "")
    files["ycck"] = libjpeg.encode(inks, "2x2,1x1,1x1,2x2", "ycck")
    for name, jpeg in files.items():
        (folder / f"{name}.jpg").write_bytes(jpeg)
    return sorted(folder.iterdir())


def run(*command: str | Path) -> str:
    arguments = [str(part) for part in command]
    result = subprocess.run(arguments, check=False, capture_output=True, text=True, env=ENVIRONMENT)
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


def build(folder: Path, sanitizers: str) -> None:
    cmake = build_tool("cmake")
    options = (f"-DJPEGRT_SANITIZE={sanitizers}", "-DJPEGRT_TESTS=ON", "-DJPEGRT_CUDA=OFF")
    run(cmake, "-S", ROOT, "-B", folder, *options, "-DCMAKE_BUILD_TYPE=RelWithDebInfo")
    run(cmake, "--build", folder, "--parallel", "2")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("sanitizers", "seconds", "threads"), [("address,undefined", 15, 1), ("thread", 10, 4)]
)
def test_mutated_files(
    corpus: list[Path], tmp_path: Path, sanitizers: str, seconds: int, threads: int
) -> None:
    build(tmp_path, sanitizers)
    run(tmp_path / "smoke_c")
    run(tmp_path / "replay_manifest", "3", str(threads), *MANIFESTS)
    run(tmp_path / "replay_external_tensors", "3", str(threads), *GRAPHS)
    # A session in each of eight threads, on a bundle that they all open.
    run(tmp_path / "restore_many", shipped_bundles() / "cellnet", "own", corpus[0], "20", "8")
    run(tmp_path / "non_local_c")
    for target in ("session", "coefficients"):
        output = run(tmp_path / f"replay_{target}", str(seconds), str(threads), *corpus)
        assert int(output.split()[0]) > 100
    output = run(tmp_path / "replay_pixels", str(seconds), str(threads), *corpus)
    assert int(output.split()[0]) > 100
    attacks = sorted((ROOT / "tests/fuzz/corpus/packed").iterdir())
    output = run(tmp_path / "replay_packed", str(seconds), str(threads), *attacks)
    assert int(output.split()[0]) > 1000
