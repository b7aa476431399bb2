"""`jpegrt evaluate --paper`: a paper's tables, measured here, beside what it published."""

import argparse

from jpegrt.runtime.bundle import find_bundle_folder, name_of_scale
from jpegrt.runtime.cli.options import engine_options
from jpegrt.runtime.cli.progress import Progress
from jpegrt.runtime.cli.stdout import show
from jpegrt.runtime.errors import UsageError
from jpegrt.runtime.output import write_json, written_whole
from jpegrt.runtime.papers.measure import Measurement, Plan
from jpegrt.runtime.papers.published import Paper, load_paper
from jpegrt.runtime.papers.report import Subject, closing, heading, markdown, to_json
from jpegrt.runtime.papers.sets import find_sets
from jpegrt.runtime.session import Session


def run_paper(arguments: argparse.Namespace) -> int:
    """Prints each table as soon as it is measured."""
    paper = load_paper(arguments.paper)
    sets = find_sets(arguments.images, arguments.limit, arguments.sets)
    qualities = frozenset(arguments.quality) if arguments.quality else None
    plan = Plan(paper, sets, qualities, arguments.codec)
    scales = {row.scale for table, _ in plan.tables() for row in plan.rows(table)}
    if not scales:
        raise UsageError(f"no table of {paper.name} has rows of these sets, qualities and codec")
    models, missing = _models(paper, scales, arguments)
    progress = Progress(plan.count(), asked_for=arguments.progress)

    folder = arguments.images.resolve().name
    subject = Subject(paper, folder, arguments.limit, models, missing)
    parts = [heading(subject)]
    show(parts[0])
    tables = []
    try:
        for table in Measurement(plan, models, lambda: progress.step(failed=False)).tables():
            tables.append(table)
            parts.append(markdown(table))
            progress.clear()
            show(f"\n{parts[-1]}")
    finally:
        progress.clear()
    parts.append(closing(paper))
    show(f"\n{parts[-1]}")

    if arguments.json:
        write_json(to_json(subject, tables), arguments.json, overwrite=arguments.overwrite)
    if arguments.markdown:
        with written_whole(arguments.markdown, overwrite=arguments.overwrite) as file:
            file.write(("\n\n".join(parts) + "\n").encode())
    return 0


def _models(
    paper: Paper, scales: set[int], arguments: argparse.Namespace
) -> tuple[dict[int, Session], dict[int, str]]:
    """The sessions by how often they enlarge, and of the other scales why there is none."""
    if arguments.model == "none":
        return {}, {}
    if arguments.model:
        session = _open(arguments.model, arguments)
        if session.enlargement not in scales:
            raise UsageError(
                f"model {arguments.model} enlarges {session.enlargement} times, and no row of "
                f"{paper.name} is of that scale"
            )
        reason = f"{arguments.model} enlarges {session.enlargement} times"
        others = dict.fromkeys(scales - {session.enlargement}, reason)
        return {session.enlargement: session}, others
    models, missing = {}, {}
    for scale in sorted(scales):
        names = [name_of_scale(network, scale) for network in paper.networks]
        there = [name for name in names if find_bundle_folder(name)]
        if there:
            models[scale] = _open(there[0], arguments)
        else:
            missing[scale] = _how_to_get(paper, names[0], scale)
    return models, missing


def _open(name: str, arguments: argparse.Namespace) -> Session:
    return Session(
        name,
        precision=arguments.precision,
        **engine_options(arguments),
        threads=arguments.threads,
    )


def _how_to_get(paper: Paper, name: str, scale: int) -> str:
    """What to do about a bundle that is not there."""
    chosen = f" --scale {scale}" if scale > 1 else ""
    return (
        f"There is no model {name}: fetch it with jpegrt models --fetch {name} --from WHERE; or "
        f"train one with the recipe {paper.recipe} and export it with jpegrt export "
        f"{paper.recipe} --data IMAGES -o {name}{chosen}; or name another with --model."
    )
