"""The `revisual` command: runs, reports, recipes, the store, and the services."""

import argparse
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import get_args

from contracts.errors import RevisualError
from contracts.run_record import recipe_digest
from contracts.secrets import masked
from infra import services
from infra.access import PRIVATE_UMASK, credential_path
from infra.settings import load_settings
from tasks.keys import Reuse
from training.recipe.recipe import CheckpointsRecipe, Recipe, load_recipe, resolved_toml_values

SECONDS_PER_DAY = 86400.0


def main(arguments: list[str] | None = None) -> int:
    """Runs one command; a broken rule is one clear message and exit code 1."""
    os.umask(PRIVATE_UMASK)
    options = _parser().parse_args(arguments)
    command: Callable[[argparse.Namespace], int] = options.command
    try:
        return command(options)
    except RevisualError as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return 1


def run(options: argparse.Namespace) -> int:
    """Runs a recipe through the deployment and shows it until it ends."""
    from flows.watch import start_run, watch
    from tasks.prepare import check
    from tasks.run import absolute_name

    settings = load_settings()
    recipe = _load(options.recipe, options.seed)
    check(recipe)
    status(options)
    up(options)
    parameters = {
        "recipe": absolute_name(options.recipe),
        "seed": options.seed,
        "reuse": options.reuse,
        "digest": recipe_digest(resolved_toml_values(recipe)),
    }
    return watch(settings, start_run(settings, parameters))


def status(options: argparse.Namespace) -> int:
    """Says of each stage of a recipe whether a run would reuse it, go on with it or run it anew."""
    from tasks.status import status_lines

    recipe = _load(options.recipe, options.seed)
    for line in status_lines(recipe, load_settings(), options.reuse, print):
        print(line, flush=True)
    return 0


def up(_options: argparse.Namespace) -> int:
    """Starts the Prefect server and a worker, and deploys."""
    settings = load_settings()
    print("Starting the Prefect server and a worker ...", flush=True)
    services.up(settings)
    print(f"Prefect UI: {settings.ui_url}   (stop it with: make down)")
    print(f"It asks once for a password: the line in {credential_path(settings)}")
    print("Start a run: .venv/bin/prefect deployment run revisual/full -p recipe=pocket -p seed=3")
    return 0


def down(_options: argparse.Namespace) -> int:
    """Stops what `up` started."""
    stopped = services.down(load_settings())
    print(f"Stopped: {', '.join(stopped)}." if stopped else "Nothing was running.")
    return 0


def validate(options: argparse.Namespace) -> int:
    """Checks a recipe, and its model where that is on this machine."""
    from tasks.inputs import check_base, wanted_model
    from tasks.prepare import check_rewards
    from training.rollout.engine import prove  # seconds, which other commands need not pay

    recipe = _load(options.recipe, None)
    check_rewards(recipe)
    stages = " -> ".join(stage.name for stage in recipe.stages)
    print(f"{options.recipe}: valid; curate -> {stages} -> evaluate")
    model = wanted_model(recipe.model)
    if model.kind == "local":
        check_base(Path(model.path))
        print(f"{model.path}: files, configuration and chat template are in order")
        print(f"{model.path} on {recipe.rollout.engine}: {prove(recipe)}")
    else:
        print(f"{model.path}: not checked; a run fetches, checks and probes it before it uses it")
    return 0


def show(options: argparse.Namespace) -> int:
    """Prints a recipe with every default filled in."""
    print(json.dumps(masked(resolved_toml_values(_load(options.recipe, None))), indent=2))
    return 0


def report(options: argparse.Namespace) -> int:
    """Renders a run's report again from the store."""
    from tasks.report import render_again

    print(render_again(load_settings(), options.run))
    return 0


def lineage(options: argparse.Namespace) -> int:
    """Prints where an artifact or a run's results come from, back to the source rows."""
    from tasks.lineage import find_artifact, lineage_lines

    store = load_settings().store()
    for line in lineage_lines(store, find_artifact(store, options.artifact)):
        print(line)
    return 0


def gc(options: argparse.Namespace) -> int:
    """Removes what no finished run refers to from the store, and old scratch from this machine."""
    from tasks.garbage import find_garbage, remove
    from tasks.scratch import find_scratch, live_runs, remove_scratch
    from tasks.uploads import Retention

    settings, age_seconds = load_settings(), options.age * SECONDS_PER_DAY
    store, home = settings.store(), settings.home
    live = live_runs(home)
    for run in live:
        print(f"{run.name} is at work: what it needs, or has begun since it started, stays")
    garbage = find_garbage(
        store,
        retention=Retention(options.keep_last),
        min_age_seconds=max([age_seconds, *(run.age_seconds for run in live)]),
        in_use=[artifact for run in live for artifact in run.artifacts],
    )
    scratch = find_scratch(home, min_age_seconds=age_seconds)
    for one in [*garbage, *scratch]:
        print(f"{one.num_bytes / 2**20:10.1f} MiB  {one.uri}  {one.reason}")
    total = sum(one.num_bytes for one in [*garbage, *scratch]) / 2**20
    if not options.dry_run:
        remove(store, garbage)
        remove_scratch(scratch)
    done = "would go" if options.dry_run else "removed"
    print(f"{len(garbage)} artifact(s), {len(scratch)} local folder(s), {total:.1f} MiB {done}.")
    return 0


def _load(name: str, seed: int | None) -> Recipe:
    from tasks.run import recipe_path

    return load_recipe(recipe_path(name), seed=seed)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="revisual", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def add(command: Callable[[argparse.Namespace], int]) -> argparse.ArgumentParser:
        summary = (command.__doc__ or "").splitlines()[0]
        added = commands.add_parser(command.__name__, help=summary, description=summary)
        added.set_defaults(command=command)
        return added

    add(run).add_argument("--recipe", default="pocket", help="a shipped recipe, or a file's path")
    add(status).add_argument("recipe", help="a shipped recipe, or a file's path")
    for asked in (commands.choices["run"], commands.choices["status"]):
        asked.add_argument("--seed", type=int, help="replaces the recipe's seed")
        asked.add_argument(
            "--reuse",
            choices=get_args(Reuse),
            default="code",
            help="what to take from earlier runs: of the same code, of any code, nothing",
        )
    for command in (validate, show):
        add(command).add_argument("recipe", help="a shipped recipe, or a file's path")
    add(report).add_argument("run", help="a run's name or id, or `latest`")
    add(lineage).add_argument("artifact", help="its URI, or a run's name or id")
    collected = add(gc)
    collected.add_argument("--dry-run", action="store_true", help="list what would go")
    collected.add_argument(
        "--age", type=float, default=7.0, metavar="DAYS", help="what is younger stays (7)"
    )
    collected.add_argument(
        "--keep-last",
        type=int,
        default=CheckpointsRecipe().keep_last,
        metavar="N",
        help="step checkpoints of each stage that stay beside the best one",
    )
    add(up)
    add(down)
    return parser


if __name__ == "__main__":
    sys.exit(main())
