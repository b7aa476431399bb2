"""Trains every recipe, each for its share of the time, and gathers what came of it.

    python scripts/train_all.py --data IMAGES --minutes 240 --device cuda --out TRAINED
    torchrun --nproc-per-node 8 scripts/train_all.py ...    # on eight GPUs, the same arguments

Order and shares are in jpegrt.training.plan. The same command goes on after Ctrl-C or SIGTERM. Set-up
and the last validation of each recipe are not counted: some seconds each.

OUT gets, of each recipe, the averaged weights that were best on the held-out images (NAME.safetensors,
float16), its checkpoint (NAME.checkpoint.pt) if that is no larger than a part, and the results as
results.json. Files of more than a part are cut: cat NAME.safetensors.part* > NAME.safetensors
"""

import argparse
import json
import os
import sys
import traceback
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import torch

from jpegrt.runtime.cli.options import positive
from jpegrt.runtime.errors import RestoreError
from jpegrt.training.command import minutes
from jpegrt.training.loop import Training
from jpegrt.training.plan import Part, plan
from jpegrt.training.recipe import load_recipe, recipe_names

PART_BYTES = 14 << 20


@dataclass(frozen=True)
class Result:
    """What came of a recipe. allotted and minutes: what it was to have, and has had; stopped:
    by a signal; gains: on held-out images, dB; failure: why it has not been trained."""

    recipe: str
    allotted: float
    minutes: float = 0.0
    steps: int = 0
    finished: bool = False
    stopped: bool = False
    gains: dict[str, float] = field(default_factory=dict)
    failure: str = ""


def main() -> int:
    arguments = parse_arguments()
    report = arguments.out / "results.json"
    earlier = {result.recipe: result for result in read_results(report)}
    results: list[Result] = []
    for part in plan(arguments.recipes, arguments.minutes):
        result = earlier.get(part.recipe)
        if result is None or not result.finished or result.allotted != part.minutes:
            result = train(part, arguments)
        else:
            result = replace(result, stopped=False)
        results.append(result)
        if is_first():
            report.write_text(json.dumps([asdict(r) for r in results], indent=2) + "\n")
        if result.stopped:
            break
    if is_first():
        print(table(results))
    return 0


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Train every recipe in the time there is.")
    parser.add_argument("--data", type=Path, required=True, help="folder of image folders or packs")
    parser.add_argument("--minutes", type=minutes, required=True, help="of all recipes together")
    parser.add_argument("--runs", type=Path, default=Path("runs"), help="where runs are kept")
    parser.add_argument("--out", type=Path, default=Path("trained"), help="what is gathered")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument(
        "--workers",
        type=positive,
        default=max(1, (os.cpu_count() or 1) - 1),
        help="processes that make batches (default: %(default)s)",
    )
    parser.add_argument(
        "--recipes", nargs="+", choices=recipe_names(), default=recipe_names(), metavar="RECIPE"
    )
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    return arguments


def train(part: Part, arguments: argparse.Namespace) -> Result:
    """Goes on with the run if there is one."""
    recipe = load_recipe(part.recipe)
    schedule = replace(recipe.schedule, minutes=part.minutes, steps=0)
    # Alone, one recipe's failure is not the others'. Of several processes one that failed would
    # leave the others waiting, but for what all of them find before they begin.
    foreseen = (RestoreError, ValueError, FileNotFoundError)
    try:
        training = Training(
            replace(recipe, schedule=schedule),
            arguments.data,
            arguments.runs,
            resume=True,
            device=arguments.device,
            workers=arguments.workers,
            wall_clock=True,
        )
        training.run()
    except foreseen as error:
        return Result(part.recipe, part.minutes, failure=str(error))
    except Exception as error:
        if torch.distributed.is_torchelastic_launched():
            raise
        traceback.print_exc()
        return Result(part.recipe, part.minutes, failure=f"{type(error).__name__}: {error}")
    if training.first:
        gather(training, part.recipe, arguments.out)
    return Result(
        part.recipe,
        part.minutes,
        training.minutes,
        training.step,
        training.progress >= 1,
        training.stopped,
        training.gains,
    )


def gather(training: Training, recipe: str, out: Path) -> None:
    best = training.best_weights_file
    in_parts(best if best.exists() else training.weights_file, out / f"{recipe}.safetensors")
    if training.checkpoint_file.stat().st_size <= PART_BYTES:
        in_parts(training.checkpoint_file, out / f"{recipe}.checkpoint.pt")


def in_parts(file: Path, copy: Path, largest: int = PART_BYTES) -> None:
    """A copy, or its parts if it is larger than one."""
    for old in (copy, *copy.parent.glob(f"{copy.name}.part*")):
        old.unlink(missing_ok=True)
    content = file.read_bytes()
    if len(content) <= largest:
        copy.write_bytes(content)
        return
    for n, start in enumerate(range(0, len(content), largest)):
        part = copy.with_name(f"{copy.name}.part{n:02}")
        part.write_bytes(content[start : start + largest])


def is_first() -> bool:
    """Of torchrun's processes."""
    return os.environ.get("RANK", "0") == "0"


def read_results(report: Path) -> list[Result]:
    return [Result(**row) for row in json.loads(report.read_text())] if report.exists() else []


def table(results: list[Result]) -> str:
    rows = [f"{'recipe':24} {'minutes':>8} {'steps':>8}  held-out gains, dB"]
    for result in results:
        gains = "  ".join(f"{name} {gain:+.3f}" for name, gain in result.gains.items())
        rows.append(
            f"{result.recipe:24} {result.minutes:8.1f} {result.steps:8}  "
            f"{gains or 'not trained: ' + result.failure}"
            f"{'  (stopped)' if result.stopped else ''}"
        )
    return "\n".join(rows)


if __name__ == "__main__":
    sys.exit(main())
