"""`jpegrt train`."""

import argparse
from dataclasses import replace
from math import inf
from pathlib import Path

from jpegrt.runtime.cli.options import positive, thread_count
from jpegrt.runtime.errors import UsageError, usage_errors
from jpegrt.training.recipe import load_recipe, of_scale, recipe_names


def configure(parser: argparse.ArgumentParser) -> None:
    names = ", ".join(recipe_names())
    parser.description = "Train a network as a recipe says. Ctrl-C leaves a checkpoint."
    parser.add_argument("recipe", help=f"a TOML file, or one of: {names}")
    parser.add_argument("--data", type=Path, required=True, help="folder of image folders")
    parser.add_argument("--runs", type=Path, default=Path("runs"), help="where runs are kept")
    parser.add_argument(
        "--minutes", type=minutes, help="length of the run, instead of the recipe's"
    )
    parser.add_argument("--steps", type=positive, help="instead of minutes")
    parser.add_argument(
        "--scale",
        type=positive,
        help="by how much a network of one scale enlarges, instead of the recipe's; the run's name "
        "then ends in it, such as carsr-best-x3",
    )
    parser.add_argument(
        "--threads", type=thread_count, help="for the network (default: one per core)"
    )
    parser.add_argument(
        "--device",
        choices=("cpu", "cuda"),
        default="cpu",
        help="what trains (default: %(default)s)",
    )
    parser.add_argument(
        "--workers",
        type=positive,
        default=1,
        help="processes that make batches; a GPU needs as many as there are cores "
        "(default: %(default)s)",
    )
    parser.add_argument("--resume", action="store_true", help="go on from the run's checkpoint")
    parser.set_defaults(run=run)


def minutes(text: str) -> float:
    """An argparse type: a positive number."""
    value = float(text)
    if not 0 < value < inf:
        raise argparse.ArgumentTypeError(f"must be a positive number, not {text}")
    return value


def run(arguments: argparse.Namespace) -> int:
    import torch  # only now: it is slow to import, and an extra

    from jpegrt.training.loop import Training

    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    with usage_errors():
        recipe = load_recipe(arguments.recipe)
        if arguments.scale:
            recipe = of_scale(recipe, arguments.scale)
        if arguments.minutes:
            schedule = replace(recipe.schedule, minutes=arguments.minutes, steps=0)
            recipe = replace(recipe, schedule=schedule)
        if arguments.device == "cuda" and not torch.cuda.is_available():
            raise UsageError(
                "PyTorch finds no CUDA device: install its CUDA build and a driver, or train on "
                "the CPU (--device cpu)"
            )
        training = Training(
            recipe,
            arguments.data,
            arguments.runs,
            resume=arguments.resume,
            steps=arguments.steps,
            device=arguments.device,
            workers=arguments.workers,
        )
    print(f"averaged weights: {training.run()}")
    return 0
