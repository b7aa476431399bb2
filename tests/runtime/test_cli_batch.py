"""`jpegrt restore` on folders, lists and streams, stopped, killed and resumed."""

import io
import json
import os
import shlex
import signal
import subprocess
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tests.kernels.images import synthetic
from tests.runtime.command_line import SCRIPT, CommandLine, Outcome, finish, start
from tests.runtime.jpegs import decode, encode

from jpegrt.runtime import Session
from jpegrt.runtime.auto_session import open_session
from jpegrt.runtime.batch import Job, Sessions, work_through
from jpegrt.runtime.cli.progress import duration
from jpegrt.runtime.errors import RestoreError
from jpegrt.runtime.journal import JOURNAL_NAME

DECODER = ("--model", "none")
PHOTO = encode(synthetic(48, 64), quality=60)
BAD = PHOTO[: len(PHOTO) * 9 // 10]


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    for name, jpeg in {
        "a.jpg": PHOTO,
        "x/a.jpg": PHOTO,
        "x/y/b.JPG": PHOTO,
        "x/c.jpg": BAD,
    }.items():
        path = tmp_path / "in" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(jpeg)
    return tmp_path / "in"


def outputs(folder: Path) -> list[str]:
    """All files below a folder, its journal apart."""
    files = (path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
    return sorted(path.as_posix() for path in files if path.name != JOURNAL_NAME)


def journal(folder: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in (folder / JOURNAL_NAME).read_text().splitlines()]


def written_so_often(folder: Path) -> dict[str, int]:
    """How many times each output was announced, which is before it gets its name."""
    counts: dict[str, int] = {}
    for line in journal(folder):
        if "stamp" in line:
            counts[str(line["output"])] = counts.get(str(line["output"]), 0) + 1
    return counts


def test_a_tree_is_mirrored(jpegrt: CommandLine, tree: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    outcome = jpegrt("restore", "-r", tree, "-o", out, *DECODER)
    assert outcome.code == 1
    assert outcome.complaint.startswith(f"jpegrt: {tree}/x/c.jpg: ")
    assert outcome.out.splitlines()[-1].startswith("3 restored, 1 failed, in ")
    assert outputs(out) == ["a.png", "x/a.png", "x/y/b.png"]
    for name in outputs(out):
        with Image.open(out / name) as image:
            np.testing.assert_array_equal(np.asarray(image), decode(PHOTO))
    (failed,) = [line for line in journal(out) if "failed" in line]
    assert failed["input"] == f"{tree}/x/c.jpg"
    assert str(failed["failed"]) in outcome.err


def test_large_images_among_small_ones(jpegrt: CommandLine, tmp_path: Path) -> None:
    large = encode(np.tile(synthetic(256, 256), (8, 9, 1)))
    for n in range(4):
        (tmp_path / f"{n}.jpg").write_bytes(large if n % 2 else PHOTO)
    out = tmp_path / "out"
    outcome = jpegrt("restore", tmp_path, "-o", out, "--threads", "2", *DECODER)
    assert (outcome.code, outcome.err) == (0, "")
    for n in range(4):
        with Image.open(out / f"{n}.png") as image:
            np.testing.assert_array_equal(np.asarray(image), decode(large if n % 2 else PHOTO))


def test_patterns_and_lists(jpegrt: CommandLine, tree: Path, tmp_path: Path) -> None:
    assert jpegrt("restore", f"{tree}/**/a*.jpg", "-o", tmp_path / "1", *DECODER).code == 0
    assert outputs(tmp_path / "1") == ["a.png", "x/a.png"]
    (tmp_path / "list").write_text(f"{tree}/a.jpg\n{tree}/x/y/b.JPG\n")
    options = ("--files-from", tmp_path / "list", *DECODER)
    assert jpegrt("restore", *options, "-o", tmp_path / "2").code == 0
    assert outputs(tmp_path / "2") == ["a.png", "b.png"]


def test_outputs_beside_inputs(jpegrt: CommandLine, tree: Path) -> None:
    (tree / "x" / "c.jpg").unlink()
    assert jpegrt("restore", "-r", tree, "-o", tree, *DECODER).code == 0
    assert "a.png" in outputs(tree)
    for more in ([], ["--overwrite"]):
        outcome = jpegrt("restore", "-r", tree, "-o", tree, "--format", "jpeg", *more, *DECODER)
        assert outcome.code == 2
        assert "is an input, which restoring would replace" in outcome.complaint
    assert (tree / "a.jpg").read_bytes() == PHOTO
    # An output folder among the inputs is no input.
    for _ in range(2):
        options = ("--format", "jpeg", "--overwrite", *DECODER)
        assert jpegrt("restore", "-r", tree, "-o", tree / "out", *options).code == 0
        assert outputs(tree / "out") == ["a.jpg", "x/a.jpg", "x/y/b.jpg"]


def test_refused_before_anything_starts(jpegrt: CommandLine, tree: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    (tree / "x" / "a.jpeg").write_bytes(PHOTO)
    refusals: list[tuple[tuple[str | Path, ...], str]] = [
        (("-r", tree), f"two inputs would be written to {out}/x/a.png"),
        ((tree / "a.jpg", tree / "x" / "a.jpg"), "two inputs would be written to"),
        ((tmp_path / "*.gif",), "no file matches"),
        ((tree, "-"), "- stands for one image"),
        ((), "no inputs: name files or folders, or pass --files-from"),
    ]
    for arguments, said in refusals:
        outcome = jpegrt("restore", *arguments, "-o", out, *DECODER)
        assert (outcome.code, outcome.out) == (2, "")
        assert said in outcome.complaint
        assert not out.exists()
    outcome = jpegrt("restore", tree / "a.jpg", "-o", out / "a.png", "--resume", *DECODER)
    assert outcome.complaint == "jpegrt: --resume is for batches: name a folder as the output"
    # All outputs are looked at first.
    (tree / "x" / "a.jpeg").unlink()
    (out / "x" / "y").mkdir(parents=True)
    (out / "x" / "y" / "b.png").touch()
    outcome = jpegrt("restore", "-r", tree, "-o", out, *DECODER)
    assert outcome.complaint == f"jpegrt: {out}/x/y/b.png exists: pass --overwrite to replace it"
    assert outputs(out) == ["x/y/b.png"]


def test_json_is_in_the_inputs_order(jpegrt: CommandLine, tree: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    outcome = jpegrt("restore", "-r", tree, "-o", out, "--json", *DECODER)
    first = json.loads(outcome.out)
    assert [Path(report["input"]).name for report in first] == ["a.jpg", "a.jpg", "c.jpg", "b.JPG"]
    (tree / "x" / "c.jpg").write_bytes(PHOTO)
    outcome = jpegrt("restore", "-r", tree, "-o", out, "--json", "--resume", *DECODER)
    assert (outcome.code, outcome.err) == (0, "")
    again = json.loads(outcome.out)
    assert [report["output"] for report in again] == [report["output"] for report in first]
    before = [report.get("finished_before", False) for report in again]
    assert before == [True, True, False, True]


def test_resume(jpegrt: CommandLine, tree: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"

    def run(*options: str) -> Outcome:
        return jpegrt("restore", "-r", tree, "-o", out, *options, *DECODER)

    assert run().code == 1
    old = {name: (out / name).stat().st_mtime_ns for name in outputs(out)}
    outcome = run("--resume")
    assert outcome.code == 1  # what failed is tried again, and told again
    assert outcome.complaint.startswith(f"jpegrt: {tree}/x/c.jpg: ")
    assert outcome.out.startswith("0 restored, 1 failed, 3 finished before")
    outcome = run("--resume", "--allow-damaged")
    assert (outcome.code, outcome.err) == (0, "")
    assert outcome.out.splitlines()[-1].startswith("1 restored, 0 failed, 3 finished before")
    (out / "a.png").unlink()
    outcome = run("--resume")
    assert (outcome.code, outcome.err) == (0, "")
    assert outcome.out.splitlines()[-1].startswith("1 restored, 0 failed, 3 finished before")
    assert {name: (out / name).stat().st_mtime_ns for name in old if name != "a.png"} == {
        name: time_ns for name, time_ns in old.items() if name != "a.png"
    }
    assert outputs(out) == ["a.png", "x/a.png", "x/c.png", "x/y/b.png"]
    outcome = run("--resume", "--depth", "16")
    assert outcome.code == 2
    assert "was made with another depth" in outcome.complaint
    (tree / "new.jpg").write_bytes(PHOTO)
    (out / "new.png").write_bytes(b"not ours")
    outcome = run("--resume")
    assert outcome.code == 2
    assert outcome.complaint.endswith("; the journal does not know it as finished")
    assert (out / "new.png").read_bytes() == b"not ours"
    assert run("--resume", "--overwrite").code == 0
    assert written_so_often(out) == {
        "a.png": 2,
        "x/a.png": 1,
        "x/y/b.png": 1,
        "x/c.png": 1,
        "new.png": 1,
    }


def run_bytes(*arguments: str | Path, stdin: bytes = b"") -> "subprocess.CompletedProcess[bytes]":
    return subprocess.run(
        [SCRIPT, "restore", *arguments, *DECODER], input=stdin, capture_output=True, check=False
    )


def test_streams(tmp_path: Path) -> None:
    result = run_bytes("-", "-o", "-", stdin=PHOTO)
    assert (result.returncode, result.stderr) == (0, b"")
    with Image.open(io.BytesIO(result.stdout)) as image:
        assert image.format == "PNG"
        np.testing.assert_array_equal(np.asarray(image), decode(PHOTO))
    result = run_bytes("-", "-o", tmp_path / "a.webp", "--json", stdin=PHOTO)
    assert (result.returncode, result.stderr) == (0, b"")
    assert json.loads(result.stdout)[0]["input"] == "-"
    (tmp_path / "a.jpg").write_bytes(PHOTO)
    result = run_bytes(tmp_path / "a.jpg", "-o", "-", "--format", "tiff")
    assert Image.open(io.BytesIO(result.stdout)).format == "TIFF"
    result = run_bytes("-", "-o", "-", stdin=BAD)
    assert (result.returncode, result.stdout) == (1, b"")
    assert result.stderr.startswith(b"jpegrt: -: ")
    result = run_bytes("-", "-o", "-", "--json", stdin=PHOTO)
    assert (result.returncode, result.stdout) == (2, b"")
    with open("/dev/full", "w") as full:
        command: list[str | Path] = [SCRIPT, "restore", tmp_path / "a.jpg", "-o", "-", *DECODER]
        told = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, check=False)
    assert told.returncode == 1
    assert told.stderr == b"jpegrt: stdout cannot be written: No space left on device\n"


@pytest.mark.parametrize(("closed", "output"), [("<&-", "a.png"), (">&-", "-")])
def test_closed_streams(tmp_path: Path, closed: str, output: str) -> None:
    command = f"{shlex.quote(str(SCRIPT))} restore - -o {output} --model none {closed}"
    result = subprocess.run(
        command, shell=True, cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert result.returncode == 2
    assert result.stderr == "jpegrt: - stands for a stream that is closed: name a file\n"


def test_progress(tree: Path, tmp_path: Path) -> None:
    result = run_bytes("-r", tree, "-o", tmp_path / "out", "--progress", "--json")
    lines = result.stderr.decode().splitlines()
    assert lines[-1].startswith("4 of 4 (100 %), ")
    assert lines[-1].endswith(" images a second, 0 s left, 1 failed")
    assert b"\x1b" not in result.stderr
    reading, writing = os.openpty()
    command: list[str | Path] = [SCRIPT, "restore", "-r", tree, "-o", tmp_path / "2", *DECODER]
    subprocess.run(command, stderr=writing, stdout=subprocess.PIPE, check=False)
    shown = os.read(reading, 1 << 16)
    os.close(reading)
    os.close(writing)
    assert b"\r\x1b[K4 of 4 (100 %), " in shown
    assert shown.endswith(b"\r\x1b[K")  # nothing of it stays


def test_durations() -> None:
    said = [duration(seconds) for seconds in (0.4, 59.4, 59.6, 185, 7800)]
    assert said == ["0 s", "59 s", "1 min 00 s", "3 min 05 s", "2 h 10 min"]


def many(folder: Path, count: int, bad: int) -> set[str]:
    """Makes small JPEGs in folders; the outputs of those that are whole."""
    jpegs = [encode(synthetic(40 + 8 * n, 56), quality=30 + 10 * n) for n in range(5)]
    whole = set()
    for n in range(count):
        path = folder / f"{n % 7}" / f"{n:04}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        is_bad = n % (count // bad) == 3
        path.write_bytes(jpegs[n % 5][: 400 if is_bad else None])
        if not is_bad:
            whole.add(f"{n % 7}/{n:04}.png")
    return whole


def wait_for_outputs(folder: Path, count: int, process: "subprocess.Popen[str]") -> None:
    deadline = time.monotonic() + 120
    while not (folder / JOURNAL_NAME).exists() or len(written_by_now(folder)) < count:
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.005)


def written_by_now(folder: Path) -> list[bytes]:
    content = (folder / JOURNAL_NAME).read_bytes()
    return [line for line in content.splitlines() if b'"finished"' in line]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signals(tmp_path: Path, number: signal.Signals) -> None:
    out = tmp_path / "out"
    many(tmp_path / "in", 300, 1)
    command = ("restore", "-r", tmp_path / "in", "-o", out, "--threads", "1", *DECODER)
    process = start(*command, "--json")
    wait_for_outputs(out, 3, process)
    process.send_signal(number)
    outcome = finish(process)
    assert outcome.code == 130
    done = outputs(out)
    assert 3 <= len(done) < 299
    assert outcome.err.splitlines()[-1] == (
        f"jpegrt: interrupted; {len(done)} of 300 are finished: to go on, run the same command "
        "with --resume"
    )
    told = {report["output"] for report in json.loads(outcome.out) if "error" not in report}
    assert told <= {str(out / name) for name in done}
    for name in done:
        with Image.open(out / name) as image:
            image.load()


@pytest.mark.slow
def test_killed_five_times(tmp_path: Path) -> None:
    count, bad = 300, 20
    out = tmp_path / "out"
    whole = many(tmp_path / "in", count, bad)
    command = ("restore", "-r", tmp_path / "in", "-o", out, "--threads", "2")
    options: tuple[str, ...] = ("--engine", "onnxruntime")
    for kill in range(5):
        process = start(*command, *options)
        already = len(written_by_now(out)) if kill else 0
        wait_for_outputs(out, already + 1 + 7 * kill, process)
        process.kill()
        process.communicate()
        assert process.returncode == -signal.SIGKILL
        options = ("--engine", "onnxruntime", "--resume")
    killed_with = set(outputs(out))
    assert len(killed_with) < len(whole)
    outcome = finish(start(*command, *options))
    assert outcome.code == 1
    assert len(outcome.err.splitlines()) == bad
    assert set(outputs(out)) == whole  # with no parts left
    session = open_session("auto", engine="onnxruntime", threads=1)
    for name in whole:
        source = tmp_path / "in" / Path(name).with_suffix(".jpg")
        with Image.open(out / name) as image:
            np.testing.assert_array_equal(np.asarray(image), session.restore(source))
    often = written_so_often(out)
    finished = [line["output"] for line in journal_whole_lines(out) if "finished" in line]
    assert len(finished) == len(set(finished))
    # Announced again only where it was killed between that and the renaming.
    assert sum(often.values()) <= len(whole) + 5 * 3
    outcome = finish(start(*command, *options))
    assert outcome.out.startswith(f"0 restored, {bad} failed, {len(whole)} finished before")


def journal_whole_lines(folder: Path) -> list[dict[str, object]]:
    """Without those that a kill has torn."""
    found = []
    for line in (folder / JOURNAL_NAME).read_text().splitlines():
        try:
            found.append(json.loads(line))
        except ValueError:
            continue
    return found


def test_sessions_of_small_and_large_images() -> None:
    made: list[int] = []

    def make(threads: int) -> Session:
        made.append(threads)
        return Session("none", threads=threads)

    sessions = Sessions(make, threads=3, images=10, large_pixels=100)
    assert (made, sessions.workers) == ([1, 1, 1], 4)
    with sessions.borrow(99) as one, sessions.borrow(0) as two, sessions.borrow(100) as wide:
        assert len({id(one), id(two), id(wide)}) == 3
    assert made == [1, 1, 1, 3]
    with sessions.borrow(100) as again:
        assert again is wide
    assert Sessions(make, threads=3, images=1).workers == 1
    assert made == [1, 1, 1, 3, 3]
    with sessions.room(100), sessions.room(100), sessions.room(99):
        pass


def test_work_that_raises_ends_the_batch(tmp_path: Path) -> None:
    jobs = [Job(tmp_path / f"{n}.jpg", tmp_path / f"{n}.png") for n in range(50)]
    begun = []

    def work(job: Job, content: bytes | RestoreError, _stop: object) -> str:
        assert isinstance(content, RestoreError)  # there are no such files
        begun.append(job)
        if len(begun) == 5:
            raise MemoryError
        return job.source.name

    with pytest.raises(MemoryError):
        list(work_through(jobs, work, 1))
    assert len(begun) < 50


def test_no_more_is_read_ahead_than_workers_can_take(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    jobs = [Job(tmp_path / f"{n}.jpg", tmp_path / f"{n}.png") for n in range(40)]
    read: list[Path] = []

    def read_file(path: Path) -> bytes:
        read.append(path)
        return PHOTO

    go_on = threading.Event()

    def work(job: Job, content: bytes | RestoreError, _stop: object) -> str:
        assert content == PHOTO
        assert go_on.wait(60)
        return job.source.name

    monkeypatch.setattr("jpegrt.runtime.batch.read_file", read_file)
    results = work_through(jobs, work, 2)
    first = threading.Thread(target=lambda: next(results))
    first.start()
    time.sleep(0.3)
    # Two in work, two waiting, one in the reader's hand.
    assert len(read) <= 5
    go_on.set()
    first.join()
    assert len(list(results)) == len(jobs) - 1
    assert read == [job.source for job in jobs]
