"""Names of topics for the datasheet, kept in the store: what was named once is not asked again."""

import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from contracts.artifact import Artifact
from contracts.errors import DamagedError, InputError, SettingsError
from contracts.provenance import Provenance
from infra.store import Store
from tasks.keys import name_key
from training.curation.topic_names import TopicNames, name_topics
from training.recipe.curation import TopicNamesRecipe

KIND, FILE = "topic-names", "names.json"


def make_names(
    store: Store,
    curated: Artifact,
    naming: TopicNamesRecipe,
    questions: Mapping[str, Sequence[str]],
    seed: int,
    warn: Callable[[str], None],
) -> TopicNames:
    """What a model calls a curation's topics; it is asked for those that have no name yet.

    A model that gives none ends no run: each topic that has none says why, here and in the
    datasheet.

    Args:
        store: Keeps the names.
        curated: The curation.
        naming: Who is asked.
        questions: Topic -> a few of its questions.
        seed: See `training.curation.topic_names.name_topics`.
        warn: Told of what went wrong.
    """
    known = stored_names(store, curated, naming)
    names = {} if known is None else known.names
    missing = {topic: asked for topic, asked in questions.items() if topic not in names}
    if known is not None and not missing:
        return known
    try:
        found = name_topics(naming, missing, seed)
    except (InputError, SettingsError) as error:
        found = TopicNames(model=naming.model, faults=dict.fromkeys(missing, error.what))
    if found.faults:
        reasons = "; ".join(sorted(set(found.faults.values()))[:5])
        warn(f"{naming.model} gave {len(found.faults)} topics no name: {reasons}")
    made = found.model_copy(update={"names": names | found.names})
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / FILE).write_text(made.model_dump_json(), encoding="utf-8")
        artifact = store.publish(Path(folder), KIND, Provenance(inputs={"data": curated}))
    store.append(_key(curated, naming), artifact)
    return made


def stored_names(store: Store, curated: Artifact, naming: TopicNamesRecipe) -> TopicNames | None:
    """The names that a model has given a curation's topics; None if there are none to be read."""
    artifact = store.find(_key(curated, naming))
    if artifact is None:
        return None
    try:
        text = (store.fetch(artifact, only=[FILE]) / FILE).read_bytes()
        return TopicNames.model_validate_json(text)
    except (DamagedError, FileNotFoundError, ValidationError):
        return None  # damaged, or written by somebody else: it is asked for again


def kept_names(store: Store, curated: Artifact, recipe: Mapping[str, Any]) -> TopicNames | None:
    """What the datasheet of a finished run shows; None if its recipe asks nobody.

    Args:
        store: Keeps the names.
        curated: The curation.
        recipe: The run's resolved recipe, as its record has it; older ones know of no names.
    """
    try:
        naming = TopicNamesRecipe.model_validate(recipe["curation"]["topics"]["names"])
    except (LookupError, TypeError, ValidationError):  # nobody, or somebody else wrote the record
        return None
    return stored_names(store, curated, naming) or TopicNames(model=naming.model)


def _key(curated: Artifact, naming: TopicNamesRecipe) -> str:
    return name_key("topic names", curated.sha256, naming.model, naming.prompt)
