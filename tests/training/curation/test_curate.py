import json
import signal
from collections import Counter
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from datasets import Dataset, load_dataset

from contracts.errors import Preempted, RecipeError
from data_checks.gate import check_curation
from training.answers import Verifier
from training.curation.curate import curate, row_steps
from training.recipe.model import VllmRollout
from training.recipe.recipe import parse_recipe
from training.records import read_problems

REAL = {
    "problem": [
        "How many legs have 3 cats?",
        "Prove that 2 is prime.",
        "how many legs have  3 cats?",
        "Which colour does red with blue give?",
        "x " * 900,
        "What is left of 5 apples after 2?",
    ],
    "gold": ["12", "2", "12", "violet", "1", None],
}


@pytest.fixture(scope="module")
def recipe(tmp_path_factory, tiny_model_folder):
    """A pocket source and a real one with a proof, a duplicate, a long prompt and no answer."""
    path = tmp_path_factory.mktemp("real") / "real.parquet"
    Dataset.from_dict(REAL).to_parquet(str(path))
    values = {
        "name": "small",
        "seed": 5,
        "system_prompt": "Answer.",
        "model": {"path": str(tiny_model_folder)},
        "hardware": {"threads_per_process": 1},
        "sources": [
            {"name": "text", "kind": "pocket", "modality": "text", "num_problems": 40},
            {"name": "seen", "kind": "pocket", "modality": "multimodal", "num_problems": 16},
            {
                "name": "real",
                "kind": "parquet",
                "modality": "text",
                "path": str(path),
                "columns": {"question": "problem", "answer": "gold"},
            },
        ],
        "curation": {
            "samples_per_problem": 2,
            "max_response_tokens": 4,
            "max_prompt_tokens": 1500,
            "sets": [
                {"name": "cold", "modality": "text", "num_problems": 20, "needs_solution": True},
                {"name": "seeing", "modality": "multimodal", "num_problems": 10},
                {"name": "rest", "modality": "text", "num_problems": 40, "max_pass_rate": 0.9},
            ],
        },
        "stages": [
            {
                "kind": "sft",
                "name": "cold_start",
                "data": "cold",
                "optimizer": {"learning_rate": 1e-4},
                "epochs": 1,
                "batch_size": 8,
                "max_length_tokens": 64,
            }
        ],
        "evaluation": {
            "benchmarks": [
                {"name": "pocket_text", "num_problems": 20},
                {"name": "pocket_multimodal", "num_problems": 10},
            ],
            "max_response_tokens": 4,
        },
        "gates": {"curation": {"max_missing_rows": 0.5}},
    }
    return parse_recipe(values, where="test")


@pytest.fixture(scope="module")
def inputs(recipe, tiny_model_folder, tmp_path_factory):
    nothing = tmp_path_factory.mktemp("generated")
    folders = {s.input_name: Path(s.path).parent if s.path else nothing for s in recipe.sources}
    return {"policy": tiny_model_folder, **folders}


@pytest.fixture(scope="module")
def curated(recipe, inputs, tmp_path_factory):
    output = tmp_path_factory.mktemp("curated")
    curate(recipe, inputs, output)
    return output


@pytest.fixture(scope="module")
def sets(curated, tmp_path_factory):
    return {name: read_problems(curated / f"{name}.parquet") for name in ("cold", "seeing", "rest")}


@pytest.fixture(scope="module")
def rejects(curated, tmp_path_factory):
    return load_dataset(
        "parquet",
        data_files=str(curated / "rejects.parquet"),
        split="train",
        cache_dir=str(tmp_path_factory.mktemp("cache")),
    ).to_list()


def test_no_prompt_stays_that_the_sampler_has_no_room_for(recipe, tiny_policy):
    """The model has 2048 positions, of which a response may take 4; vLLM may hold fewer."""

    def longest(max_prompt_tokens, **rollout):
        curation = recipe.curation.model_copy(update={"max_prompt_tokens": max_prompt_tokens})
        changes = {"curation": curation} | rollout
        changed = recipe.model_copy(update=changes)
        return row_steps(changed, tiny_policy, {}, None).max_prompt_tokens

    vllm = VllmRollout(engine="vllm", max_length_tokens=300)
    assert longest(1500) == 1500
    assert longest(8192) == 2044
    assert longest(1500, rollout=vllm) == 296


@pytest.mark.parametrize(
    ("curation", "rl", "evaluation", "where"),
    [
        ({"max_response_tokens": 2048}, 1, 1, "recipe, curation: max_response_tokens"),
        # What curation keeps is of 1,500 tokens at most.
        ({}, 549, 1, "recipe, stage rl: max_response_tokens"),
        ({}, 548, 2048, "recipe, evaluation: max_response_tokens"),
    ],
)
def test_what_the_model_has_no_room_for_is_refused_before_a_source_is_read(
    recipe, tiny_model_folder, tmp_path, curation, rl, evaluation, where
):
    """The model has 2048 positions; the folders of sources and benchmarks are not even given."""
    values = recipe.model_dump()
    stage = {"kind": "rl", "name": "rl", "data": "seeing", "num_steps": 1}
    stage |= {"prompts_per_step": 2, "group_size": 2, "max_response_tokens": rl}
    stage |= {"optimizer": {"learning_rate": 1e-3}, "rewards": [{"kind": "accuracy"}]}
    values["curation"] |= {"max_prompt_tokens": 1500} | curation
    values["stages"] = [*values["stages"], stage]
    values["evaluation"] |= {"max_response_tokens": evaluation}
    crowded = parse_recipe(values, where="test")
    with pytest.raises(RecipeError) as caught:
        curate(crowded, {"policy": tiny_model_folder}, tmp_path)
    assert caught.value.where == where and "lower it" in caught.value.fix


def test_every_row_that_came_in_is_in_one_set_or_rejected(sets, rejects, curated):
    out = [(row["source"], row["id"]) for problems in sets.values() for row in problems]
    out += [(row["source"], row["id"]) for row in rejects]
    assert Counter(source for source, _ in out) == {"text": 40, "seen": 16, "real": 6}
    assert len(set(out)) == 62
    summary = json.loads((curated / "summary.json").read_text())
    assert summary["rows_in"] == summary["rows_in_sets"] + summary["rows_rejected"] == 62


def test_every_reject_says_why(rejects):
    reasons = {
        row["question"][:12]: row["reject_reason"] for row in rejects if row["source"] == "real"
    }
    assert reasons["Prove that 2"] == "asks for a proof"
    assert reasons["how many leg"] == "duplicate question"
    assert reasons["x x x x x x "] == "prompt too long"
    assert reasons["What is left"] == "no reference answer"
    assert all(row["reject_step"] for row in rejects)


def test_the_sets_are_full_or_say_what_they_lack(sets, curated):
    assert {name: len(rows) for name, rows in sets.items()}.items() >= {
        "cold": 20,
        "seeing": 10,
    }.items()
    summary = json.loads((curated / "summary.json").read_text())["sets"]
    assert summary["rest"]["shortfall"] == 40 - len(sets["rest"])
    assert sum(summary["cold"]["by_family"].values()) == 20
    assert sum(summary["cold"]["by_level"].values()) == 20


def test_problems_are_graded_and_images_stay_encoded(sets):
    for problems in sets.values():
        assert all(0.0 <= row["pass_rate"] <= 1.0 and 1 <= row["level"] <= 10 for row in problems)
    assert all(row["images"][0]["bytes"].startswith(b"\x89PNG") for row in sets["seeing"])
    # The pocket world grades its problems; the random model's pass rate of 0 means level 10.
    real = [row for row in sets["rest"] if row["source"] == "real"]
    assert [row["level"] for row in real] == [10] * len(real)


def test_progress_counts_the_problems_and_their_outcomes(curated, rejects):
    lines = [json.loads(line) for line in (curated / "metrics.jsonl").read_text().splitlines()]
    filtered = [row for row in rejects if row["reject_step"] not in ("selection", "difficulty")]
    assert lines[-1]["step"] == lines[-1]["num_steps"] == 2 * (62 - len(filtered))
    counted = sum(lines[-1][f"verification_{name}"] for name in ("right", "wrong", "unparseable"))
    assert counted == 2 * (62 - len(filtered))


def test_the_gate_passes_what_curation_makes(recipe, curated):
    record = check_curation(recipe, curated).record
    assert record.passed


def test_the_same_recipe_writes_the_same_bytes(recipe, curated, inputs, tmp_path):
    curate(recipe, inputs, tmp_path)
    names = sorted(path.name for path in curated.glob("*.parquet"))
    assert len(names) == 7
    for name in [*names, "summary.json"]:
        assert (tmp_path / name).read_bytes() == (curated / name).read_bytes(), name


def test_the_output_holds_nothing_else(curated):
    names = {path.name for path in curated.iterdir() if path.name != ".cache"}
    assert names == {
        "benchmark_questions.parquet",
        "cold.parquet",
        "examples.parquet",
        "graded.parquet",
        "metrics.jsonl",
        "rejects.parquet",
        "rest.parquet",
        "seeing.parquet",
        "summary.json",
    }


def test_every_graded_problem_is_told_with_its_topic_and_its_set(curated, sets, rejects):
    graded = pq.read_table(curated / "graded.parquet").to_pylist()
    chosen = {row["id"]: name for name, rows in sets.items() for row in rows}
    left = {row["id"] for row in rejects if row["reject_step"] == "selection"}
    assert {row["id"]: row["set"] for row in graded} == chosen | dict.fromkeys(left)
    counts = json.loads((curated / "summary.json").read_text())
    for name in sets:
        of_set = Counter(row["topic"] for row in graded if row["set"] == name)
        assert counts["sets"][name]["by_topic"] == of_set
    assert sum(counts["topics"]["by_topic"].values()) == len(graded)
    assert counts["topic_names"] is None
    examples = read_problems(curated / "examples.parquet")
    assert Counter(chosen[row["id"]] for row in examples) == dict.fromkeys(sets, 4)


def test_a_grader_levels_what_has_no_level_and_another_model_names_the_topics(
    recipe, inputs, curated, tmp_path
):
    grader = {"model": {"path": "./other"}, "samples_per_problem": 3}
    topics = {"min_rows": 5, "names": {"model": {"path": "./namer"}}}
    values = recipe.model_dump(mode="json")
    values["curation"] |= {"grader": grader, "balance_by": "family", "topics": topics}
    wider = parse_recipe(values, where="test")
    others = dict.fromkeys(("model:grader", "model:namer"), inputs["policy"])
    curate(wider, inputs | others, tmp_path, save=tmp_path / "saved")
    assert list(tmp_path.glob("saved/chunk-0-names-*")) != []
    counts = json.loads((tmp_path / "summary.json").read_text())
    # It was never taught to: each topic keeps its keywords, and says what was wrong.
    named = counts["topic_names"]
    assert named["model"] == "./namer" and named["names"] == {}
    assert named["faults"].keys() == counts["topics"]["by_topic"].keys() - {"other"} != set()
    lines = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    before = [json.loads(line) for line in (curated / "metrics.jsonl").read_text().splitlines()]
    # Two problems have no level of their own: the pocket world grades its problems.
    assert lines[-1]["step"] == lines[-1]["num_steps"] == before[-1]["num_steps"] + 3 * 2
    graded = pq.read_table(tmp_path / "graded.parquet").to_pylist()
    # Never solved, and cut at the same length: the middle of the last quarter.
    assert [row["level"] for row in graded if row["source"] == "real"] == [9, 9]


FLOORS, TURNED = r"\lfloor x \rfloor, x", r"\boxed{x, \lfloor x \rfloor}"  # alike by algebra


def test_a_curation_that_is_told_to_stop_waits_for_no_comparison(
    recipe, inputs, tmp_path, monkeypatch
):
    path = tmp_path / "rows" / "one.parquet"
    path.parent.mkdir()
    rows = {"question": ["What is it?"], "answer": [FLOORS], "solution": [TURNED]}
    Dataset.from_dict(rows).to_parquet(str(path))
    values = recipe.model_dump(mode="json")
    values["sources"][2] |= {"path": str(path), "columns": {name: name for name in rows}}
    judge, compared = Verifier.judge, []

    def told_meanwhile(verifier, responses, *others):
        if TURNED not in responses:
            return judge(verifier, responses, *others)
        compared.append("begun")
        signal.raise_signal(signal.SIGTERM)
        verdicts = judge(verifier, responses, *others)
        compared.append("ended")
        return verdicts

    monkeypatch.setattr(Verifier, "judge", told_meanwhile)
    given = {**inputs, recipe.sources[2].input_name: path.parent}
    with pytest.raises(Preempted):
        curate(parse_recipe(values, where="test"), given, tmp_path, save=tmp_path / "saved")
    assert compared == ["begun"]
    assert len(list(tmp_path.glob("saved/shard-*"))) == 2  # of the sources before
