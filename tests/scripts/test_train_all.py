"""scripts/train_all.py: every recipe in the time there is, and what came of it."""

import json
import os
import runpy
import signal
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from tests.kernels.images import synthetic

from jpegrt.training.loop import Training
from jpegrt.training.networks import build_network
from jpegrt.training.plan import SHARES, plan
from jpegrt.training.recipe import Recipe, load_recipe, recipe_names
from jpegrt.training.weights import load_weights

SCRIPT = Path(__file__).parents[2] / "scripts" / "train_all.py"


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sets that permissive recipes name; none of the papers'."""
    folder = tmp_path_factory.mktemp("data")
    for name in ("clic2025", "xiph", "gb82"):
        (folder / name).mkdir()
        for n in range(3):
            Image.fromarray(synthetic(144, 160, seed=n)).save(folder / name / f"{n}.png")
    return folder


def train_all(monkeypatch: pytest.MonkeyPatch, *arguments: str | Path) -> None:
    monkeypatch.setattr(sys, "argv", ["train_all.py", *map(str, arguments), "--workers", "1"])
    assert runpy.run_path(str(SCRIPT), run_name="train_all")["main"]() == 0


def results(out: Path) -> dict[str, dict[str, Any]]:
    return {row["recipe"]: row for row in json.loads((out / "results.json").read_text())}


def assert_gathered(out: Path, recipe: str) -> None:
    """Whole, or in parts that are its weights one after the other."""
    joined = out.parent / f"{recipe}.safetensors"
    parts = sorted(out.glob(f"{recipe}.safetensors*"))
    joined.write_bytes(b"".join(part.read_bytes() for part in parts))
    load_weights(build_network(load_recipe(recipe).network), joined)
    assert all(file.stat().st_size < 15 << 20 for file in out.iterdir())


def test_every_recipe_has_a_share_after_what_it_starts_from() -> None:
    parts = plan(recipe_names(), 100)
    assert sorted(part.recipe for part in parts) == recipe_names()
    assert sum(part.minutes for part in parts) == pytest.approx(100)
    assert all(part.minutes > 0 for part in parts)
    seen: set[str] = set()
    for part in parts:
        start = load_recipe(part.recipe).schedule.start_from
        assert start == "" or start in seen
        seen.add(part.recipe)
    assert [part.recipe for part in parts][: len(SHARES)] == list(SHARES)


@pytest.mark.slow
def test_a_stopped_session_goes_on(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    runs, out = tmp_path / "runs", tmp_path / "out"
    arguments = (
        "--data",
        data,
        "--runs",
        runs,
        "--out",
        out,
        "--recipes",
        "cellnet-colour",
        "cellnet",
    )
    with monkeypatch.context() as patched:
        step = Training._train_on

        def train_and_stop(self: Training, batch: Any) -> torch.Tensor:
            os.kill(os.getpid(), signal.SIGTERM)
            return step(self, batch)

        patched.setattr(Training, "_train_on", train_and_stop)
        train_all(patched, *arguments, "--minutes", "1")
    assert list(results(out)) == ["cellnet"]  # it comes first
    assert (results(out)["cellnet"]["steps"], results(out)["cellnet"]["finished"]) == (1, False)
    assert_gathered(out, "cellnet")
    assert "(stopped)" in capsys.readouterr().out

    train_all(monkeypatch, *arguments, "--minutes", "0.04")
    first = results(out)
    assert list(first) == ["cellnet", "cellnet-colour"]
    assert all(row["finished"] and row["gains"] for row in first.values())
    assert first["cellnet"]["steps"] >= 1
    assert first["cellnet"]["minutes"] >= first["cellnet"]["allotted"]
    for recipe in first:
        assert_gathered(out, recipe)
        assert (out / f"{recipe}.checkpoint.pt").exists()
    printed = capsys.readouterr().out.splitlines()
    assert printed[-2].startswith("cellnet ") and "Q10" in printed[-1]

    # What is finished is not touched again.
    train_all(monkeypatch, *arguments, "--minutes", "0.04")
    assert results(out) == first


def test_large_files_are_cut(tmp_path: Path) -> None:
    in_parts = runpy.run_path(str(SCRIPT), run_name="train_all")["in_parts"]
    content = bytes(range(250))
    (tmp_path / "weights").write_bytes(content)
    in_parts(tmp_path / "weights", tmp_path / "copy", 100)
    parts = sorted(tmp_path.glob("copy*"))
    assert [part.name for part in parts] == ["copy.part00", "copy.part01", "copy.part02"]
    assert b"".join(part.read_bytes() for part in parts) == content
    in_parts(tmp_path / "weights", tmp_path / "copy", 250)
    assert [path.name for path in tmp_path.glob("copy*")] == ["copy"]


@pytest.mark.slow
def test_a_session_of_every_recipe(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A thousandth of one of an hour, with batches of one patch: some networks are for GPUs.

    Recipes whose images are missing are told, and left out.
    """

    def load_small(name: str) -> Recipe:
        recipe = load_recipe(name)
        return replace(recipe, schedule=replace(recipe.schedule, batch=1))

    monkeypatch.setattr("jpegrt.training.recipe.load_recipe", load_small)
    runs, out = tmp_path / "runs", tmp_path / "out"
    train_all(monkeypatch, "--data", data, "--minutes", "0.06", "--runs", runs, "--out", out)
    found = results(out)
    assert sorted(found) == recipe_names()
    for recipe, row in found.items():
        missing = not all((data / name).exists() for name in load_recipe(recipe).data.sets)
        if missing:  # of images, or of the weights of a run that had none
            assert row["failure"].startswith(("no lossless images", "no weights of"))
        else:
            assert row["finished"] and row["steps"] >= 1 and row["gains"] and not row["failure"]
            assert_gathered(out, recipe)
