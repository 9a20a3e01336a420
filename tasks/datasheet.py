"""The curated data's datasheet, beside the run's report and in the Prefect UI."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from prefect.artifacts import create_markdown_artifact
from prefect.logging import get_run_logger

from contracts.artifact import Artifact
from report.datasheet import FILES, GRADED, PAGE, TEXT, datasheet, topic_questions
from tasks.display import artifact_key, show_page, unless_the_server_is_away
from tasks.run import Run
from tasks.topic_names import make_names
from training.curation.topic_names import TopicNames
from training.recipe.recipe import resolved_toml_values


def write_datasheet(
    name: str,
    made: Path,
    recipe: Mapping[str, Any],
    folder: Path,
    names: TopicNames | None = None,
    remarks: Sequence[str] = (),
) -> Path:
    """Renders a curation's datasheet.

    Args:
        name: The run's.
        made: The curation's files.
        recipe: The resolved recipe, as JSON.
        folder: Receives datasheet.html and datasheet.md; made if it is missing.
        names: What a model calls the topics; None if the recipe asks none.
        remarks: What a reader should know of how it was made.

    Returns:
        The page.
    """
    html, markdown = datasheet(name, made, recipe, names, remarks)
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
    names, naming = None, run.recipe.curation.topics.names
    if naming is not None:
        questions, seed = topic_questions(made), run.recipe.seed
        warn = get_run_logger().warning
        if questions:
            names = make_names(store, artifact, naming, questions, seed, warn)
        else:
            warn("The curation has no questions of topics, as older ones: its topics get no names.")
    recipe = resolved_toml_values(run.recipe)
    page = write_datasheet(run.name, made, recipe, folder, names, remarks)
    get_run_logger().info("Datasheet: %s", page)
    with unless_the_server_is_away():
        create_markdown_artifact(
            (folder / TEXT).read_text(encoding="utf-8"), key=artifact_key("datasheet")
        )
        show_page(run.settings, page, "datasheet-page")
