"""An ablation's own tasks: its plan, each arm's record, and the table of all of them."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from prefect import runtime, task
from prefect.artifacts import create_markdown_artifact
from prefect.cache_policies import NO_CACHE
from prefect.logging import get_run_logger

from contracts.artifact import Artifact
from contracts.errors import RecipeError
from contracts.provenance import Provenance
from contracts.run_record import recipe_digest
from contracts.secrets import masks_secrets
from infra.settings import load_settings
from report.ablation import AblationResult, Trained, summarize
from report.ablation_page import document
from report.evidence import FILES, gather
from report.write_html import html_page
from report.write_markdown import markdown_page
from tasks.display import artifact_key, show_page
from tasks.estimate import estimate_lines
from tasks.grids import ArmRun, arm_runs, base_name, read_grid
from tasks.keys import Reuse, name_key
from tasks.prepare import check
from tasks.report import RECORD, find_run
from tasks.run import Run, code_version
from training.recipe.grid import Asked
from training.recipe.recipe import resolved_toml_values

PAGE, TABLE, RESULT = "ablation.html", "ablation.md", "ablation.json"


def checked_runs(grid: str, asked: Asked, digest: str | None = None) -> list[ArmRun]:
    """Every arm with every seed, each checked as a run of its own is.

    Raises:
        RecipeError: The grid or an arm breaks a rule, or they are not those of the digest.
        RevisualError: What an arm needs is not there; see `tasks.prepare.check`.
    """
    runs = arm_runs(grid, asked)
    if digest not in (None, runs_digest(runs)):
        raise RecipeError(
            "The grid is not the one that was checked when the ablation was asked for.",
            where=grid,
            rule=f"the digest of its arms is {digest}",
            fix="start the ablation again, with the grid as it is now",
        )
    (whole, _), seeds = read_grid(grid), {one.recipe.seed for one in runs}
    for one in runs:
        names = [benchmark.name for benchmark in one.recipe.evaluation.benchmarks]
        if whole.paper_benchmark not in (None, *names):
            raise RecipeError(
                f"paper_benchmark is {whole.paper_benchmark!r}.",
                where=f"grid {whole.name}, arm {one.arm.name}",
                rule=f"it is one of the evaluation's: {', '.join(names)}",
                fix="name one of these, or leave paper_benchmark out",
            )
        if one.recipe.seed == min(seeds):  # a seed changes nothing that is checked
            check(one.recipe)
    return runs


def runs_digest(runs: Sequence[ArmRun]) -> str:
    """SHA-256, in hex, of all arms' resolved recipes."""
    return recipe_digest(
        {
            "runs": [
                {
                    "arm": one.arm.model_dump(mode="json"),
                    "recipe": resolved_toml_values(one.recipe),
                }
                for one in runs
            ]
        }
    )


@task(cache_policy=NO_CACHE, task_run_name="prepare")
@masks_secrets
def prepare_ablation(grid: str, asked: Asked, reuse: Reuse, digest: str | None) -> list[ArmRun]:
    """Checks every arm, and says how long all of them will take.

    Raises:
        RecipeError: The grid or an arm breaks a rule, or they are not those of the digest.
        RevisualError: What an arm needs is not there.
    """
    runs = checked_runs(grid, asked, digest)
    lines = list(estimate_lines(runs, load_settings(), reuse, base_name(grid)))
    for line in lines:
        get_run_logger().info(line)
    create_markdown_artifact("\n\n".join(lines), key=artifact_key("estimate"))
    return runs


@task(cache_policy=NO_CACHE, task_run_name="record")
@masks_secrets
def record_arm(run: Run, one: ArmRun) -> Artifact:
    """Stores an arm's record, where the table, `report`, `compare` and `lineage` find it."""
    # Without stages the recipe has some all the same: none of them is missing.
    done = replace(run, recipe=run.recipe.model_copy(update={"stages": one.stages}))
    record = done.record(code_version())
    folder = run.work / "record"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / RECORD).write_text(record.model_dump_json(indent=2), encoding="utf-8")
    store = run.store()
    made_from = {stage.name: stage.artifact for stage in record.stages}
    artifact = store.publish(folder, "run", run.provenance("report", made_from))
    for name in (run.name, run.id):
        store.append(name_key("run", name), artifact)
    return artifact


@task(cache_policy=NO_CACHE, task_run_name="report")
@masks_secrets
def report_ablation(
    grid: str, runs: Sequence[ArmRun], done: Collection[str], failures: Mapping[str, str]
) -> Artifact:
    """Writes the table of an ablation, stores it, and shows it in the UI.

    Args:
        grid: The grid's name or path.
        runs: Every arm with every seed.
        done: The labels of those that ended well; the store has their records by their names.
        failures: Why each of the others did not, by `label`.
    """
    settings, name = load_settings(), str(runtime.flow_run.name)
    store, whole = settings.store(), read_grid(grid)[0]
    trained = list[Trained]()
    for one in runs:
        if label(one) in done:
            record = find_run(settings, store, f"{name}-{label(one)}")
            files = {stage.name: store.fetch(stage.artifact, only=FILES) for stage in record.stages}
            trained.append(Trained(one.arm, record, gather(record, files)))
    result = summarize(whole, trained, failures, {one.recipe.seed for one in runs})
    folder = settings.reports / name
    write_ablation(result, folder, code=code_version())
    made_from = {key: store.find(name_key("run", f"{name}-{key}")) for key in done}
    provenance = Provenance(
        producer={"run": name, "stage": "ablation", "version": code_version()},
        inputs={key: found for key, found in made_from.items() if found is not None},
    )
    artifact = store.publish(folder, "ablation", provenance)
    store.append(name_key("ablation", whole.name), artifact)
    text = (folder / TABLE).read_text(encoding="utf-8")
    create_markdown_artifact(text, key=artifact_key("ablation"))
    page = folder / PAGE
    show_page(settings, page, "ablation-page")
    get_run_logger().info("Table: %s", page)
    return artifact


def write_ablation(result: AblationResult, folder: Path, *, code: str) -> None:
    """Writes the table as a page, as Markdown and as JSON."""
    seeds = ", ".join(map(str, result.seeds)) or "none"
    subtitle = f"Grid {result.grid}, seeds {seeds}, code version {code}."
    page = document(result, title="Ablation", subtitle=subtitle)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / PAGE).write_text(html_page(page), encoding="utf-8")
    (folder / TABLE).write_text(markdown_page(page), encoding="utf-8")
    (folder / RESULT).write_text(result.model_dump_json(indent=2), encoding="utf-8")


def label(one: ArmRun) -> str:
    """An arm with its seed, in words that a file may be called by."""
    return f"{one.arm.name}-seed-{one.recipe.seed}"
