"""`jpegrt evaluate --paper`."""

import json
from pathlib import Path

import pytest
from PIL import Image
from tests.kernels.images import synthetic
from tests.runtime.command_line import CommandLine
from tests.runtime.pixel_bundles import write_pixel_bundle

from jpegrt.runtime.papers import PAPERS
from jpegrt.runtime.papers.protocol import Compression, Protocol
from jpegrt.runtime.papers.published import load_paper
from jpegrt.runtime.session import Session

FAST = ("--engine", "onnxruntime", "--threads", "1")


@pytest.fixture
def sets(tmp_path: Path) -> Path:
    for name, seed in (("set5/baby", 0), ("set5/bird", 1), ("live1/a", 2), ("classic5/1", 3)):
        path = tmp_path / "sets" / f"{name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(synthetic(48, 64, seed=seed)).save(path)
    return tmp_path / "sets"


@pytest.fixture
def enlarging(tmp_path: Path) -> Path:
    return write_pixel_bundle(tmp_path / "enlarging", domain="luma", scale=2)


@pytest.mark.parametrize("paper", PAPERS)
def test_baselines_of_every_paper(jpegrt: CommandLine, sets: Path, paper: str) -> None:
    report = sets.parent / "report.json"
    outcome = jpegrt(
        "evaluate", "--paper", paper, "--images", sets, "--limit", "1", "--model", "none",
        "--json", report,
    )  # fmt: skip
    assert (outcome.code, outcome.err) == (0, "")
    assert outcome.out.startswith(f"# {paper}: ")
    document = json.loads(report.read_text())
    tables = document["tables"]
    assert tables and document["left_out"]
    for table in tables:
        assert f"## {table['table']}: {table['about']}" in outcome.out
        for row in table["rows"]:
            assert (row["restored"], row["images"]) == (None, 1)
            assert 10 < row["baseline"]["psnr_db"] < 60
    assert "There is no model" not in outcome.out


def test_a_model_is_measured_at_its_scale(
    jpegrt: CommandLine, sets: Path, enlarging: Path, tmp_path: Path
) -> None:
    report, text = tmp_path / "report.json", tmp_path / "report.md"
    outcome = jpegrt(
        "evaluate", "--paper", "jscnn", "--images", sets, "--sets", "Set5", "--quality", "40",
        "--model", enlarging, "--json", report, "--markdown", text, *FAST,
    )  # fmt: skip
    assert (outcome.code, outcome.err) == (0, "")
    assert text.read_text() == outcome.out
    document = json.loads(report.read_text())
    assert document["models"] == {
        "2": {"model": "small-luma-x2", "precision": "fp32", "engine": "onnxruntime"}
    }
    assert set(document["missing_models"]) == {"3", "4"}
    (table,) = document["tables"]
    doubled, *others = table["rows"]
    session = Session(str(enlarging), engine="onnxruntime", threads=1)
    protocol = Protocol("luma", "luma", "uniform")
    each = [
        protocol.score(synthetic(48, 64, seed=seed), 2, Compression("JPEG", 40), session.restore)
        for seed in (0, 1)
    ]
    assert doubled["restored"]["psnr_db"] == sum(scores.psnr_db for scores in each) / 2
    assert doubled["gain_db"] == doubled["restored"]["psnr_db"] - doubled["baseline"]["psnr_db"]
    assert [row["restored"] for row in others] == [None, None]


def test_a_grey_model_restores_the_green_channel(
    jpegrt: CommandLine, sets: Path, tmp_path: Path
) -> None:
    """As hrcnn's table wants: the network gets a grey JPEG of it."""
    report = tmp_path / "report.json"
    outcome = jpegrt(
        "evaluate", "--paper", "hrcnn", "--images", sets, "--quality", "10", "--model", "cellnet",
        "--json", report, *FAST,
    )  # fmt: skip
    assert (outcome.code, outcome.err) == (0, "")
    (row,) = json.loads(report.read_text())["tables"][0]["rows"]
    assert row["model"] == "cellnet"
    assert row["gain_db"] > 0


def test_models_that_are_not_there_are_named(
    jpegrt: CommandLine, sets: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("jpegrt.runtime.bundle.shipped_bundles", lambda: tmp_path)
    outcome = jpegrt("evaluate", "--paper", "carsr", "--images", sets)
    assert outcome.code == 0
    assert "x2: the baseline alone. There is no model carsr-x2" in outcome.out
    assert "jpegrt models --fetch carsr-x2 --from WHERE" in outcome.out
    export = "jpegrt export carsr-best --data IMAGES -o carsr-x2 --scale 2;"
    assert f"train one with the recipe carsr-best and export it with {export}" in outcome.out


@pytest.mark.parametrize("paper", PAPERS)
def test_recipes_that_are_named_exist(paper: str) -> None:
    recipes = Path(__file__).parents[2] / "training/jpegrt/training/recipes"
    assert (recipes / f"{load_paper(paper).recipe}.toml").exists()


def test_a_paper_s_own_model_is_the_default(
    jpegrt: CommandLine, sets: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the name that it is fetched or shipped under."""
    models = tmp_path / "models"
    write_pixel_bundle(models / "carsr-x2", scale=2)
    monkeypatch.setenv("JPEGRT_MODELS", str(models))
    monkeypatch.setattr("jpegrt.runtime.bundle.shipped_bundles", lambda: tmp_path)
    outcome = jpegrt("evaluate", "--paper", "carsr", "--images", sets, "--limit", "1", *FAST)
    assert outcome.code == 0
    assert "x2: small-rgb-x2, precision fp32, engine onnxruntime" in outcome.out


def test_progress(jpegrt: CommandLine, sets: Path) -> None:
    outcome = jpegrt(
        "evaluate", "--paper", "hrcnn", "--images", sets, "--model", "none", "--progress"
    )
    assert outcome.code == 0
    assert "3 of 3 (100 %)" in outcome.err


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--images", "sets/set5"], "holds none of the folders set5"),
        (["--images", "sets", "--sets", "set14"], "has no images in set14"),
        (["--images", "sets", "--sets", "kodak"], "unknown set kodak"),
        (["--images", "sets", "--quality", "77"], "no table of jscnn has rows"),
        (["--images", "sets", "--codec", "WebP"], "no table of jscnn has rows"),
        (["--images", "sets", "--colour"], "are not for --paper"),
        (["--images", "sets", "--markdown", "missing/report.md"], "its folder does not exist"),
        (["--images", "sets", "--markdown", "sets/set5/baby.png"], "exists: pass --overwrite"),
        (["--images", "sets", "--model", "cellnot"], "unknown model cellnot"),
        (["--images", "sets", "--model", "auto"], "not for --paper: name a model"),
        (["--images", "sets", "--strength", "0.5"], "not for --paper: name a model"),
        (["--images", "sets", "--sets", "classic5", "--model", "jscnn-x3"], "enlarges 3 times"),
    ],
)
def test_refused_before_anything_is_measured(
    jpegrt: CommandLine,
    sets: Path,
    monkeypatch: pytest.MonkeyPatch,
    options: list[str],
    said: str,
) -> None:
    monkeypatch.chdir(sets.parent)
    outcome = jpegrt("evaluate", "--paper", "jscnn", *options)
    assert (outcome.code, outcome.out) == (2, "")
    assert said in outcome.complaint


def test_options_of_papers_need_one(jpegrt: CommandLine, sets: Path) -> None:
    outcome = jpegrt("evaluate", "--images", sets / "set5", "--sets", "set5")
    assert outcome.code == 2
    assert "need --paper" in outcome.complaint


def test_help_teaches(jpegrt: CommandLine) -> None:
    told = " ".join(jpegrt("evaluate", "--help").out.split())
    assert "jpegrt evaluate --paper jscnn --images SETS" in told
    assert "set5, set14, b100, classic5 and live1" in told
    assert "{jscnn,carsr,cjpgsr,cisr,hrcnn}" in told
