"""The `revisual` command: runs, reports, recipes, the store, and the services."""

import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

import typer

from contracts.errors import RevisualError
from contracts.graces import WORKER_GRACE_SECONDS
from contracts.run_record import recipe_digest
from contracts.secrets import masked
from infra import services
from infra.access import PRIVATE_UMASK, credential_path
from infra.settings import ABLATION, DEPLOYMENT, EVALUATION, PROJECT_ROOT, load_settings
from infra.write_env import DEFAULT_PORT, ENV_PATH, write_env
from tasks.grids import absolute_grid, asked_of, base_name, shipped_grids
from tasks.keys import Reuse
from tasks.run import absolute_name, recipe_path, shipped_recipes
from training.plan.machine import GIB, GpuKind, Machine
from training.recipe.recipe import CheckpointsRecipe, Recipe, load_recipe, resolved_toml_values
from training.records import Modality

SECONDS_PER_DAY = 86400.0
SHIPPED = typer.Option(help="A shipped recipe, or a file's path.", autocompletion=shipped_recipes)
RecipeName = Annotated[
    str, typer.Argument(help="A shipped recipe, or a file's path.", autocompletion=shipped_recipes)
]
Seed = Annotated[int | None, typer.Option(help="Replaces the recipe's seed.")]
Reused = Annotated[
    Reuse, typer.Option(help="What to take from earlier runs: of the same code, any code, nothing.")
]

app = typer.Typer(
    name="revisual",
    help="Stages that turn a vision-language model into a reasoner, from curation to benchmarks.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs one command; a broken rule is one clear message and exit code 1."""
    os.umask(PRIVATE_UMASK)
    try:
        app(arguments, prog_name="revisual")
    except RevisualError as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        sys.exit(1)


@app.command(epilog="Example: revisual run --recipe my-recipe.toml --seed 3")
def run(
    recipe: Annotated[str, SHIPPED] = "pocket", seed: Seed = None, reuse: Reused = "code"
) -> None:
    """Runs a recipe and shows it until it ends."""
    from flows.watch import start_run, watch
    from tasks.prepare import check

    settings = load_settings()
    loaded = _load(recipe, seed)
    check(loaded)
    status(recipe, seed, reuse)
    up()
    parameters = {
        "recipe": absolute_name(recipe),
        "seed": seed,
        "reuse": reuse,
        "digest": recipe_digest(resolved_toml_values(loaded)),
    }
    raise typer.Exit(watch(settings, start_run(settings, DEPLOYMENT, parameters)))


@app.command(
    epilog="Example: revisual evaluate http://127.0.0.1:8000/v1#my-model --recipe mine.toml"
)
def evaluate(
    model: Annotated[
        str,
        typer.Argument(
            help="RUN, RUN/STAGE, an artifact's URI, a folder, s3://, a hub's id, ENDPOINT#MODEL."
        ),
    ],
    recipe: Annotated[str | None, SHIPPED] = None,
    benchmark: Annotated[
        list[str] | None, typer.Option(help="One of the recipe's or a shipped one; repeat it.")
    ] = None,
    seed: Seed = None,
    reuse: Reused = "code",
) -> None:
    """Scores one model on a recipe's benchmarks: the shipped one by which a run asked, if none."""
    from flows.watch import start_run, watch
    from tasks.candidates import check_evaluation, narrowed, recipe_for

    settings = load_settings()
    model = str(Path(model).resolve()) if model.startswith(("./", "../")) else model
    named = recipe or recipe_for(model, settings)
    print(f"Recipe: {named}", flush=True)
    loaded = _load(named, seed)
    check_evaluation(model, narrowed(loaded, benchmark), settings)
    up()
    parameters = {
        "model": model,
        "recipe": absolute_name(named),
        "benchmarks": benchmark,
        "seed": seed,
        "reuse": reuse,
        "digest": recipe_digest(resolved_toml_values(loaded)),
    }
    raise typer.Exit(watch(settings, start_run(settings, EVALUATION, parameters)))


@app.command(epilog="Example: revisual ablation pocket --arm cs --arm cs+mrl --stretch 4")
def ablation(
    grid: Annotated[
        str, typer.Argument(help="A shipped grid, or a file's path.", autocompletion=shipped_grids)
    ] = "pocket",
    arm: Annotated[list[str] | None, typer.Option(help="Of these alone; may be repeated.")] = None,
    seed: Annotated[list[int] | None, typer.Option(help="Instead of the grid's.")] = None,
    stretch: Annotated[float, typer.Option(help="Multiplies every RL stage's steps.")] = 1.0,
    change: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="FIELD=VALUE", help="In all arms; the value as in TOML."),
    ] = None,
    concurrency: Annotated[int, typer.Option(min=1, max=64, help="Arms at once.")] = 1,
    reuse: Reused = "code",
    output: Annotated[
        Path | None, typer.Option(help="Where the Markdown table goes, beside the report.")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only say what it would take.")
    ] = False,
) -> None:
    """Runs every arm of a grid with every seed, and writes one table."""
    from flows.watch import start_run, watch_ablation
    from tasks.ablation import checked_runs, runs_digest
    from tasks.estimate import estimate_lines

    settings = load_settings()
    asked = asked_of(arm or (), seed or (), change or (), stretch)
    runs = checked_runs(grid, asked)
    for line in estimate_lines(runs, settings, reuse, base_name(grid)):
        print(line, flush=True)
    if dry_run:
        return
    up()
    parameters = {
        "grid": absolute_grid(grid),
        "asked": asked.model_dump(mode="json"),
        "concurrency": concurrency,
        "reuse": reuse,
        "digest": runs_digest(runs),
    }
    run_id = start_run(settings, ABLATION, parameters)
    raise typer.Exit(watch_ablation(settings, run_id, output))


@app.command(epilog="Example: revisual status pocket --seed 3")
def status(recipe: RecipeName, seed: Seed = None, reuse: Reused = "code") -> None:
    """Says what a run would reuse, go on with or make anew."""
    from tasks.status import status_lines

    for line in status_lines(_load(recipe, seed), load_settings(), reuse, print):
        print(line, flush=True)


@app.command()
def validate(recipe: RecipeName) -> None:
    """Checks a recipe, and its model if that is here."""
    from tasks.inputs import check_base, wanted_model
    from tasks.prepare import check_rewards, check_rules
    from training.rollout.engine import prove  # seconds, which other commands need not pay

    loaded = _load(recipe)
    check_rewards(loaded)
    check_rules(loaded)
    stages = " -> ".join(stage.name for stage in loaded.stages)
    print(f"{recipe}: valid; curate -> {stages} -> evaluate")
    model = wanted_model(loaded.model)
    if model.kind == "local":
        check_base(Path(model.path))
        print(f"{model.path}: files, configuration and chat template are in order")
        print(f"{model.path} on {loaded.rollout.engine}: {prove(loaded)}")
    else:
        print(f"{model.path}: not checked; a run fetches, checks and probes it before it uses it")


@app.command(epilog="Example: revisual inspect ./rows.jsonl")
def inspect(
    source: Annotated[
        str, typer.Argument(help="A path, a known data set, or a source of the recipe.")
    ],
    recipe: Annotated[str | None, SHIPPED] = None,
    rows: Annotated[int, typer.Option(min=1, help="So many rows are read.")] = 1000,
    modality: Annotated[Modality | None, typer.Option(help="Of a path's problems.")] = None,
) -> None:
    """Shows five rows of a source as curation reads them, and why others would be rejected."""
    from tasks.inspect import find_source, inspect_lines
    from training.recipe.curation import STEPS

    loaded = _load(recipe) if recipe else None
    found = find_source(source, loaded, modality)
    steps = loaded.curation.steps if loaded else STEPS
    for line in inspect_lines(found, load_settings(), rows, steps):
        print(line, flush=True)


@app.command(epilog="Example: revisual show revisual-7b")
def show(recipe: RecipeName) -> None:
    """Prints a recipe with every default filled in."""
    print(json.dumps(masked(resolved_toml_values(_load(recipe))), indent=2))


@app.command(epilog="Example: revisual plan revisual-7b --gpus 8 --gpu-memory 80")
def plan(
    recipe: RecipeName,
    gpus: Annotated[int, typer.Option(min=1, help="Of one node.")] = 8,
    gpu_memory: Annotated[
        float,
        typer.Option(metavar="GIB", min=1.0, help="Of one GPU; 98.9 % is usable. A10G, L4: 22.3."),
    ] = 80.0,
    nodes: Annotated[int, typer.Option(min=1, help="Of this kind.")] = 1,
    host_memory: Annotated[
        float | None, typer.Option(metavar="GIB", min=1.0, help="Of one node.")
    ] = None,
    shared_memory: Annotated[
        float | None,
        typer.Option(metavar="GIB", min=0.0, help="Of one node: /dev/shm, bounded in containers."),
    ] = None,
    disk: Annotated[
        float | None, typer.Option(metavar="GIB", min=0.0, help="For scratch and store.")
    ] = None,
    gpu: Annotated[GpuKind, typer.Option(help="Kind, for the times.")] = "h100",
    gpu_hour_price: Annotated[
        float | None, typer.Option(min=0.0, help="Of one GPU, in any currency.")
    ] = None,
) -> None:
    """Says what each stage needs, and refuses what cannot fit."""
    from training.plan.plan import make_plan, require_fits  # torch: seconds
    from training.plan.table import plan_lines

    bounds = (host_memory, disk, shared_memory)
    host, free, shared = (None if one is None else int(one * GIB) for one in bounds)
    machine = Machine(gpus, int(gpu_memory * GIB), nodes, host, free, gpu, shared)
    made = make_plan(_load(recipe), machine)
    for line in plan_lines(made, gpu_hour_price=gpu_hour_price):
        print(line)
    require_fits(made)


@app.command(epilog="Example: revisual report latest")
def report(run: Annotated[str, typer.Argument(help="A run's name or id, or `latest`.")]) -> None:
    """Renders a run's report again from the store."""
    from tasks.report import render_again

    print(render_again(load_settings(), run))


@app.command(epilog="Example: revisual decide busy-otter release --reason 'a known source'")
def decide(
    run: Annotated[str, typer.Argument(help="The waiting run's name or id.")],
    decision: Annotated[
        Literal["release", "refuse"], typer.Argument(help="Whether the run goes on.")
    ],
    reason: Annotated[str, typer.Option(help="Kept in the run's report and lineage.")],
) -> None:
    """Answers a run that waits at a gate."""
    from flows.decide import decide as answer

    decided = answer(load_settings(), run, decision, reason)
    print(f"{decided.name}: {'goes on' if decision == 'release' else 'ends'}")


@app.command(epilog="Example: revisual compare popular-mayfly hungry-newt")
def compare(
    runs: Annotated[list[str], typer.Argument(help="Their names or ids; the first is the base.")],
    output: Annotated[
        Path | None, typer.Option(help="The page; compare.html beside the reports otherwise.")
    ] = None,
) -> None:
    """Writes a page that compares finished runs."""
    from tasks.report import COMPARISON, compare_runs

    settings = load_settings()
    print(compare_runs(settings, runs, output or settings.reports / COMPARISON))


@app.command()
def lineage(
    artifact: Annotated[str, typer.Argument(help="Its URI, or a run's name or id.")],
) -> None:
    """Prints what a result was made from, down to the rows."""
    from tasks.lineage import find_artifact, lineage_lines

    store = load_settings().store()
    for line in lineage_lines(store, find_artifact(store, artifact)):
        print(line)


@app.command(epilog="Example: revisual gc --dry-run --age 30")
def gc(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="List what would go.")] = False,
    only_scratch: Annotated[bool, typer.Option("--scratch", help="Leave the store alone.")] = False,
    age: Annotated[float, typer.Option(metavar="DAYS", min=0.0, help="Younger stays.")] = 7.0,
    keep_last: Annotated[
        int,
        typer.Option(min=0, help="Step checkpoints of each stage that stay beside the best one."),
    ] = CheckpointsRecipe().keep_last,
) -> None:
    """Removes what no finished run needs, and old scratch."""
    from tasks.garbage import find_garbage, remove
    from tasks.scratch import find_scratch, live_runs, remove_scratch
    from tasks.uploads import Retention

    settings, age_seconds = load_settings(), age * SECONDS_PER_DAY
    store, home = settings.store(), settings.home
    live = live_runs(home)
    for other in live:
        print(f"{other.name} is at work: what it needs, or has begun since it started, stays")
    garbage = []
    if not only_scratch:
        garbage = find_garbage(
            store,
            retention=Retention(keep_last),
            min_age_seconds=max([age_seconds, *(other.age_seconds for other in live)]),
            in_use=[artifact for other in live for artifact in other.artifacts],
        )
    scratch = find_scratch(home, min_age_seconds=age_seconds)
    listed = [*garbage, *scratch]
    for one in listed:
        print(f"{one.num_bytes / 2**20:10.1f} MiB  {one.uri}  {one.reason}")
    if not dry_run:
        remove(store, garbage)
        remove_scratch(scratch)
    total = sum(one.num_bytes for one in listed) / 2**20
    done = "would go" if dry_run else "removed"
    print(f"{len(garbage)} artifact(s), {len(scratch)} local folder(s), {total:.1f} MiB {done}.")


@app.command()
def up() -> None:
    """Starts the Prefect server and a worker, and deploys."""
    settings = load_settings()
    print("Starting the Prefect server and a worker ...", flush=True)
    services.up(settings)
    print(f"Prefect UI: {settings.ui_url}   (stop it with: make down)")
    print(f"It asks once for a password: the line in {credential_path(settings)}")
    print("Start a run: .venv/bin/prefect deployment run revisual/full -p recipe=pocket -p seed=3")


@app.command(epilog="Example: revisual worker gpu")
def worker(
    pool: Annotated[str, typer.Argument(help="As recipes name it: hardware.pool.")],
    register: Annotated[
        bool, typer.Option("--register", help="Only make the pool known: another worker serves it.")
    ] = False,
) -> None:
    """Runs single stages here that runs elsewhere ask for."""
    environment = services.pool_environment(load_settings())
    os.chdir(PROJECT_ROOT)
    serve = [sys.executable, "-m", "flows.pools", pool]
    if register:
        command = [*serve, "--register"]
    else:
        grace = ["--grace", str(WORKER_GRACE_SECONDS)]
        command = [sys.executable, "-m", "infra.supervisor", *grace, "--", *serve]
    os.execve(command[0], command, environment)  # noqa: S606 - this process becomes the worker


@app.command()
def env(
    port: Annotated[int, typer.Option(min=1, max=65535, help="Of the Prefect UI.")] = DEFAULT_PORT,
) -> None:
    """Writes the .env of docker-compose.yml, with random passwords."""
    write_env(port=port)
    print(f"{ENV_PATH} holds new passwords. Next: docker compose up --build --detach --wait")


@app.command()
def down() -> None:
    """Stops what `up` started."""
    settings = load_settings()
    if services.is_running(settings, "worker"):
        minutes = WORKER_GRACE_SECONDS / 60
        print(f"The worker's runs save and store first: {minutes:.0f} minutes at most.", flush=True)
    stopped = services.down(settings)
    print(f"Stopped: {', '.join(stopped)}." if stopped else "Nothing was running.")


def _load(name: str, seed: int | None = None) -> Recipe:
    return load_recipe(recipe_path(name), seed=seed)


if __name__ == "__main__":
    main()
