"""Rewards of the user's own: found, tried, refused; the overlong penalty and masking by hand."""

import importlib
import re

import pytest

from contracts.errors import RecipeError, RevisualError
from infra.settings import PROJECT_ROOT
from tasks.closure import module_closure, outside_modules
from tasks.keys import ingredients, stage_key
from tasks.prepare import check_rewards
from training import own_functions
from training.recipe.recipe import load_recipe
from training.recipe.stages import CustomReward, OverlongReward
from training.rl import custom
from training.rl.rewards import overlong, total_rewards

HEAD = "def reward(*, response, reference, question, num_tokens, outcome):\n"
BY_LENGTH = HEAD + "    return (outcome == 'right') * 10.0 / (num_tokens + 8)\n"


@pytest.fixture
def module(tmp_path, monkeypatch):
    """Writes a module of the given text and returns its name; each is imported afresh."""
    monkeypatch.syspath_prepend(tmp_path)

    def write(text, name="own_reward"):
        (tmp_path / f"{name}.py").write_text(text)
        importlib.invalidate_caches()
        monkeypatch.delitem(importlib.import_module("sys").modules, name, raising=False)
        own_functions.find.cache_clear()
        return name

    yield write
    own_functions.find.cache_clear()


def recipe_with(function):
    """The pocket recipe whose RL stages are rewarded by a function alone."""
    recipe = load_recipe(PROJECT_ROOT / "infra/recipes/pocket.toml")
    rewards = (CustomReward(kind="custom", function=function, weight=2.0),)
    stages = [
        stage.model_copy(update={"rewards": rewards}) if stage.kind == "rl" else stage
        for stage in recipe.stages
    ]
    return recipe.model_copy(update={"stages": tuple(stages)})


def test_a_function_is_asked_for_every_response(module):
    name = module(BY_LENGTH)
    check_rewards(recipe_with(f"{name}:reward"))
    problem = {"question": "1 + 1?", "answer": "2"}
    rewards = recipe_with(f"{name}:reward").stages[-1].rewards
    total, parts = total_rewards(["a", "b"], [2, 12], ["right", "right"], rewards, [problem] * 2)
    assert parts["custom"].tolist() == [1.0, 0.5]
    assert total.tolist() == [2.0, 1.0]


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("raise OSError('no disk')\n", "cannot be imported: OSError: no disk"),
        ("reward = 3\n", "has no function reward"),
        ("def other(): ...\n", "has no function reward"),
        ("def reward(response, length): return 0.0\n", "does not take what it is called with"),
        (HEAD + "    return float('nan')\n", "returned nan"),
        (HEAD + "    return 1e39\n", "returned 1e+39"),  # finite, but not in float32
        (HEAD + "    return 10**400\n", "returned 1000"),
        (HEAD + "    import torch\n    return torch.zeros(2)\n", "returned tensor([0., 0.])"),
        (HEAD + "    return None\n", "returned None"),
        (HEAD + "    return '1'\n", "returned '1'"),
        (HEAD + "    return 1 / num_tokens\n", "raised ZeroDivisionError"),
    ],
)
def test_a_function_that_does_not_work_is_refused_before_the_run(module, text, complaint):
    function = f"{module(text)}:reward"
    with pytest.raises(RecipeError, match=re.escape(complaint)) as refused:
        check_rewards(recipe_with(function))
    assert function in str(refused.value)


def test_a_module_that_is_missing_is_refused():
    with pytest.raises(RecipeError, match="cannot be imported: ModuleNotFoundError"):
        check_rewards(recipe_with("no.such_module:reward"))


@pytest.mark.parametrize("function", ["reward", "a:b:c", "a b:c", "../x:y", "a:", ":b", "a.:b"])
def test_a_name_that_is_no_function_is_refused(function):
    with pytest.raises(ValueError, match="function"):
        CustomReward(kind="custom", function=function)


def test_a_value_that_is_not_finite_ends_the_stage(module):
    name = module(HEAD + "    return float('inf') if num_tokens > 100 else 0.0\n")
    custom.check(f"{name}:reward")
    with pytest.raises(RevisualError, match="returned inf"):
        custom.value(f"{name}:reward", "text", "2", "?", 101, "wrong")


def test_a_weighted_sum_that_is_not_finite_in_float32_ends_the_stage(module):
    name = module(HEAD + "    return 3e38 if num_tokens > 100 else -1.5\n")
    rewards = recipe_with(f"{name}:reward").stages[-1].rewards  # of weight 2
    problems = [{"question": "?", "answer": "2"}] * 2
    total, _ = total_rewards(["", ""], [1, 2], ["wrong"] * 2, rewards, problems)
    assert total.tolist() == [-3.0, -3.0]
    with pytest.raises(RevisualError, match=re.escape("inf: 2 x custom 3e+38")):
        total_rewards(["", ""], [1, 101], ["wrong"] * 2, rewards, problems)


def test_the_source_is_part_of_its_stages_keys_and_of_no_other(module):
    def keys():
        recipe = recipe_with("own_reward:reward")
        kinds = {stage.name: stage.kind for stage in recipe.stages}
        return {name: stage_key(ingredients(recipe, name, kinds[name], {})) for name in kinds}

    module(BY_LENGTH)
    before = keys()
    module('"""Says something."""\n\n# why\n' + BY_LENGTH)
    assert keys() == before, "comments, docstrings and formatting do not count"
    module(BY_LENGTH.replace("10.0", "20.0"))
    changed = {name for name, key in keys().items() if key != before[name]}
    recipe = recipe_with("own_reward:reward")
    assert changed == {stage.name for stage in recipe.stages if stage.kind == "rl"}


def test_modules_of_its_package_count(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    package = tmp_path / "own_package"
    package.mkdir()
    for name, text in (
        ("__init__", ""),
        ("reward", "from . import helper\n"),
        ("helper", "x = 1\n"),
    ):
        (package / f"{name}.py").write_text(text)
    (package / "unused.py").write_text("y = 1\n")
    found = outside_modules("own_package.reward")
    assert set(found) == {"own_package", "own_package.reward", "own_package.helper"}
    for missing in ("no_such_package.reward", "own_package.no_such_module", "math"):
        with pytest.raises(RecipeError, match="no source"):
            outside_modules(missing)


def test_whatever_it_imports_that_is_no_library_counts(tmp_path, monkeypatch):
    """A helper beside the reward decides its values as much as the reward's own module."""
    libraries = tmp_path / "lib/site-packages"
    for folder in (tmp_path, libraries):
        monkeypatch.syspath_prepend(folder)
    texts = {
        "beside_reward": "import json, numpy, missing_module, own_library\nimport helpers.words\n"
        "def late():\n    from training.pocket import steps\n",
        "helpers/__init__": "",
        "helpers/words": "from . import counts\nfrom .. import beside_helpers\n",
        "helpers/counts": "import beside_counts as b\nname = 'helpers.named'\n",
        "helpers/named": "",
        "helpers/unused": "",
        "beside_counts": "WORTH = 1\n",
        "lib/site-packages/own_library": "import beside_unused\n",
        "beside_unused": "",
        "lib/site-packages/installed_reward": "import beside_counts, own_library\n",
    }
    for name, text in texts.items():
        path = tmp_path / f"{name}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    before = outside_modules("beside_reward")
    beside = {"beside_reward", "beside_counts"}
    beside |= {f"helpers{name}" for name in ("", ".words", ".counts", ".named")}
    assert {name for name in before if not name.startswith(("training", "contracts"))} == beside
    # Ours count as they do in a stage that imports them.
    ours = module_closure(["training.pocket.steps"])
    assert {name: before[name] for name in ours} == ours
    assert set(outside_modules("installed_reward")) == {"installed_reward", "beside_counts"}

    (tmp_path / "beside_counts.py").write_text("WORTH = 2\n")
    after = outside_modules("beside_reward")
    assert {name for name in before if before[name] != after[name]} == {"beside_counts"}


@pytest.mark.parametrize(
    ("length", "reward"),
    [(0, 0.0), (16384, 0.0), (17408, -0.25), (18432, -0.5), (20480, -1.0), (30000, -1.0)],
)
def test_the_soft_punishment_of_dapo(length, reward):
    # DAPO: at most 16,384 tokens are free, the buffer of 4,096 ends at 20,480.
    assert overlong(length, limit=20480, buffer=4096) == reward


def test_the_buffer_lies_below_the_limit():
    with pytest.raises(ValueError, match="buffer_tokens must not exceed limit_tokens"):
        OverlongReward(kind="overlong", limit_tokens=100, buffer_tokens=101)
    reward = OverlongReward(kind="overlong", limit_tokens=100, buffer_tokens=50, weight=0.5)
    total, parts = total_rewards(["", ""], [75, 10], ["wrong", "wrong"], [reward])
    assert parts["overlong"].tolist() == [-0.5, 0.0] and total.tolist() == [-0.25, 0.0]
