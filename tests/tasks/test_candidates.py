"""What a text names that `revisual evaluate` is given, and what is refused before anything runs."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from contracts.artifact import Artifact
from contracts.errors import InputError, ModelError, RecipeError, SettingsError, StoreError
from contracts.provenance import Provenance
from contracts.run_record import RunRecord, StageRecord
from infra.settings import Settings
from tasks.candidates import Candidate, check_evaluation, find_candidate, narrowed, recipe_for
from tasks.keys import name_key
from tasks.report import find_run
from tasks.run import recipe_path, shipped_recipes
from tests.endpoint import MODEL
from tests.tasks.machine import recipe
from training.recipe.endpoint import EndpointRecipe
from training.recipe.recipe import load_recipe, parse_recipe, resolved_toml_values


@pytest.fixture
def settings(tmp_path) -> Settings:
    return Settings(home=tmp_path / "home", store_uri=str(tmp_path / "store"), port=1)


@pytest.fixture
def trained(settings, tmp_path) -> dict[str, Artifact]:
    """A finished run `able-ant` with the stages `cold` and `rl`; its artifacts by name."""
    store, made = settings.store(), {}
    for name in ("base", "cold", "rl", "curate"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").write_text(name)
        made[name] = store.publish(tmp_path / name, "model", Provenance())

    def stage(name, kind, policy):
        inputs = (made[policy], made["curate"])
        return StageRecord(
            name=name, kind=kind, seconds=1, reused=False, artifact=made[name], inputs=inputs
        )

    record = RunRecord(
        name="able-ant",
        seed=0,
        recipe={},
        code_version="1",
        created=datetime.now(UTC),
        stages=(stage("cold", "sft", "base"), stage("rl", "rl", "cold")),
    )
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "run.json").write_text(record.model_dump_json())
    store.claim(name_key("run", "able-ant"), store.publish(tmp_path / "run", "run", Provenance()))
    return made


def test_a_run_names_its_last_policy_and_a_stage_its_own(settings, trained):
    def found(text):
        return find_candidate(text, recipe(), settings)

    assert found("able-ant") == Candidate("able-ant", trained["rl"])
    assert found("able-ant/cold") == Candidate("able-ant-cold", trained["cold"])
    assert found("able-ant/base").source == trained["base"]
    assert found(trained["cold"].uri).source == trained["cold"]
    with pytest.raises(InputError, match="trained no policy 'text_rl'"):
        found("able-ant/text_rl")
    # Who is no run is looked for on a hub.
    assert found("owner/Name-7B").source.path == "owner/Name-7B"
    assert found("owner/Name-7B").name == "name-7b"


def test_without_a_recipe_a_model_has_that_of_its_run_or_its_own(settings, trained):
    with pytest.raises(RecipeError, match="of the shipped ones none is"):
        recipe_for("able-ant", settings)  # whose recipe has no name
    store, folder = settings.store(), Path(settings.store_uri).parent / "named"
    record = find_run(settings, store, "able-ant")
    folder.mkdir()
    pocket = resolved_toml_values(load_recipe(recipe_path("pocket"), seed=3))
    for name, changes in (("own-owl", {}), ("odd-owl", {"system_prompt": "Be brief."})):
        named = record.model_copy(update={"name": name, "recipe": pocket | changes})
        (folder / "run.json").write_text(named.model_dump_json())
        store.claim(name_key("run", name), store.publish(folder, "run", Provenance()))
    assert recipe_for("own-owl", settings) == recipe_for("own-owl/cold", settings) == "pocket"
    with pytest.raises(RecipeError, match="of the shipped ones none is"):
        recipe_for("odd-owl", settings)  # a copy of the pocket's recipe, which asks otherwise
    assert recipe_for(load_recipe(recipe_path("pocket")).model.path, settings) == "pocket"
    assert recipe_for("Qwen/Qwen2.5-VL-7B-Instruct", settings) == "revisual-7b"
    with pytest.raises(RecipeError, match="several: revisual-3b, revisual-3b-1gpu"):
        recipe_for("Qwen/Qwen2.5-VL-3B-Instruct", settings)
    for foreign in ("owner/Name-7B", "/data/model", "http://user:password@host/v1#model"):
        with pytest.raises(RecipeError, match="of the shipped ones none is") as refused:
            recipe_for(foreign, settings)
        assert "password" not in str(refused.value)


def test_a_folder_a_bucket_and_an_endpoint(settings):
    for text, name in (("/data/My model", "my-model"), ("s3://bucket/some/model", "model")):
        found = find_candidate(text, recipe(), settings)
        assert (found.name, found.source.path) == (name, text)
    found = find_candidate("http://127.0.0.1:8000/v1/#Qwen/Qwen3-VL", recipe(), settings)
    assert found == Candidate(
        "qwen3-vl", EndpointRecipe(address="http://127.0.0.1:8000/v1", model="Qwen/Qwen3-VL")
    )


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a model",
        "s3://",
        "http://127.0.0.1:8000/v1",
        "http://127.0.0.1:8000/v1#",
        "http://user:password@127.0.0.1/v1#model",
        "http://127.0.0.1/v1?token=abcdefgh1234#model",
        "ftp://127.0.0.1/v1#model",
    ],
)
def test_what_names_no_model_is_refused(settings, text):
    with pytest.raises(RecipeError) as refused:
        find_candidate(text, recipe(), settings)
    assert "password@" not in str(refused.value) and "abcdefgh1234" not in str(refused.value)


def test_an_artifact_that_is_not_there(settings):
    uri = f"file://{settings.store_uri}/artifacts/model/nothing"
    with pytest.raises(StoreError):
        find_candidate(uri, recipe(), settings)


def test_benchmarks_are_chosen_by_name_and_shipped_ones_added():
    mine = recipe()
    assert narrowed(mine, None) is mine
    (own,) = mine.evaluation.benchmarks
    chosen = narrowed(mine, ["math-500", own.name]).evaluation.benchmarks
    assert [one.name for one in chosen] == ["math-500", own.name] and chosen[1] == own
    for names, told in (
        (["nothing"], "no benchmark 'nothing'"),
        ([own.name] * 2, "names must be unique"),
        (["Math 500"], "cannot be evaluated"),
    ):
        with pytest.raises(RecipeError, match=told):
            narrowed(mine, names)


@pytest.mark.parametrize("name", shipped_recipes())
def test_a_stage_can_read_a_recipe_with_one_of_its_benchmarks(name):
    whole = load_recipe(recipe_path(name))
    for benchmark in whole.evaluation.benchmarks:
        narrow = narrowed(whole, [benchmark.name])
        read = parse_recipe(resolved_toml_values(narrow), where=name)
        assert [one.name for one in read.evaluation.benchmarks] == [benchmark.name]


def test_an_endpoint_is_asked_for_its_models_before_anything_starts(
    settings, endpoint, monkeypatch, free_port
):
    monkeypatch.delenv("TINY_API_KEY", raising=False)
    mine = with_evaluation(connection={"retries": 0})
    text = f"{endpoint.address}#{MODEL}"
    assert check_evaluation(text, mine, settings).name == MODEL
    with pytest.raises(InputError, match="does not have the model 'other'"):
        check_evaluation(f"{endpoint.address}#other", mine, settings)
    with pytest.raises(InputError, match="no connection"):
        check_evaluation(f"http://127.0.0.1:{free_port}/v1#{MODEL}", mine, settings)
    with pytest.raises(SettingsError, match="TINY_API_KEY is not set"):
        check_evaluation(
            text, with_evaluation(connection={"key_variable": "TINY_API_KEY"}), settings
        )
    judge = {"address": endpoint.address, "model": "judge", "connection": {"retries": 0}}
    with pytest.raises(InputError, match="does not have the model 'judge'"):
        check_evaluation(text, with_evaluation(judge=judge, connection={}), settings)
    assert endpoint.asked == []


def test_a_model_that_cannot_see(settings, tmp_path):
    (tmp_path / "blind").mkdir()
    (tmp_path / "blind" / "config.json").write_text('{"model_type": "gpt2"}')
    (tmp_path / "blind" / "model.safetensors").write_bytes(b"")
    with pytest.raises(ModelError):
        check_evaluation(str(tmp_path / "blind"), recipe(), settings)


def with_evaluation(**changes):
    values = recipe().evaluation.model_dump() | changes
    return recipe(evaluation=values)


def test_a_variable_whose_name_does_not_say_that_it_holds_a_key_is_refused():
    with pytest.raises(ValueError, match="has to say that it holds a secret"):
        with_evaluation(connection={"key_variable": "TINY"})
