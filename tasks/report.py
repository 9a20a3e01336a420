"""The report: one self-contained page a run, in the store and on this machine."""

from collections.abc import Sequence
from pathlib import Path

from prefect import task
from prefect.artifacts import create_markdown_artifact
from prefect.cache_policies import NO_CACHE
from prefect.logging import get_run_logger
from pydantic import ValidationError

from contracts.artifact import Artifact
from contracts.errors import DataError, StoreError
from contracts.run_record import RunRecord
from contracts.secrets import masks_secrets
from infra.settings import Settings
from infra.store import Store
from report import render
from report.compare import Compared, compare
from report.evidence import FILES, datasheet_folder, gather
from report.items import PAGE as ITEMS
from report.items import write_browser, write_items
from report.paired_items import paired_items
from tasks.assets import emit_asset
from tasks.datasheet import write_datasheet
from tasks.display import artifact_key, show_page
from tasks.keys import name_key
from tasks.run import Run, code_version

PAGE, RECORD = "report.html", "run.json"
COMPARISON = "compare.html"


@task(cache_policy=NO_CACHE, task_run_name="report")
@masks_secrets
def report(run: Run) -> Artifact:
    """Writes the report, stores it with the run's record, and shows it in the UI."""
    store = run.store()
    record = run.record(code_version())
    folder = write_report(record, store, run.settings.reports)
    artifact = store.publish(
        folder,
        "run",
        run.provenance("report", {stage.name: stage.artifact for stage in record.stages}),
    )
    for name in (run.name, run.id):  # a run that is tried again leaves more than one
        store.append(name_key("run", name), artifact)
    emit_asset(store, artifact, reused=False)
    page = folder / PAGE
    get_run_logger().info("Report: %s", page)
    create_markdown_artifact(
        (folder / "report.md").read_text(encoding="utf-8"), key=artifact_key("report")
    )
    show_page(run.settings, page, "report-page")
    return artifact


def write_report(record: RunRecord, store: Store, reports: Path) -> Path:
    """Renders a run's report from what the store holds.

    Returns:
        The run's folder: report.html, report.md, run.json, items.html with its images, and the
        curated data's datasheet.

    Raises:
        StoreError: An artifact of the run cannot be fetched.
    """
    fetched = _fetched(record, store)
    evidence = gather(record, fetched)
    html, markdown = render(record, evidence)
    folder = reports / record.name
    folder.mkdir(parents=True, exist_ok=True)
    if made := datasheet_folder(record, fetched):
        curated = next(one for one in record.stages if one.kind == "curate")
        write_datasheet(record.name, made, record.recipe, folder, curated.remarks)
    write_items(record, evidence, folder)
    (folder / PAGE).write_text(html, encoding="utf-8")
    (folder / "report.md").write_text(markdown, encoding="utf-8")
    (folder / RECORD).write_text(record.model_dump_json(indent=2), encoding="utf-8")
    return folder


def _fetched(record: RunRecord, store: Store) -> dict[str, Path]:
    """The stages' files; not the models beside them, which may have many gigabytes."""
    return {stage.name: store.fetch(stage.artifact, only=FILES) for stage in record.stages}


def render_again(settings: Settings, name: str) -> Path:
    """Renders a finished run's report from the store.

    Args:
        settings: Where the store and the reports lie.
        name: The run's name or id, or `latest` for the newest on this machine.

    Raises:
        StoreError: There is no such run.
    """
    store = settings.store()
    return write_report(find_run(settings, store, name), store, settings.reports) / PAGE


def compare_runs(settings: Settings, names: Sequence[str], output: Path) -> Path:
    """Writes one page that compares finished runs; the first one is what the others gain over.

    Beside it, `NAME.items.html` has the items that they were asked alike.

    Args:
        settings: Where the store and the reports lie.
        names: The runs' names or ids, or `latest`; at least two different ones.
        output: The page; folders on the way are made.

    Raises:
        StoreError: There is no such run, or it has no evaluation that can be read.
        DataError: There are not two different runs.
    """
    store = settings.store()
    records = [find_run(settings, store, name) for name in names]
    for number, record in enumerate(records):
        if record in records[:number]:
            raise _no_comparison(f"The run {record.name} is named twice.", names)
    if len(records) < 2:
        raise _no_comparison("One run alone cannot be compared.", names)
    runs: list[Compared] = []
    for record in records:
        evidence = gather(record, _fetched(record, store))
        if not evidence.scores:
            raise StoreError(
                f"The run {record.name} has no scores. {' '.join(evidence.missing)[:500]}",
                where=store.root,
                rule="runs are compared by their evaluations",
                fix="let the run finish, or leave it out",
            )
        is_alone = [one.name for one in records].count(record.name) == 1
        name = record.name if is_alone else f"{record.name} ({len(runs) + 1})"
        runs.append(Compared(name, record, evidence))
    if output.name.endswith(ITEMS):
        raise DataError(
            f"The comparison cannot be called {output.name}.",
            where=str(output),
            rule=f"{ITEMS} is how pages of items end, in which the server lets a script run",
            fix="give --output another name",
        )
    browsed, prefix = paired_items(runs, output.name), f"{output.stem}."
    html = compare(runs, None if browsed.predictions.empty else f"{prefix}{ITEMS}")
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        output.write_text(html, encoding="utf-8")
        write_browser(browsed, output.parent, prefix)
    except OSError as error:
        raise DataError(
            f"{output} cannot be written: {error.strerror}.",
            where=str(output),
            rule="the comparison is an HTML file, with its items beside it",
            fix="give --output the path of a file that can be written",
        ) from error
    return output


def _no_comparison(what: str, names: Sequence[str]) -> DataError:
    return DataError(
        what,
        where=f"revisual compare {' '.join(names)}",
        rule="a comparison is between two or more different runs",
        fix="name another run beside it, as `prefect flow-run ls` prints it",
    )


def find_run(settings: Settings, store: Store, name: str) -> RunRecord:
    """A finished run's record, by its name or id, or `latest` for the newest on this machine.

    Raises:
        StoreError: There is no such run, or its record cannot be read.
    """
    if name == "latest":
        records = sorted(settings.reports.glob("*/run.json"), key=lambda path: path.stat().st_mtime)
        name = records[-1].parent.name if records else name
    run = store.find(name_key("run", name))
    if run is None:
        raise StoreError(
            f"There is no finished run {name!r}.",
            where=store.root,
            rule="a report is made of a finished run in the store",
            fix="name a run as `prefect flow-run ls` prints it, by name or id, or `latest`",
        )
    return _record(store, run)


def _record(store: Store, run: Artifact) -> RunRecord:
    """A finished run's record, which somebody else may have put into the store."""
    try:
        text = (store.fetch(run, only=[RECORD]) / RECORD).read_bytes()
        return RunRecord.model_validate_json(text)
    except (FileNotFoundError, ValidationError) as error:
        raise StoreError(
            f"{run.uri} holds no run's record: {' '.join(str(error).split())[:300]}",
            where=f"{run.uri}/files/{RECORD}",
            rule=f"a finished run's artifact has its record in {RECORD}",
            fix="make the run again, or name another one",
        ) from error
