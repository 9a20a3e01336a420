import sys
from importlib.metadata import version

import pytest

from contracts.artifact import Artifact
from contracts.provenance import Provenance
from infra.settings import PROJECT_ROOT
from infra.store import Store
from tasks import keys
from tasks.closure import answering_modules, verifying_modules
from tasks.keys import (
    counts_verdicts,
    ingredients,
    input_digests,
    library_versions,
    name_key,
    namer_digest,
    recipe_key,
    responses_keys,
    stage_key,
)
from tasks.status import explain
from training.recipe.recipe import Recipe, load_recipe
from training.records import write_problems

KINDS = {"curate": "curate", "cold_start": "sft", "multimodal_rl": "rl", "evaluate": "evaluate"}


def recipe(**changes) -> Recipe:
    shipped = load_recipe(PROJECT_ROOT / "infra/recipes/pocket.toml")
    return Recipe.model_validate(shipped.model_dump() | changes)


def made_of(stage: str = "cold_start", *, of: Recipe | None = None, salt="", **inputs):
    given = inputs or {"policy": "a" * 64, "data": "b" * 64}
    return ingredients(of or recipe(), stage, KINDS[stage], given, salt=salt)


def key(stage: str = "cold_start", **options) -> str:
    return stage_key(made_of(stage, **options))


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
        key(salt="this-run-only"),
        key(policy="a" * 64, data="c" * 64),
        key(data="b" * 64, policy="a" * 64),
        stage_key(made_of().model_copy(update={"modules": {"training.sft.train": "0" * 64}})),
    ],
)
def test_whatever_a_stage_depends_on_changes_its_key(other):
    assert other != key()


def test_what_changes_no_result_leaves_every_stages_key():
    vllm = {"engine": "vllm", "memory_fraction": 0.5}
    for stage in KINDS:
        for before, after in [
            ({}, {"hardware": {"num_processes": 2, "zero_stage": 2}}),
            ({}, {"hardware": {"pool": "gpu", "stages": {"cold_start": {"num_processes": 4}}}}),
            ({}, {"checkpoints": {"every_steps": 1}}),
            ({}, {"name": "renamed"}),
            ({}, {"model": recipe().model.model_dump() | {"path": "/another/folder"}}),
            ({}, {"gates": {"curation": {"severity": "warning"}}}),
            ({"rollout": vllm}, {"rollout": vllm | {"memory_fraction": 0.3}}),
        ]:
            assert key(stage, of=recipe(**before)) == key(stage, of=recipe(**after)), after


def test_a_stage_that_ended_by_its_bound_goes_on_under_its_key():
    stages = [stage.model_dump() for stage in recipe().stages]
    for stage in stages:
        stage["optimizer"] |= {"max_nonfinite_in_a_row": 50}
    for stage in ("cold_start", "multimodal_rl"):
        assert key(stage, of=recipe(stages=stages)) == key(stage)


def test_a_stage_section_change_reaches_only_that_stage():
    stages = [stage.model_dump() for stage in recipe().stages]
    stages[1] |= {"num_steps": 61}
    other = recipe(stages=stages)
    assert key("cold_start", of=other) == key("cold_start")
    assert key("multimodal_rl", of=other) != key("multimodal_rl")


def test_a_benchmark_more_is_a_matter_of_curation_and_evaluation():
    sources = [one | {"num_planted": 0} for one in recipe().model_dump()["sources"]]
    fewer = recipe().evaluation.model_dump() | {"benchmarks": [{"name": "pocket_text"}]}
    before, after = recipe(sources=sources), recipe(sources=sources, evaluation=fewer)
    changes = {stage: key(stage, of=before) != key(stage, of=after) for stage in KINDS}
    assert changes == {
        "curate": True,
        "cold_start": False,
        "multimodal_rl": False,
        "evaluate": True,
    }


def test_the_recipes_key_forgets_the_code_and_what_keeps_a_run_apart():
    other = made_of().model_copy(update={"modules": {"training.sft.train": "0" * 64}})
    assert recipe_key(other) == recipe_key(made_of())
    assert recipe_key(made_of(of=recipe(seed=1))) != recipe_key(made_of())
    assert recipe_key(made_of(salt="this-run-only")) == recipe_key(made_of())


def test_a_training_stage_depends_on_its_own_set_alone(tmp_path):
    """A curation that drops other rows, or knows another benchmark, costs no training."""
    store = Store(str(tmp_path / "store"), tmp_path / "cache")

    def curated(rejects: str) -> Artifact:
        folder = tmp_path / rejects
        folder.mkdir()
        write_problems([], folder / "cold_start.parquet")
        (folder / "rejects.parquet").write_text(rejects)
        return store.publish(folder, "dataset", Provenance())

    one, other = curated("one"), curated("other")
    assert one.sha256 != other.sha256
    for stage, equal in {"cold_start": True, "multimodal_rl": False}.items():
        digests = [input_digests(store, recipe(), stage, {"data": d}) for d in (one, other)]
        assert (digests[0] == digests[1]) is equal


def test_a_stage_that_draws_from_two_sets_depends_on_both(tmp_path):
    store = Store(str(tmp_path / "store"), tmp_path / "cache")
    stages = [stage.model_dump() for stage in recipe().stages]
    stages[1] |= {"data": "multimodal_rl", "mixed_with": "text_rl"}
    mixed = recipe(stages=stages)

    def digest(name: str, **sets: str) -> str:
        (tmp_path / name).mkdir()
        for one, text in ({"multimodal_rl": "", "text_rl": "", "cold_start": ""} | sets).items():
            (tmp_path / name / f"{one}.parquet").write_text(text)
        data = store.publish(tmp_path / name, "dataset", Provenance())
        return input_digests(store, mixed, "multimodal_rl", {"data": data})["data"]

    first = digest("first")
    assert digest("third set", cold_start="other") == first
    others = {digest(one, **{one: "other"}) for one in ("multimodal_rl", "text_rl")}
    assert len(others | {first}) == 3


def test_differences_are_named():
    stages = [stage.model_dump() for stage in recipe().stages]
    stages[0]["optimizer"] |= {"learning_rate": 1e-5}
    before = made_of()
    assert explain(before, before) == []
    assert explain(before, made_of(of=recipe(stages=stages))) == [
        "stage.optimizer.learning_rate was 0.0007, is 1e-05"
    ]
    assert explain(before, made_of(policy="a" * 64, data="c" * 64)) == ["input data"]
    edited = before.model_copy(update={"modules": before.modules | {"training.records": "0"}})
    assert explain(before, edited) == ["module training.records"]


def test_the_versions_of_python_and_of_whatever_decides_a_verdict_or_a_picture_are_recorded():
    found = library_versions()
    assert found["python"] == ".".join(map(str, sys.version_info[:3]))
    verdicts = ("math-verify", "latex2sympy2-extended", "sympy", "mpmath")
    for name in (*verdicts, "matplotlib", "pyarrow"):
        assert found[name] == version(name)


def test_names_are_not_run_together():
    assert name_key("run", "a-b") != name_key("run-a", "b")


def responses(of=None, salt="", **inputs):
    given = {"policy": "a" * 64} | inputs
    return responses_keys(of or recipe(), made_of("curate", of=of, salt=salt, **given))


def test_responses_are_kept_for_every_curation_that_asks_alike():
    (kept,) = responses()
    other_sets = [one | {"max_pass_rate": 0.3} for one in recipe().model_dump()["curation"]["sets"]]
    for same in (
        responses(of=changed("curation", sets=other_sets)),
        responses(of=changed("curation", max_response_tokens=32)),  # each request tells it
        responses(of=recipe(gates={})),
        responses(**{"source:words": "b" * 64}),
        responses(of=recipe(answers={"accept_rounded": True})),  # they are verified again
    ):
        assert same == [kept]
    for other in (
        responses(of=recipe(seed=1)),
        responses(of=recipe(system_prompt="Other.")),
        responses(of=changed("model", dtype="bfloat16")),
        responses(of=recipe(rollout={"engine": "vllm"})),
        responses(policy="c" * 64),
        responses(salt="this-run-only"),
    ):
        assert other != [kept]
    assert kept != key("curate", policy="a" * 64)


def test_verdicts_count_for_whoever_verifies_alike():
    def curation(of=None):
        return made_of("curate", of=of, policy="a" * 64)

    def counts(before, now, **libraries):
        versions = library_versions() | libraries
        provenance = Provenance(ingredients=before, libraries=versions)
        return counts_verdicts(provenance, now, verifying_modules())

    def edited(module):
        before = curation()
        return before.model_copy(update={"modules": before.modules | {module: "0" * 64}})

    assert counts(curation(), curation(of=changed("curation", max_response_tokens=9)))
    assert counts(edited("training.curation.selection"), curation())
    for module in ("training.answers.verifier", "training.sampling.verdicts"):
        assert module in curation().modules and not counts(edited(module), curation())
    assert not counts(curation(), curation(of=recipe(answers={"accept_rounded": True})))
    assert not counts(None, curation())
    assert counts(curation(), curation(), torch="0.0")
    for library in ("sympy", "math-verify", "latex2sympy2-extended"):
        assert not counts(curation(), curation(), **{library: "0.0"})


def test_another_version_of_what_a_shard_is_read_with_is_another_key(monkeypatch):
    made, installed = made_of("curate", policy="a" * 64), library_versions()
    before = keys.shards_key(recipe(), made)
    for name, is_same in (("torch", True), ("sympy", False), ("pillow", False)):
        versions = installed | {name: "0.0"}
        monkeypatch.setattr(keys, "library_versions", lambda found=versions: found)
        assert (keys.shards_key(recipe(), made) == before) == is_same, name


def test_an_evaluations_responses_count_whatever_the_rules_and_the_judge(monkeypatch):
    def kept(salt="", of=None, **inputs):
        given = {"base": "a" * 64} | inputs
        return responses_keys(of or recipe(), made_of("evaluate", of=of, salt=salt, **given))

    def evaluation(**changes):
        return changed("evaluation", **changes)

    judge = {"address": "http://127.0.0.1:1/v1", "model": "judge"}
    sources = [one | {"num_planted": 0} for one in recipe().model_dump()["sources"]]
    fewer = recipe().evaluation.model_dump() | {"benchmarks": [{"name": "pocket_text"}]}
    before = kept()
    for same in (
        kept(of=evaluation(judge=judge)),
        kept(of=recipe(answers={"accept_rounded": True})),
        kept(of=recipe(hardware={"num_processes": 2})),
    ):
        assert same == before
    for other in (
        kept(of=evaluation(max_response_tokens=9)),
        kept(of=recipe(sources=sources, evaluation=fewer)),
        kept(of=recipe(system_prompt="Other.")),
        kept(of=recipe(rollout={"engine": "vllm"})),
        kept(base="b" * 64),
        kept(later="b" * 64),
        kept(salt="this-run-only"),
    ):
        assert other != before
    code = keys.stage_modules
    monkeypatch.setattr(keys, "stage_modules", lambda *names: code(*names) | {"a rule": "0" * 64})
    assert kept() == before != [key("evaluate", base="a" * 64)]


def test_a_graders_responses_lie_apart_and_the_base_models_count_with_any():
    grader = {"model": {"path": "./grader"}, "samples_per_problem": 4}
    graded, (alone,) = changed("curation", grader=grader), responses()
    first, also = responses(of=graded, **{"model:grader": "b" * 64})
    other, _ = responses(of=graded, **{"model:grader": "c" * 64})
    assert also == alone and len({first, other, alone}) == 3


def test_the_bases_engine_counts_where_the_grader_has_another(monkeypatch):
    """Its responses lie under the first key, too."""
    grader = {"model": {"path": "./grader"}, "samples_per_problem": 4}
    grader["rollout"] = {"engine": "transformers"}
    graded = changed("curation", grader=grader).model_dump()
    read = recipe(curation=graded["curation"], rollout={"engine": "vllm"})
    before = responses(of=read, **{"model:grader": "b" * 64})

    def changed_vllm(engine):
        return answering_modules(engine) | ({"its": "code"} if engine == "vllm" else {})

    monkeypatch.setattr(keys, "answering_modules", changed_vllm)
    after = responses(of=read, **{"model:grader": "b" * 64})
    assert not {*before} & {*after}


def test_what_of_a_graders_engine_changes_its_answers_is_in_the_keys_and_nothing_else():
    def of(own, **others):
        grader = {"model": {"path": "./grader"}, "samples_per_problem": 4, "rollout": own}
        values = recipe().model_dump()
        return recipe(curation=values["curation"] | {"grader": grader}, **others)

    def keys_of(own, **others):
        read, inputs = of(own, **others), {"policy": "a" * 64, "model:grader": "b" * 64}
        return key("curate", of=read, **inputs), responses(of=read, **inputs)[0]

    vllm = {"engine": "vllm", "max_length_tokens": 9000}
    stage, asked = keys_of(vllm)
    elsewhere = vllm | {"tensor_parallel": 1, "memory_fraction": 0.9}
    assert keys_of(elsewhere) == (stage, asked)
    for other in (None, vllm | {"max_length_tokens": 10_000}):
        assert keys_of(other)[0] != stage and keys_of(other)[1] != asked
    # Said or left to the run's own, it is the same engine.
    assert keys_of(vllm, rollout=elsewhere) == keys_of(None, rollout=vllm)
    modules = made_of("curate", of=of(vllm), policy="a" * 64).modules
    assert "training.rollout.vllm_engine" in modules
    assert "training.rollout.vllm_engine" not in made_of("curate").modules
    assert "training.rollout.vllm_engine" not in made_of(of=of(vllm)).modules


def test_who_names_topics_changes_curations_key_and_leaves_all_other_responses_known():
    def of(names, **others):
        topics = recipe().model_dump()["curation"]["topics"] | {"names": names}
        return (
            changed("curation", topics=topics)
            if not others
            else recipe(
                curation=changed("curation", topics=topics).model_dump()["curation"], **others
            )
        )

    def keys_of(names, digest="b" * 64, **others):
        read, inputs = of(names, **others), {"policy": "a" * 64, "model:namer": digest}
        made = made_of("curate", of=read, **inputs)
        return stage_key(made), namer_digest(read, made), responses(of=read, **inputs)

    model = {"model": {"path": "./namer"}}
    stage, digest, kept = keys_of(model)
    assert stage != key("curate", policy="a" * 64) and kept == responses()
    assert keys_of({"model": {"path": "./moved"}}) == (stage, digest, kept)
    assert keys_of(model | {"rollout": {"engine": "transformers"}}) == (stage, digest, kept)
    for other in (
        keys_of(model, digest="c" * 64),
        keys_of({"model": {"path": "./namer", "dtype": "bfloat16"}}),
        keys_of(model | {"rollout": {"engine": "vllm"}}),
        keys_of({"endpoint": {"address": "http://localhost:1/v1", "model": "m"}}),
    ):
        assert other[0] != stage and other[1] not in ("", digest) and other[2] == kept
    assert namer_digest(recipe(), made_of("curate", policy="a" * 64)) == ""


def test_another_version_of_what_compares_answers_is_another_digest_of_verdicts(monkeypatch):
    """Of a library that is no part of it, it is the same."""
    before, installed = keys.verdicts_digest(), library_versions()
    for name, is_same in (("torch", True), ("sympy", False), ("math-verify", False)):
        versions = installed | {name: "0.0"}
        monkeypatch.setattr(keys, "library_versions", lambda found=versions: found)
        assert (keys.verdicts_digest() == before) == is_same, name
