"""What a person meets first: the demo, the commands in the documents, and the tree itself."""

import os
import re
import shlex
import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path

import pytest
from PIL import Image
from tests.kernels.c_programs import compile_c

from jpegrt.kernels import _native, read_coefficients
from jpegrt.runtime.cli import build_parser

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "scripts/example/example.jpg"
DOCUMENTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md"]
LARGEST_TREE_BYTES = 40 << 20


def demo(*arguments: str | Path, folder: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, ROOT / "scripts/demo.py", "--output", folder, *arguments]
    return subprocess.run(
        [str(part) for part in command], check=False, capture_output=True, text=True
    )


def test_demo_of_the_example(tmp_path: Path) -> None:
    result = demo(folder=tmp_path)
    assert (result.returncode, result.stderr) == (0, "")
    found = re.search(r"PSNR +([\d.]+) dB before, ([\d.]+) dB after", result.stdout)
    assert found and float(found[2]) > float(found[1])
    for stage in ("entropy decode", "unpack", "network", "pixels", "whole restore", "plain decode"):
        assert re.search(rf"^  {stage} +[\d.]+ ms", result.stdout, re.MULTILINE), stage
    with Image.open(EXAMPLE) as jpeg, Image.open(tmp_path / "example_restored.png") as restored:
        assert restored.size == jpeg.size
    with Image.open(tmp_path / "example_before_after.png") as comparison:
        assert comparison.width > 2 * jpeg.width


@pytest.mark.parametrize("size", [(1, 1), (17, 3), (700, 90)])
def test_demo_of_other_files(size: tuple[int, int], tmp_path: Path) -> None:
    Image.radial_gradient("L").resize(size).save(tmp_path / "grey.jpg")
    result = demo("--model", "none", tmp_path / "grey.jpg", folder=tmp_path)
    assert (result.returncode, result.stderr) == (0, "")
    with Image.open(tmp_path / "grey_restored.png") as restored:
        assert (restored.mode, restored.size) == ("L", size)


def test_demo_goes_on_after_a_bad_file(tmp_path: Path) -> None:
    bad, missing = tmp_path / "bad.jpg", tmp_path / "missing.jpg"
    bad.write_bytes(EXAMPLE.read_bytes()[:2000])
    result = demo(bad, missing, EXAMPLE, folder=tmp_path / "out")
    assert result.returncode == 1
    complaints = result.stderr.splitlines()
    assert [line.split(": ")[:2] for line in complaints] == [
        ["demo", str(bad)],
        ["demo", str(missing)],
    ]
    written = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert written == ["example_before_after.png", "example_restored.png"]


@pytest.mark.parametrize(
    "arguments", [["--model", "nonesuch"], ["one/a.jpg", "two/a.jpg"], ["--original", "a.png"]]
)
def test_demo_refuses_what_it_cannot_do(arguments: list[str], tmp_path: Path) -> None:
    result = demo(*arguments, folder=tmp_path)
    assert result.returncode == 2
    assert "Traceback" not in result.stderr
    assert not list(tmp_path.iterdir())


def shell_lines(document: Path) -> list[str]:
    """The commands of a document's indented blocks, without comments and continuations joined."""
    text = document.read_text().replace("\\\n", " ")
    blocks = [line.strip() for line in text.splitlines() if line.startswith("    ")]
    return [line.partition(" # ")[0].strip() for line in blocks]


def test_documents_name_commands_that_exist() -> None:
    lines = [line for document in DOCUMENTS for line in shell_lines(document)]
    commands = [shlex.split(line) for line in lines if line.startswith("jpegrt ")]
    assert len(commands) >= 10
    extensions = list(entry_points(group="jpegrt.commands"))
    for command in commands:
        build_parser(extensions, command[1]).parse_args(command[1:])  # exits if it is wrong


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.name))
def test_documents_name_files_that_exist(document: Path) -> None:
    text = document.read_text()
    named = set(re.findall(r"\b(?:scripts|tests|kernels|runtime|training|export)/[\w/.-]*\w", text))
    assert len(named) > 3
    assert not {name for name in named if not (ROOT / name).exists()}
    for name in named:
        if name.endswith(".sh"):
            assert os.access(ROOT / name, os.X_OK), name


def examples(language: str) -> dict[str, list[str]]:
    """The README's examples in that language, by the heading they are under."""
    sections = re.split(r"^## ", DOCUMENTS[0].read_text(), flags=re.MULTILINE)
    blocks = {text.partition("\n")[0]: text.split(f"```{language}\n")[1:] for text in sections}
    return {
        heading: [example.partition("```")[0] for example in found]
        for heading, found in blocks.items()
        if found
    }


PYTHON_OUTPUT = {
    "Python": [r"\(512, 384\) uint16 4:2:0 \(384, 512, 3\)\n", r"\(384, 512, 3\) "],
    "DCT coefficients in NumPy and C": [r"512 384 4:2:0\n(int16 \(\d+, \d+, 8, 8\) .*\n){3}$"],
}


def test_python_examples_of_the_readme(tmp_path: Path) -> None:
    found = examples("python")
    assert found.keys() == PYTHON_OUTPUT.keys()
    (tmp_path / "photo.jpg").write_bytes(EXAMPLE.read_bytes())
    for heading, outputs in PYTHON_OUTPUT.items():
        for example, output in zip(found[heading], outputs, strict=True):
            printed = subprocess.run(
                [sys.executable, "-c", example],
                check=True, cwd=tmp_path, capture_output=True, text=True,
            ).stdout  # fmt: skip
            assert re.match(output, printed), printed
    assert {"photo.webp", "page.html"} <= {path.name for path in tmp_path.iterdir()}


def test_c_example_of_the_readme(tmp_path: Path) -> None:
    ((example,),) = examples("c").values()
    (tmp_path / "example.c").write_text(example)
    library = Path(_native.lib._name).resolve()
    program = compile_c(
        tmp_path / "example.c", tmp_path / "example", str(library), f"-Wl,-rpath,{library.parent}"
    )
    image = read_coefficients(EXAMPLE.read_bytes())
    expected = ""
    for component in image.components:
        assert component.blocks is not None and component.table is not None
        rows, columns = component.blocks.shape[:2]
        expected += f"{rows} x {columns} blocks, "
        expected += f"first DC {component.blocks[0, 0, 0, 0]} x {component.table[0, 0]}\n"
    result = subprocess.run([program, EXAMPLE], check=True, capture_output=True, text=True)
    assert result.stdout == expected
    damaged = tmp_path / "damaged.jpg"
    damaged.write_bytes(EXAMPLE.read_bytes()[:2000])
    failed = subprocess.run([program, damaged], check=False, capture_output=True, text=True)
    assert (failed.returncode, failed.stdout) == (1, "")
    assert "damaged" in failed.stderr


@pytest.fixture(scope="module")
def tracked_files() -> list[Path]:
    """Of the working tree: what is under version control, or would be."""
    listing = ["ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    result = subprocess.run(
        ["git", "-c", f"safe.directory={ROOT}", "-C", str(ROOT), *listing],
        check=True,
        capture_output=True,
        text=True,
    )
    files = [ROOT / name for name in result.stdout.split("\0") if name]
    return [file for file in files if file.is_file()]


def test_tracked_tree_is_small(tracked_files: list[Path]) -> None:
    assert sum(file.lstat().st_size for file in tracked_files) < LARGEST_TREE_BYTES


def test_no_file_knows_the_machine_it_was_made_on(tracked_files: list[Path]) -> None:
    folders = {ROOT, Path.home()}
    if sys.prefix != sys.base_prefix:  # a virtual environment, not /usr
        folders.add(Path(sys.prefix))
    # Not within another path or an address, as /app could be.
    names = [rf"(?<![\w.:/]){re.escape(str(folder))}\b" for folder in folders if folder.name]
    indexes = r"(?:index|find)-(?:url|links)|file:[/]|https?://[\w./-]*(?:pypi|/simple)"
    machine = re.compile("|".join([*names, indexes]).encode())
    found = {
        str(file.relative_to(ROOT)): match[0]
        for file in tracked_files
        if (match := machine.search(file.read_bytes()))
    }
    assert not found
