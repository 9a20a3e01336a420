"""A machine that resolves the inputs of small recipes, for the tests of tasks."""

import io
import uuid
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from drills.disturbed import new_recipe
from infra.inputs.folder import local_folder
from infra.settings import Settings
from tasks.inputs import resolve
from tasks.run import Run
from training.curation.sources import load_source
from training.recipe.recipe import Recipe


def parquet(*questions: str) -> bytes:
    buffer = io.BytesIO()
    pq.write_table(
        pa.table({"question": list(questions), "answer": ["1"] * len(questions)}), buffer
    )
    return buffer.getvalue()


def recipe(path: object = None, **changes) -> Recipe:
    """A small recipe whose texts come from `path`, and its pictures from the pocket world."""
    values = new_recipe().model_dump()
    if path is not None:
        words = {"name": "words", "kind": "parquet", "modality": "text", "path": str(path)}
        values["sources"] = [words | changes.pop("source", {}), values["sources"][1]]
    return Recipe.model_validate(values | changes)


class Machine:
    """A machine that resolves inputs; several share a store."""

    def __init__(self, home: Path, uri: str) -> None:
        self.settings = Settings(home=home, store_uri=uri, port=1)
        self.told: dict[str, bool] = {}
        self.warned: list[str] = []

    def run(self, recipe: Recipe, run_id: str = "") -> Run:
        return Run(
            id=run_id or uuid.uuid4().hex,
            name="test",
            recipe=recipe,
            reuse="code",
            settings=self.settings,
            created=datetime.now(UTC),
        )

    def resolve(self, recipe: Recipe, run_id: str = ""):
        run = self.run(recipe, run_id)
        self.store = run.store()

        def tell(name, artifact, reused):
            self.told[name] = reused

        return resolve(run, tell, self.warned.append)

    def folder(self, artifact) -> Path:
        return local_folder(self.store, artifact, self.settings)

    def questions(self, recipe: Recipe, inputs) -> list[str]:
        source = recipe.sources[0]
        rows = load_source(source, self.folder(inputs.sources[source.input_name]), recipe.seed)
        return [row["question"] for row in rows.kept]
