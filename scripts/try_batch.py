"""Tries what a batch promises: many small files, some of them bad, killed and resumed.

Makes the files in a temporary folder and has `jpegrt restore` restore them twice: once from end to
end, and once killed by SIGKILL several times, when so many outputs are there, and resumed. Checks
that both end with exit code 1 and one line for each bad file, that the outputs are the same files,
bit by bit, with nothing left beside them, and that no output was finished twice. Ends at the first
thing that is not so; prints what was done, and --json writes it.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections import Counter
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from jpegrt.runtime.journal import JOURNAL_NAME
from jpegrt.runtime.output import write_json

PER_FOLDER = 100


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=2000, help="files in all")
    parser.add_argument("--bad", type=int, default=20, help="of them that cannot be restored")
    parser.add_argument("--kills", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        good, bad = make_files(root / "in", arguments.count, arguments.bad)
        command = ["jpegrt", "restore", "-r", str(root / "in"), "--threads", str(arguments.threads)]
        whole, killed = root / "whole", root / "killed"

        seconds = check_end([*command, "-o", str(whole)], bad)
        expected = outputs(whole)
        check(expected.keys() == good, f"{len(expected)} outputs instead of {len(good)}")
        print(f"{len(expected)} restored, {len(bad)} failed, in {seconds:.0f} s", flush=True)

        interrupted = []
        for kill in range(arguments.kills):
            least = (kill + 1) * len(good) // (arguments.kills + 1)
            resume = ["--resume"] if kill else []
            kill_at([*command, "-o", str(killed), *resume], killed, least)
            interrupted.append(len(list(finished(killed))))
            print(f"killed after {interrupted[-1]} outputs", flush=True)
        check_end([*command, "-o", str(killed), "--resume"], bad)
        found = outputs(killed)
        check(found.keys() == good, "other outputs when killed and resumed")
        check(found == expected, "outputs differ from those of a batch that was not killed")
        twice = [name for name, count in Counter(finished(killed)).items() if count > 1]
        check(not twice, f"done twice: {twice}")
        print(f"resumed: the same {len(found)} outputs, none done twice")
    if arguments.json:
        report: dict[str, Any] = {
            "files": arguments.count,
            "bad": len(bad),
            "outputs": len(found),
            "threads": arguments.threads,
            "whole_s": round(seconds, 1),
            "killed_after_outputs": interrupted,
            "done_twice": len(twice),
        }
        write_json(report, arguments.json)


def make_files(folder: Path, count: int, n_bad: int) -> tuple[set[str], set[str]]:
    """Small JPEGs in folders of their own; the outputs of the good ones, and the bad ones."""
    random = np.random.default_rng(0)
    good: set[str] = set()
    bad: set[str] = set()
    bad_numbers = {int(n) for n in np.linspace(0, count - 1, n_bad)}
    for number in range(count):
        place = Path(f"{number // PER_FOLDER:03}") / f"{number:05}.jpg"
        height, width = random.integers(16, 96, 2)
        coarse = random.integers(0, 256, (height // 8, width // 8, 3), np.uint8)
        buffer = BytesIO()
        picture = Image.fromarray(coarse).resize(
            (int(width), int(height)), Image.Resampling.BICUBIC
        )
        picture.save(buffer, "JPEG", quality=int(random.integers(20, 90)))
        content = buffer.getvalue()
        if number in bad_numbers:
            content = (b"", b"no JPEG", content[: len(content) * 2 // 3])[len(bad) % 3]
            bad.add(place.as_posix())
        else:
            good.add(place.with_suffix(".png").as_posix())
        (folder / place).parent.mkdir(parents=True, exist_ok=True)
        (folder / place).write_bytes(content)
    return good, bad


def check_end(command: list[str], bad: set[str]) -> float:
    """Runs to the end and checks what is said of bad files; how long it took, seconds."""
    started = time.perf_counter()
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    seconds = time.perf_counter() - started
    complaints = ended.stderr.splitlines()
    check(ended.returncode == 1, f"exit code {ended.returncode}: {ended.stderr}")
    named = {name for name in bad if sum(f"/{name}: " in line for line in complaints) == 1}
    check(named == bad and len(complaints) == len(bad), f"failures named: {complaints}")
    return seconds


def kill_at(command: list[str], out: Path, least: int) -> None:
    """Kills the batch once there are so many outputs."""
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        while sum(1 for _ in out.rglob("*.png")) < least:
            check(process.poll() is None, "the batch ended before it was killed")
            time.sleep(0.05)
        process.kill()


def outputs(out: Path) -> dict[str, bytes]:
    """All files by their names, the journal apart."""
    files = (path for path in out.rglob("*") if path.is_file() and path.name != JOURNAL_NAME)
    return {path.relative_to(out).as_posix(): path.read_bytes() for path in files}


def finished(out: Path) -> list[str]:
    """Outputs that the journal says are finished, as often as it does."""
    names = []
    for line in (out / JOURNAL_NAME).read_text().splitlines():
        try:
            said = json.loads(line)
        except ValueError:  # torn by a kill
            continue
        if "finished" in said:
            names.append(said["output"])
    return names


def check(holds: bool, complaint: str) -> None:
    if not holds:
        sys.exit(complaint)


if __name__ == "__main__":
    main()
