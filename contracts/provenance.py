"""Where an artifact comes from, as its manifest keeps it."""

from pydantic import Field, JsonValue

from contracts.artifact import Artifact, Record, Sha256


class Ingredients(Record):
    """Everything that a stage's result depends on: equal ingredients, equal result.

    Attributes:
        stage: `curate`, the name of a training stage, or `evaluate`.
        recipe: The fields of the resolved recipe that change this stage's result.
        inputs: Digests of what it reads, by the name the stage knows it by; the order counts.
        modules: Digests of the Python modules that it imports, by name.
        salt: Keeps a stage that reuses nothing apart from everybody else's; else empty.
    """

    stage: str
    recipe: dict[str, JsonValue]
    inputs: dict[str, Sha256]
    modules: dict[str, Sha256]
    salt: str = ""


class Provenance(Record):
    """Who made an artifact, of what, and with what.

    Attributes:
        producer: The run and stage that made it, and the version of this project.
        inputs: The artifacts it was made from, by the name the stage knew them by.
        recipe_digest: Digest of the whole resolved recipe.
        ingredients: What its content depends on; None where no stage made it.
        libraries: Versions of the libraries that decide numbers, by name.
    """

    producer: dict[str, str] = Field(default_factory=dict)
    inputs: dict[str, Artifact] = Field(default_factory=dict)
    recipe_digest: str = ""
    ingredients: Ingredients | None = None
    libraries: dict[str, str] = Field(default_factory=dict)
