"""The curated data's datasheet, beside the run's report and in the Prefect UI."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from prefect.artifacts import create_markdown_artifact
from prefect.logging import get_run_logger

from contracts.artifact import Artifact
from report.datasheet import FILES, GRADED, PAGE, TEXT, datasheet
from tasks.display import artifact_key, show_page, unless_the_server_is_away
from tasks.run import Run
from training.recipe.recipe import resolved_toml_values


def write_datasheet(
    name: str,
    made: Path,
    recipe: Mapping[str, Any],
    folder: Path,
    remarks: Sequence[str] = (),
) -> Path:
    """Renders a curation's datasheet.

    Args:
        name: The run's.
        made: The curation's files.
        recipe: The resolved recipe, as JSON.
        folder: Receives datasheet.html and datasheet.md; made if it is missing.
        remarks: What a reader should know of how it was made.

    Returns:
        The page.
    """
    html, markdown = datasheet(name, made, recipe, remarks)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / TEXT).write_text(markdown, encoding="utf-8")
    page = folder / PAGE
    page.write_text(html, encoding="utf-8")
    return page


def show_datasheet(run: Run, artifact: Artifact, remarks: Sequence[str]) -> None:
    """Writes the datasheet as soon as the data are curated, and shows it in the UI.

    Raises:
        StoreError: The curation's files cannot be fetched.
    """
    store = run.store()
    made = store.fetch(artifact, only=FILES)
    if not (made / GRADED).is_file():
        get_run_logger().info("The curated sets are of an older version and have no datasheet.")
        return
    folder = run.settings.reports / run.name
    recipe = resolved_toml_values(run.recipe)
    page = write_datasheet(run.name, made, recipe, folder, remarks)
    get_run_logger().info("Datasheet: %s", page)
    with unless_the_server_is_away():
        create_markdown_artifact(
            (folder / TEXT).read_text(encoding="utf-8"), key=artifact_key("datasheet")
        )
        show_page(run.settings, page, "datasheet-page")
