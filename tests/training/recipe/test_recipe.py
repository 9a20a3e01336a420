"""Recipes: every shipped one parses, every broken one names the field, the rule and the fix."""

import copy
import tomllib
from functools import reduce
from operator import getitem
from pathlib import Path

import pytest

from contracts.errors import RecipeError
from training.recipe.recipe import Recipe, load_recipe, parse_recipe

RECIPES = Path(__file__).parents[3] / "infra" / "recipes"


@pytest.mark.parametrize("path", sorted(RECIPES.glob("*.toml")), ids=lambda path: path.stem)
def test_shipped_recipes_parse_and_are_named_after_their_file(path):
    recipe = load_recipe(path)
    assert recipe.name == path.stem
    assert [stage.name for stage in recipe.stages] == ["cold_start", "multimodal_rl", "text_rl"]


def test_these_recipes_are_shipped():
    assert {path.stem for path in RECIPES.glob("*.toml")} == {
        "pocket",
        "revisual-3b",
        "revisual-3b-1gpu",
        "revisual-3b-24gb",
        "revisual-7b",
    }


def test_the_7b_recipe_holds_the_papers_table_5():
    multimodal, text = load_recipe(RECIPES / "revisual-7b.toml").stages[1:]
    for stage in (multimodal, text):
        assert stage.optimizer.learning_rate == 1e-6
        assert stage.optimizer.weight_decay == 1e-2
        assert stage.optimizer.max_grad_norm == 1.0
        assert (stage.prompts_per_step, stage.group_size, stage.updates_per_step) == (512, 8, 4)
        assert (stage.temperature, stage.top_p, stage.max_response_tokens) == (1.0, 0.95, 8192)
    assert multimodal.kl is None and multimodal.freeze == ()
    assert text.kl.coefficient == 2e-3 and text.freeze == ("vision_tower",)
    assert (text.entropy.coefficient, text.entropy.decay, text.entropy.warmup_updates) == (
        0.02,
        0.985,
        140,
    )


def test_the_papers_grader_is_named_with_an_engine_of_its_own():
    for path in RECIPES.glob("revisual-*.toml"):
        recipe = load_recipe(path)
        grader = recipe.curation.grader
        # Beside the paper's, one card has no tenth to spare.
        size = "32B" if recipe.hardware.num_processes == 8 else "7B"
        assert grader.model.path == f"Qwen/Qwen2.5-VL-{size}-Instruct"
        assert grader.model.dtype == "bfloat16"
        assert grader.model.max_pixels == recipe.model.max_pixels
        assert recipe.grader_rollout == grader.rollout != recipe.rollout


def test_a_grader_without_an_engine_of_its_own_has_the_runs():
    values = broken(lambda values: values["curation"]["grader"].pop("rollout"))
    recipe = parse_recipe(values, where="my.toml")
    assert recipe.grader_rollout == recipe.rollout
    values = broken(lambda values: values["curation"].pop("grader"))
    assert parse_recipe(values, where="my.toml").grader_rollout == recipe.rollout


@pytest.mark.parametrize(
    ("stage", "field"), [(None, "num_processes"), ("curate", "stages.curate.num_processes")]
)
def test_a_graders_processes_form_whole_groups_in_curation(stage, field):
    def change(values):
        values["curation"]["grader"]["rollout"]["tensor_parallel"] = 3
        if stage is not None:
            values["hardware"]["stages"] = {stage: {"num_processes": 4}}

    with pytest.raises(RecipeError) as caught:
        parse_recipe(broken(change), where="my.toml")
    assert "curation.grader.rollout.tensor_parallel (3) must divide" in caught.value.rule
    assert f"hardware.{field} (" in caught.value.rule
    of_another = {"evaluate": {"num_processes": 3}}  # nobody grades there
    parse_recipe(broken(lambda values: values["hardware"].update(stages=of_another)), where="it")


def test_a_graders_engine_holds_the_longest_prompt_and_response():
    def change(values):
        values["curation"]["grader"]["rollout"]["max_length_tokens"] = 16383

    with pytest.raises(RecipeError) as caught:
        parse_recipe(broken(change), where="my.toml")
    assert "curation.grader.rollout.max_length_tokens (16383) must hold" in caught.value.rule


@pytest.mark.parametrize(
    ("bound", "said"),
    [
        (8192, "curation: max_response_tokens (8192) must leave room for prompts of 1 token(s)"),
        # Curation keeps prompts of 8,191 tokens, then of 8,192; the second RL stage answers longer.
        (16383, "stage text_rl: max_response_tokens (8193) must leave room for prompts of 8191"),
        (16384, "curation.max_prompt_tokens to at most 8191"),
    ],
)
def test_responses_leave_room_for_their_prompts_in_the_samplers_bound(bound, said):
    def change(values):
        values["rollout"]["max_length_tokens"] = bound
        values["stages"][-1]["max_response_tokens"] = 8193

    with pytest.raises(RecipeError) as caught:
        parse_recipe(broken(change), where="my.toml")
    assert said in caught.value.rule


def test_a_resolved_recipe_parses_to_itself():
    recipe = load_recipe(RECIPES / "revisual-7b.toml", seed=7)
    assert recipe.seed == 7
    assert parse_recipe(recipe.model_dump(mode="json"), where="resolved") == recipe


def broken(change):
    values = tomllib.loads((RECIPES / "revisual-7b.toml").read_text())
    change(values)
    return values


BROKEN = {
    "unknown key": (lambda v: v.update(sed=1), "sed: unknown key"),
    "unknown nested key": (lambda v: v["stages"][1].update(grop_size=8), "grop_size: unknown key"),
    "wrong type": (lambda v: v["stages"][1].update(num_steps="many"), "num_steps"),
    "out of range": (lambda v: v["stages"][1].update(group_size=1), "group_size"),
    "a sink twice": (lambda v: v.update(logging={"sinks": ["wandb"] * 2}), "named once"),
    "unknown sink": (lambda v: v.update(logging={"sinks": ["paper"]}), "logging.sinks"),
    "top-p above one": (lambda v: v["stages"][1].update(top_p=1.5), "top_p"),
    "bounds crossed": (lambda v: v["stages"][1]["pad"].update(low=2.0, high=1.0), "low (2.0)"),
    "unknown kind": (lambda v: v["stages"][0].update(kind="dpo"), "dpo"),
    "unknown set": (lambda v: v["stages"][1].update(data="nowhere"), "'nowhere'"),
    "sft without traces": (lambda v: v["stages"][0].update(data="text_rl"), "needs_solution"),
    "two stages of one name": (lambda v: v["stages"][2].update(name="cold_start"), "unique"),
    "stage called base": (lambda v: v["stages"][0].update(name="base"), "base"),
    "stage called curate": (lambda v: v["stages"][0].update(name="curate"), "curate"),
    "no stages": (lambda v: v.update(stages=[]), "stages"),
    "no prompt": (lambda v: v.update(system_prompt=""), "system_prompt"),
    "negative seed": (lambda v: v.update(seed=-1), "seed"),
    "missing section": (lambda v: v.pop("model"), "model"),
    "unknown engine": (lambda v: v["rollout"].update(engine="sglang"), "sglang"),
    "a key of older recipes": (
        lambda v: v["curation"].update(rules=[]),
        "curation.rules: unknown key; curation.steps takes its place",
    ),
    "a nested key of older recipes": (
        lambda v: v["curation"].update(duplicates={"near": False}),
        "curation.duplicates.near: unknown key; curation.steps takes its place",
    ),
    "unknown rollout key": (lambda v: v["rollout"].update(sleep=1), "sleep: unknown key"),
    "tensor parallel": (lambda v: v["rollout"].update(tensor_parallel=3), "tensor_parallel (3)"),
    "vllm's key": (lambda v: v["rollout"].update(engine="transformers"), "unknown key"),
    "set called rejects": (lambda v: v["curation"]["sets"][0].update(name="rejects"), "rejects"),
    "set called benchmark_questions": (
        lambda v: v["curation"]["sets"][0].update(name="benchmark_questions"),
        "benchmark_questions",
    ),
    "infinite": (lambda v: v["stages"][1].update(temperature=float("inf")), "temperature"),
    "nan": (lambda v: v["stages"][1].update(top_p=float("nan")), "top_p"),
    "negative infinity": (
        lambda v: v["gates"]["evaluation"].update(min_gain_points=-1e400),
        "gain",
    ),
    "huge": (lambda v: v["stages"][0].update(epochs=1e300), "epochs"),
    "10^21 processes": (lambda v: v["hardware"].update(num_processes=10**21), "num_processes"),
    "more digits than Python prints": (
        lambda v: v["hardware"].update(num_processes=10**5000),
        "num_processes: a recipe's value is a whole number of more than 64 bits",
    ),
    "10^13 problems": (lambda v: v["sources"][0].update(num_problems=10**13), "num_problems"),
    "long name": (lambda v: v.update(name="n" * 300), "name"),
    "path of 300 bytes": (lambda v: v["model"].update(path="ü" * 150), "255 bytes"),
    "NUL in a path": (lambda v: v["model"].update(path="a\0b"), "model.path"),
    "escape in a key": (lambda v: v.update({"\x1b[2J": 1}), "\\x1b[2J"),
    "lone surrogate": (lambda v: v.update(system_prompt="\ud800"), "system_prompt"),
    "cap of no source": (
        lambda v: v["curation"]["sets"][0].update(max_per_source={"nobody": 5}),
        "max_per_source names no source: ['nobody']",
    ),
    "set called graded": (lambda v: v["curation"]["sets"][0].update(name="graded"), "graded"),
    "topics larger than their sample": (
        lambda v: v["curation"].update(topics={"min_rows": 50, "max_clustered": 20}),
        "min_rows must not be above max_clustered",
    ),
    "planted rows of a file": (
        lambda v: v["sources"][0].update(num_planted=2),
        "`num_planted` belongs to pocket sources",
    ),
    "planted leaks of no benchmark": (
        lambda v: v["sources"].append(
            {"name": "p", "kind": "pocket", "modality": "text", "num_problems": 9, "num_planted": 1}
        ),
        "plants questions of pocket_text",
    ),
    "parquet without path": (
        lambda v: v["sources"].append({"name": "s", "kind": "parquet", "modality": "text"}),
        "path",
    ),
}


@pytest.mark.parametrize(("change", "named"), BROKEN.values(), ids=BROKEN.keys())
def test_a_broken_recipe_names_what_is_wrong(change, named):
    with pytest.raises(RecipeError) as caught:
        parse_recipe(broken(change), where="my.toml")
    assert named in str(caught.value)
    assert "my.toml" in str(caught.value)


def places(value, *at):
    """Where every number, text, list and table of nested values stands."""
    inner = value.items() if isinstance(value, dict) else enumerate(value)
    for key, one in inner:
        yield (*at, key)
        if isinstance(one, dict | list):
            yield from places(one, *at, key)


def test_a_number_of_any_size_is_one_clear_error_wherever_it_stands():
    """4,000 hexadecimal digits: more than Python writes out."""
    values = broken(lambda _: None)
    values["stages"][1]["entropy"] = {"coefficient": 0.01, "decay": 0.9} | {
        "warmup_updates": 1,
        "warmup": "ramp",
    }
    for *above, last in list(places(values)):
        changed = copy.deepcopy(values)
        target = reduce(getitem, above, changed)
        target[last] = 16**4000
        with pytest.raises(RecipeError) as caught:
            parse_recipe(changed, where="my.toml")
        assert len(str(caught.value)) < 5000, (above, last)


def test_every_whole_number_of_a_recipe_has_an_upper_bound():
    def unbounded(schema, name):
        if isinstance(schema, dict):
            if schema.get("type") == "integer" and not schema.keys() & {
                "maximum",
                "exclusiveMaximum",
            }:
                yield name
            for key, inner in schema.items():
                yield from unbounded(inner, f"{name}.{key}")
        elif isinstance(schema, list):
            for inner in schema:
                yield from unbounded(inner, name)

    assert list(unbounded(Recipe.model_json_schema(), "")) == []


def test_every_fault_is_listed_at_once():
    def change(values):
        values["stages"][1]["group_size"] = 1
        values["stages"][2]["top_p"] = 2.0

    with pytest.raises(RecipeError) as caught:
        parse_recipe(broken(change), where="my.toml")
    assert "group_size" in caught.value.rule and "top_p" in caught.value.rule


def test_a_missing_file_and_a_file_that_is_no_toml(tmp_path):
    with pytest.raises(RecipeError, match="There is no recipe"):
        load_recipe(tmp_path / "none.toml")
    (tmp_path / "bad.toml").write_text("name = ")
    with pytest.raises(RecipeError, match="not valid TOML"):
        load_recipe(tmp_path / "bad.toml")


def deep(levels):
    values = {}
    for _ in range(levels):
        values = {"a": values}
    return values


HOSTILE_FILES = {
    "a list in a list in ...": (b"a = " + b"[" * 100_000, "nested too deeply"),
    "dotted keys": (b".".join([b"a"] * 5000) + b" = 1", "levels deep"),
    "a number without end": (b"seed = " + b"9" * 5000, "not valid TOML"),
    "no text": (b"\xff\xfe", "not valid TOML"),
    "a gigabyte": (b"#" * 2**21, "more than 1048576 bytes"),
    "nothing": (b"", "breaks"),
    "ten thousand unknown keys": (
        b"".join(b"k%d = 1\n" % number for number in range(10_000)),
        "and 99",
    ),
}


@pytest.mark.parametrize(("data", "named"), HOSTILE_FILES.values(), ids=HOSTILE_FILES.keys())
def test_a_hostile_file_is_one_clear_short_error(data, named, tmp_path):
    (tmp_path / "hostile.toml").write_bytes(data)
    with pytest.raises(RecipeError, match=named) as caught:
        load_recipe(tmp_path / "hostile.toml")
    assert len(str(caught.value)) < 5000


@pytest.mark.parametrize("name", ["x" * 300, "a\0b", "/dev/zero", "/"])
def test_a_file_of_no_usable_name_is_one_clear_error(name):
    with pytest.raises(RecipeError):
        load_recipe(Path(name))


def test_resolved_values_are_checked_like_a_file(tmp_path):
    with pytest.raises(RecipeError, match="levels deep"):
        parse_recipe(deep(10_000), where="recipe.json")


def test_relative_paths_start_at_the_recipes_folder(tmp_path):
    text = (RECIPES / "revisual-7b.toml").read_text()
    text = text.replace('"Qwen/Qwen2.5-VL-7B-Instruct"', '"./base"')
    text = text.replace('"Qwen/Qwen2.5-VL-32B-Instruct"', '"./large"')
    text = text.replace("[curation]\n", '[curation]\ntopics.embedding.path = "../encoder"\n')
    source = 'kind = "parquet"\nmodality = "multimodal"\npath = "./rl/*.parquet"'
    (tmp_path / "mine.toml").write_text(text.replace('dataset = "mmrl"', source))
    recipe = load_recipe(tmp_path / "mine.toml")
    assert recipe.model.path == str(tmp_path / "base")
    assert recipe.curation.grader.model.path == str(tmp_path / "large")
    assert recipe.curation.topics.embedding.path == str(tmp_path.parent / "encoder")
    assert [source.path for source in recipe.sources] == [
        "csfufu/Grammer_dataset",
        str(tmp_path / "rl/*.parquet"),
        "csfufu/textrl",
    ]
