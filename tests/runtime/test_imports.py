"""What importing the runtime loads: nothing that only training, export or an engine needs."""

import subprocess
import sys

import pytest
from tests.runtime.jpegs import EXAMPLE

HEAVY = {
    "cuda",
    "onnx",
    "onnxruntime",
    "openvino",
    "tensorboard",
    "tensorrt",
    "tensorrt_rtx",
    "torch",
}


def loaded_by(code: str) -> set[str]:
    """The HEAVY packages that a fresh process has loaded after running `code`."""
    report = f"import sys\n{code}\nprint(*{HEAVY!r} & set(sys.modules), file=sys.stderr)"
    result = subprocess.run(
        [sys.executable, "-c", report], check=False, capture_output=True, text=True
    )
    assert result.returncode == 0, result.stderr
    return set(result.stderr.split())


def command(*arguments: str) -> str:
    return f"from jpegrt.runtime.cli import main\nassert main({list(arguments)!r}) == 0"


@pytest.mark.parametrize(
    "code",
    [
        "import jpegrt.runtime",
        "import jpegrt.runtime.cli",
        "from jpegrt.runtime import Session; Session('none')",
        "import jpegrt.runtime.bench.benchmark, jpegrt.runtime.bench.report_html",
        command("models"),
        command("info", str(EXAMPLE / "example.jpg")),
    ],
)
def test_loads_nothing_heavy(code: str) -> None:
    assert loaded_by(code) == set()


@pytest.mark.parametrize("name", ["train", "export"])
def test_help_of_extensions_is_quick(name: str) -> None:
    code = (
        "from jpegrt.runtime.cli import main\n"
        f"try: main([{name!r}, '--help'])\nexcept SystemExit as stop: assert stop.code == 0"
    )
    assert loaded_by(code) == set()


def test_an_engine_loads_its_own_package_only() -> None:
    code = (
        "from jpegrt.runtime import Session\n"
        f"Session(engine='onnxruntime').restore({str(EXAMPLE / 'example.jpg')!r})"
    )
    assert loaded_by(code) == {"onnxruntime"}


def test_openvino_reports_nothing_to_its_makers() -> None:
    code = (
        "import sys\n"
        "import jpegrt.runtime.engines.open_vino\n"
        "assert 'openvino' in sys.modules\n"
        "assert 'openvino_telemetry' not in sys.modules\n"
        "import openvino_telemetry"  # programs that want it have it
    )
    result = subprocess.run(
        [sys.executable, "-c", code], check=False, capture_output=True, text=True
    )
    assert (result.returncode, result.stderr) == (0, "")
