from pathlib import Path

import pytest

from contracts.artifact import Artifact
from tasks.keys import name_key, stage_key
from training.recipe.recipe import Recipe, load_recipe

ROOT = Path(__file__).parents[2]


def recipe(**changes) -> Recipe:
    shipped = load_recipe(ROOT / "infra/recipes/pocket.toml")
    return Recipe.model_validate(shipped.model_dump() | changes)


def artifact(letter: str, uri: str = "file:///store/one") -> Artifact:
    return Artifact(uri=uri, sha256=letter * 64, kind="model")


def key(stage: str = "cold_start", *, of: Recipe | None = None, code="c", salt="", **inputs) -> str:
    given = inputs or {"policy": artifact("a"), "data": artifact("b")}
    return stage_key(of or recipe(), stage, given, code=code, salt=salt)


def changed(section: str, **values) -> Recipe:
    return recipe(**{section: recipe().model_dump()[section] | values})


def test_a_key_is_stable():
    assert key() == key()
    assert len(key()) == 64


@pytest.mark.parametrize(
    "other",
    [
        key("multimodal_rl"),
        key(of=recipe(seed=1)),
        key(of=recipe(system_prompt="Other.")),
        key(of=changed("model", dtype="bfloat16")),
        key(code="d"),
        key(salt="this-run-only"),
        key(policy=artifact("a"), data=artifact("c")),
        key(data=artifact("b"), policy=artifact("a")),
    ],
)
def test_whatever_a_stage_depends_on_changes_its_key(other):
    assert other != key()


def test_what_a_stage_does_not_depend_on_leaves_its_key():
    elsewhere = artifact("a", uri="s3://bucket/two")
    assert key(policy=elsewhere, data=artifact("b")) == key()
    assert key(of=changed("model", path="/another/folder")) == key()
    assert key(of=changed("hardware", num_processes=2, zero_stage=2)) == key()
    assert key(of=recipe(checkpoints={"every_steps": 1})) == key()
    assert key(of=changed("evaluation", batch_size=1)) == key()
    assert key(of=changed("gates", curation={"severity": "warning"})) == key()
    assert key("evaluate", of=changed("evaluation", batch_size=1)) != key("evaluate")


def test_a_stage_section_change_reaches_only_that_stage():
    stages = [stage.model_dump() for stage in recipe().stages]
    stages[1] |= {"num_steps": 61}
    other = recipe(stages=stages)
    assert key("cold_start", of=other) == key("cold_start")
    assert key("multimodal_rl", of=other) != key("multimodal_rl")


def test_names_are_not_run_together():
    assert name_key("run", "a-b") != name_key("run-a", "b")
