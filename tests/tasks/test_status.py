"""What a run would do, told from the store alone: the changes that people make, one at a time."""

import pytest

from contracts.artifact import Artifact
from tasks import keys
from tasks.keys import find_finished, history_key, ingredients, input_digests, recipe_key, stage_key
from tasks.stages import remarks
from tasks.status import recipe_status, status_lines
from tests.tasks.machine import Machine, parquet, recipe
from training.recipe.recipe import Recipe


class Maker(Machine):
    """Stores what a finished run of a recipe would have stored."""

    salt = ""  # of a run that reuses nothing

    def make(self, mine: Recipe, curated: str = "rows") -> None:
        inputs = self.resolve(mine)
        run = self.run(mine)
        given = {"policy": inputs.base, **inputs.sources, **inputs.benchmarks}
        data = self._publish(run, "curate", "curate", given, {"text.parquet": curated})
        policies = {"base": inputs.base}
        for stage in mine.stages:
            given = {"policy": [*policies.values()][-1], "data": data}
            weights = {"model/weights": stage.name}
            policies[stage.name] = self._publish(run, stage.name, stage.kind, given, weights)
        given = {**policies, **inputs.benchmarks}
        self._publish(run, "evaluate", "evaluate", given, {"scores.json": "{}"})

    def _publish(self, run, stage, kind, given, files) -> Artifact:
        folder = self.settings.home / run.id / stage
        for name, text in files.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(text)
        digests = input_digests(self.store, run.recipe, stage, given)
        made_of = ingredients(run.recipe, stage, kind, digests, salt=self.salt)
        made = run.provenance(stage, given, made_of)
        artifact = self.store.publish(folder, "model", made, key=stage_key(made_of))
        for key in (recipe_key(made_of), history_key(run.recipe, stage)):
            self.store.append(key, artifact)
        return artifact

    def status(self, mine: Recipe, reuse="code") -> dict[str, tuple[str, str]]:
        inputs = self.resolve(mine)
        found = recipe_status(self.store, mine, inputs, reuse)
        return {one.stage: (one.state, one.why) for one in found}

    def states(self, mine: Recipe, reuse="code") -> list[str]:
        return [state for state, _ in self.status(mine, reuse).values()]


@pytest.fixture
def source(tmp_path):
    path = tmp_path / "rows" / "a.parquet"
    path.parent.mkdir()
    path.write_bytes(parquet("1 + 1?"))
    return path


@pytest.fixture
def maker(tmp_path, source):
    made = Maker(tmp_path / "home", str(tmp_path / "store"))
    made.make(recipe(source))
    return made


def test_a_recipe_that_was_run_is_reused_and_who_made_it_is_named(maker, source):
    assert maker.status(recipe(source)) == dict.fromkeys(
        ("curate", *names(source), "evaluate"), ("reused", "made by run test")
    )
    lines = list(status_lines(recipe(source), maker.settings, "none", print))
    assert all("nothing is reused" in line for line in lines)
    assert not (maker.settings.home / "work").exists()


def names(source) -> list[str]:
    return [stage.name for stage in recipe(source).stages]


def test_an_edited_row_is_named_by_its_source(maker, source):
    source.write_bytes(parquet("1 + 2?"))
    told = maker.status(recipe(source))
    assert told["curate"] == ("runs", "other than run test: input source:words")
    assert told[names(source)[0]][0] == "reused"  # if curation comes out the same
    lines = list(status_lines(recipe(source), maker.settings, "code", print))
    assert "(if curate comes out the same)" in lines[1]


def test_an_added_benchmark_is_a_matter_of_curation_and_evaluation(maker, source):
    evaluation = recipe().evaluation.model_dump()
    more = [*evaluation["benchmarks"], {"name": "pocket_multimodal"}]
    told = maker.status(recipe(source, evaluation=evaluation | {"benchmarks": more}))
    assert told["curate"][0] == told["evaluate"][0] == "runs"
    assert "benchmark" in told["curate"][1] and "benchmark" in told["evaluate"][1]
    assert {told[name][0] for name in names(source)} == {"reused"}


def test_a_lowered_memory_fraction_changes_nothing_and_another_temperature_says_so(
    maker, source, monkeypatch
):
    vllm = {"engine": "vllm", "memory_fraction": 0.5}
    maker.make(recipe(source, rollout=vllm), curated="by vllm")
    assert set(maker.states(recipe(source, rollout=vllm | {"memory_fraction": 0.3}))) == {"reused"}
    curation = recipe().curation.model_dump() | {"temperature": 0.7}
    told = maker.status(recipe(source, rollout=vllm, curation=curation))
    assert told["curate"] == (
        "runs",
        "other than run test: curation.temperature was 1.0, is 0.7",
    )


def test_an_edited_module_is_named_and_reuse_recipe_passes_over_it(maker, source, monkeypatch):
    real = keys.stage_modules

    def edited(kind, engine):
        modules = real(kind, engine)
        name = "training.evaluation.scores"
        return {**modules, name: "0" * 64} if name in modules else modules

    monkeypatch.setattr(keys, "stage_modules", edited)
    told = maker.status(recipe(source))
    assert told["evaluate"] == (
        "runs",
        "other than run test: module training.evaluation.scores",
    )
    assert {told[name][0] for name in names(source)} == {"reused"}
    assert set(maker.states(recipe(source), reuse="recipe")) == {"reused"}


def test_what_a_run_made_that_reused_nothing_is_taken_by_reuse_recipe_alone(maker, source):
    mine = recipe(source, seed=7)
    maker.salt = "its own"
    maker.make(mine)
    assert "reused" not in maker.states(mine)
    assert set(maker.states(mine, reuse="recipe")) == {"reused"}
    made_of = stage_ingredients(maker, mine, "curate")
    assert remarks(maker.store, find_finished(maker.store, made_of, "recipe"), made_of) == [
        "Reused as the run asked, made otherwise: a run that reused nothing made it"
    ]


def stage_ingredients(maker, mine, stage):
    inputs = maker.resolve(mine)
    given = {"policy": inputs.base, **inputs.sources, **inputs.benchmarks}
    return ingredients(mine, stage, stage, input_digests(maker.store, mine, stage, given))


def test_a_stage_that_left_a_checkpoint_resumes(maker, source):
    mine = recipe(source, seed=5)
    key = stage_key(stage_ingredients(maker, mine, "curate"))
    maker.store.claim(f"{key}/step-00000003", maker.resolve(mine).base)
    assert maker.status(mine)["curate"] == ("resumes", "after step 3")


def test_an_artifact_whose_files_are_gone_is_made_again(maker, source):
    found = maker.store.find(history_key(recipe(source), "evaluate"))
    maker.store.backend.remove(maker.store.location(found) + "/files")
    assert maker.status(recipe(source))["evaluate"][0] == "runs"
