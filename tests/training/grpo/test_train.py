import itertools
import json

import pytest
import torch
from pydantic import ValidationError

from contracts.errors import DataError, RecipeError
from training.grpo import train as grpo
from training.learner.learner import Learner
from training.model.forward import ForwardPass, Scoring
from training.model.in_host import InHost
from training.recipe.stages import RlStage
from training.records import read_problems, write_problems

ACCURACY = {"kind": "accuracy"}
# The random model answers nothing right; the length of its answers is what it can improve.
LENGTH = {"kind": "efficient_length", "budget_tokens": 12, "alpha": 0.03}
KEYS = {
    *("step", "num_steps", "seconds", "reward", "reward_std", "accuracy", "reward_accuracy"),
    *("reward_efficient_length", "response_length_tokens", "truncated_fraction", "entropy"),
    "duplicate_fraction",
    *("effective_fraction", "zero_variance_fraction", "selected_sequences"),
    *("sampled_sequences", "refill_rounds", "real_draw", "scored_sequences", "nonfinite_updates"),
    *(
        "outside_nucleus_fraction",
        "effective_sample_size",
        "skipped_update",
        "pad_temperature",
        "loss",
        "grad_norm",
    ),
    *("clip_low_fraction", "clip_high_fraction", "sampler_kl", "importance_ratio_mean"),
    *("entropy_coefficient", "learning_rate", "verification_right", "verification_wrong"),
    *("verification_unparseable", "verification_timeout", "verification_crashed"),
    *("seconds_rollout", "seconds_reward", "seconds_update", "rollout_tokens_per_second"),
    "reward_tokens_per_second",
    "update_tokens_per_second",
}


def new_stage(**changes):
    values = {
        "kind": "rl",
        "name": "rl",
        "data": "text",
        "optimizer": {"learning_rate": 3e-3},
        "num_steps": 3,
        "prompts_per_step": 4,
        "group_size": 4,
        "max_response_tokens": 24,
        "temperature": 3.0,
        "rewards": [ACCURACY, LENGTH],
    }
    return RlStage.model_validate(values | changes)


@pytest.fixture
def run(tiny_model_folder, tiny_recipe, problem_sets, tmp_path):
    def train(name="one", recipe=tiny_recipe, **changes):
        output = tmp_path / name
        output.mkdir()
        grpo.train(recipe, new_stage(**changes), tiny_model_folder, problem_sets, output)
        return output

    return train


def metrics_of(output):
    return [json.loads(line) for line in (output / "metrics.jsonl").read_text().splitlines()]


def summary_of(output):
    return json.loads((output / "summary.json").read_text())


@pytest.mark.parametrize("data", ["text", "multimodal"])
def test_the_same_seed_gives_the_same_bytes(run, data):
    first, second = run("first", data=data), run("second", data=data)
    name = "model/model.safetensors"
    assert (first / name).read_bytes() == (second / name).read_bytes()
    assert (first / "samples.jsonl").read_bytes() == (second / "samples.jsonl").read_bytes()


def test_two_sets_are_drawn_from_at_once(run, problem_sets):
    output = run(data="text", mixed_with="multimodal", num_steps=1)
    sizes = [
        len(read_problems(problem_sets / f"{name}.parquet")) for name in ("text", "multimodal")
    ]
    assert summary_of(output)["num_rows"] == sum(sizes)
    with pytest.raises(ValidationError, match="must be another set than data"):
        new_stage(data="text", mixed_with="text")


def test_adapters_need_no_second_model_for_the_reference(run, monkeypatch):
    loaded, differences = [], []
    load, scores = grpo.load_policy, Learner.scores

    def counting(*arguments, **options):
        loaded.append(load(*arguments, **options))
        return loaded[-1]

    def compared(learner, sequences, scorings, stop):
        (ours,) = found = scores(learner, sequences, scorings, stop)
        copy = ForwardPass(load(*where, **how)).eval()
        (theirs,) = scores(learner, sequences, [Scoring(scorings[0].settings, copy)])
        differences.extend(
            (ours[row].log_probs - theirs[row].log_probs).abs().max().item() for row in theirs
        )
        return found

    def noting(*arguments, **options):
        nonlocal where, how
        where, how = arguments, options
        return counting(*arguments, **options)

    where, how = (), {}
    monkeypatch.setattr(grpo, "load_policy", noting)
    monkeypatch.setattr(Learner, "scores", compared)
    kl = {"coefficient": 0.05}
    output = run("adapted", kl=kl, lora={"rank": 4})
    assert len(loaded) == 1
    assert differences and set(differences) == {0.0}
    # At first they are one model; then the adapters learn and the base stays.
    distances = [line["kl_reference"] for line in metrics_of(output)]
    assert distances[0] == pytest.approx(0.0, abs=1e-6) and distances[-1] > 1e-6
    loaded.clear()
    run("whole", kl=kl)
    assert len(loaded) == 2


def test_a_reference_in_host_memory_changes_nothing_and_works_for_its_passes_alone(
    run, tiny_recipe, monkeypatch
):
    kl, happened = {"coefficient": 0.05}, []

    def noted(owner, name, event):
        plain = getattr(owner, name)

        def noting(self, *arguments):
            happened.append(event)
            return plain(self, *arguments)

        monkeypatch.setattr(owner, name, noting)

    noted(InHost, "_put", "moved")
    noted(Learner, "scores", "scored")
    noted(grpo.Grpo, "refresh_sampler", "updated")
    hardware = tiny_recipe.hardware.model_copy(update={"reference_in_host": True})
    waiting = tiny_recipe.model_copy(update={"hardware": hardware})
    name = "model/model.safetensors"
    there = run("there", kl=kl, updates_per_step=2)
    assert "moved" not in happened
    happened.clear()
    away = run("away", waiting, kl=kl, updates_per_step=2)
    assert (there / name).read_bytes() == (away / name).read_bytes()
    # It is put away first; a step brings it, scores two updates' sequences, puts it away, learns.
    step = ["moved", "scored", "scored", "moved", "updated"]
    assert happened == ["moved", *3 * step]
    # Adapters have no copy that could wait.
    happened.clear()
    run("adapted", waiting, kl=kl, lora={"rank": 4}, num_steps=1)
    assert "moved" not in happened


def test_every_step_is_measured(run):
    output = run(data="multimodal")
    metrics = metrics_of(output)
    assert [line["step"] for line in metrics] == [1, 2, 3]
    for line in metrics:
        assert set(line) == KEYS
        assert line["verification_unparseable"] + line["verification_wrong"] == 16
        assert line["selected_sequences"] <= 8  # rho = 0.5 of 16
        assert line["entropy"] > 0.0
        speeds = [line[f"{phase}_tokens_per_second"] for phase in ("rollout", "reward", "update")]
        seconds = [line[f"seconds_{phase}"] for phase in ("rollout", "reward", "update")]
        num_tokens = [speed * time for speed, time in zip(speeds, seconds, strict=True)]
        assert num_tokens[:2] == pytest.approx([16 * line["response_length_tokens"]] * 2)
        assert 0 < num_tokens[2] < num_tokens[0]
        assert line["scored_sequences"] == line["selected_sequences"]
        assert line["real_draw"] == (line["selected_sequences"] < 16 * line["effective_fraction"])
        assert (line["sampled_sequences"], line["refill_rounds"]) == (16, 0)
        # Sampler and trainer are one model: the ratio differs by rounding only.
        assert line["sampler_kl"] < 1e-6
        assert line["importance_ratio_mean"] == pytest.approx(1.0, abs=1e-2)
        assert line["clip_low_fraction"] == line["clip_high_fraction"] == 0.0
    assert [line["pad_temperature"] for line in metrics] == pytest.approx([1.0, 0.65, 0.3])
    assert summary_of(output)["num_prompts"] == 12


def test_samples_show_the_same_problems_before_and_after(run):
    lines = (run() / "samples.jsonl").read_text().splitlines()
    samples = [json.loads(line) for line in lines]
    assert [sample["step"] for sample in samples] == [0] * 4 + [3] * 4
    ids = [sample["problem_id"] for sample in samples]
    assert ids[:4] == ids[4:] == ["p0", "p1", "p2", "p3"]
    assert all(sample["outcome"] != "right" for sample in samples)


def test_the_reward_rises(run):
    output = run(
        num_steps=12, prompts_per_step=8, rewards=[LENGTH], optimizer={"learning_rate": 1e-2}
    )
    rewards = [line["reward"] for line in metrics_of(output)]
    assert sum(rewards[-3:]) / 3 > sum(rewards[:3]) / 3 + 0.1


def test_a_batch_that_teaches_nothing_skips_the_update(run, tiny_model_folder):
    # No answer is right, so every group's advantages are zero.
    output = run(rewards=[ACCURACY])
    for line in metrics_of(output):
        assert (line["skipped_update"], line["selected_sequences"], line["loss"]) == (1, 0, None)
        assert set(line) == KEYS - {"reward_efficient_length"}
        assert (line["zero_variance_fraction"], line["effective_fraction"]) == (1.0, 0.0)
    assert summary_of(output)["num_skipped_updates"] == 3
    assert summary_of(output)["num_updates"] == 0
    name = "model.safetensors"
    assert (output / "model" / name).read_bytes() == (tiny_model_folder / name).read_bytes()


@pytest.mark.parametrize("strategy", ["dynamic", "pad", "none"])
def test_a_refill_ends_after_its_rounds(run, strategy):
    pad = {"strategy": strategy, "refill_rounds": 2}
    output = run(rewards=[ACCURACY], pad=pad, num_steps=1)
    assert summary_of(output)["num_prompts"] == 4 * (1 + 2)
    line = metrics_of(output)[0]
    assert (line["refill_rounds"], line["sampled_sequences"]) == (2, 48)
    # Plain GRPO takes its step of zero on one row; all 48 are in its denominator.
    expected = (0, 48, 1) if strategy == "none" else (1, 0, 0)
    counts = ("skipped_update", "selected_sequences", "scored_sequences")
    assert tuple(line[name] for name in counts) == expected


# 1 or 0 for the letters of an answer: some groups have equal rewards, and teach nothing.
LETTERS = {"kind": "keywords", "words": ["a", "b", "c", "d"], "value": 1.0}


def test_every_two_arms_differ_and_the_metrics_count_what_each_takes(run):
    """Two steps of every arm, the first on the same rollouts."""
    pads = {strategy: {"strategy": strategy} for strategy in ("pad", "filter", "random", "none")}
    pads["released"] = {"strategy": "released", "high": 10.0}
    pads["dynamic"] = {"strategy": "dynamic", "refill_rounds": 3}
    pads["pad with refill"] = {"refill_rounds": 3}
    pads["pad, weighted"] = {"importance_weight": True}
    lines, weights = {}, {}
    for name, pad in pads.items():
        changes = {"num_steps": 2, "prompts_per_step": 6, "rewards": [LETTERS]}
        output = run(name, pad={"ratio": 0.25} | pad, **changes)
        lines[name] = metrics_of(output)[0]
        weights[name] = (output / "model/model.safetensors").read_bytes()
    for one, another in itertools.combinations(pads, 2):
        assert weights[one] != weights[another], f"{one} is {another}"
    num_effective = round(24 * lines["none"]["effective_fraction"])
    assert 6 < num_effective < 24, "some groups are dead, and PAD has a choice"
    taken = {name: line["selected_sequences"] for name, line in lines.items()}
    fixed = {"pad": 6, "random": 6, "pad with refill": 6, "pad, weighted": 6}
    assert taken == fixed | {
        "filter": num_effective,
        "none": 24,
        "released": 36,
        "dynamic": taken["dynamic"],
    }
    assert taken["dynamic"] >= 24 and lines["dynamic"]["sampled_sequences"] > 24
    scored = {name: line["scored_sequences"] for name, line in lines.items()}
    # A dead row that only counts in the denominator costs nothing.
    assert scored["none"] == scored["filter"] == num_effective
    assert scored["random"] <= 6
    # The same rows with a gradient, over all rows and over E: tokens, not rows, are the weights.
    assert lines["none"]["grad_norm"] < 0.95 * lines["filter"]["grad_norm"]
    assert lines["none"]["entropy"] == lines["filter"]["entropy"]
    speeds = {n: li["update_tokens_per_second"] * li["seconds_update"] for n, li in lines.items()}
    assert speeds["none"] == pytest.approx(speeds["filter"])
    draws = {name: line["real_draw"] for name, line in lines.items()}
    assert [name for name, is_real in draws.items() if not is_real] == ["filter", "none", "dynamic"]
    assert lines["pad with refill"]["sampled_sequences"] > 24


@pytest.mark.parametrize("zero_stage", [0, 3])
def test_all_options_together(run, tiny_recipe, zero_stage):
    hardware = tiny_recipe.hardware.model_copy(update={"zero_stage": zero_stage})
    output = run(
        recipe=tiny_recipe.model_copy(update={"hardware": hardware}),
        num_steps=2,
        updates_per_step=2,
        kl={"coefficient": 0.01},
        entropy={"coefficient": 0.01, "warmup_updates": 1},
        pad={"strategy": "none"},
        aggregation="dr_grpo",
        freeze=["vision_tower"],
        tokens_per_micro_batch=200,
    )
    first, second = metrics_of(output)
    assert set(first) == KEYS | {"kl_reference"}
    assert first["kl_reference"] < second["kl_reference"]
    # The metric is the step's last update's. The schedule counts updates: half, whole, and then
    # it decays.
    assert first["entropy_coefficient"] == 0.01
    assert second["entropy_coefficient"] == pytest.approx(0.01 * 0.985**2)
    assert summary_of(output)["num_updates"] == 4


def test_an_empty_set_is_an_error(run, problem_sets):
    write_problems([], problem_sets / "empty.parquet")
    with pytest.raises(DataError, match="holds no problem"):
        run(data="empty")


def test_the_selection_alone_pays_for_forward_passes(run, monkeypatch):
    num_scored = []
    forward = ForwardPass.forward

    def counting(forward_pass, given, settings):
        num_scored.append(len(getattr(given, "token_ids", given)))  # as tensors, or sequences
        return forward(forward_pass, given, settings)

    take_step = grpo.Grpo.step

    def step(*arguments):
        num_scored.clear()  # the start-up probe has forward passes of its own
        return take_step(*arguments)

    monkeypatch.setattr(ForwardPass, "forward", counting)
    monkeypatch.setattr(grpo.Grpo, "step", step)
    output = run(num_steps=1, updates_per_step=2, kl={"coefficient": 0.01}, pad={"ratio": 0.25})
    # Old, reference and update: three passes over a quarter of 16 sequences, not over all.
    assert metrics_of(output)[0]["selected_sequences"] == 4
    assert sum(num_scored) == 3 * 4
    assert torch.is_grad_enabled()


def test_validation_holds_problems_out_and_scores_the_checkpoints(run, monkeypatch):
    trained, scores = set(), []
    sample = grpo.collect
    after_step = grpo.Checkpoints.after_step

    def watched(engine, verifier, problems, *arguments, **options):
        trained.update(problem["id"] for problem in problems)
        return sample(engine, verifier, problems, *arguments, **options)

    def scored(checkpoints, *, score, **options):
        scores.append(score)
        return after_step(checkpoints, score=score, **options)

    monkeypatch.setattr(grpo, "collect", watched)
    monkeypatch.setattr(grpo.Checkpoints, "after_step", scored)
    validation = {"num_problems": 5, "every_steps": 2, "temperature": 1.0}
    output = run(num_steps=5, prompts_per_step=8, validation=validation)
    lines = metrics_of(output)
    measured = [line["validation_accuracy"] for line in lines]
    assert [value is None for value in measured] == [True, False, True, False, False]
    assert scores == measured
    # 40 prompts are more than two epochs of what is left, which all of it has been in.
    assert len(trained) == 15
    assert (summary_of(output)["num_held_out"], summary_of(output)["num_rows"]) == (5, 15)
    assert summary_of(output)["best_validation"] == 0.0


def test_validation_without_a_new_best_ends_the_stage_early(run):
    # No answer of the random model is right: the first validation is the best.
    validation = {"num_problems": 4, "every_steps": 1, "patience": 2}
    output = run(num_steps=9, validation=validation)
    assert [line["step"] for line in metrics_of(output)] == [1, 2, 3]
    assert summary_of(output)["num_steps"] == 3


def test_validation_leaves_something_to_learn_from(run):
    with pytest.raises(DataError, match="holds out 20"):
        run(validation={"num_problems": 20})


@pytest.mark.parametrize(("prompt", "response"), [(8192, 65), (1000, 1049)])
def test_a_stage_without_room_is_refused_before_a_sampler_is_opened(
    run, tiny_recipe, monkeypatch, prompt, response
):
    """The model has 2048 positions, of which a response of curation may take 64."""
    curation = tiny_recipe.curation.model_copy(update={"max_prompt_tokens": prompt})
    recipe = tiny_recipe.model_copy(update={"curation": curation})
    monkeypatch.setattr(grpo, "open_engine", lambda *_, **__: pytest.fail("opened"))
    with pytest.raises(RecipeError, match="no room") as caught:
        run(recipe=recipe, max_response_tokens=response)
    kept = min(prompt, 2048 - 64)
    assert caught.value.rule.startswith(
        f"stage rl: max_response_tokens ({response}) must leave room for prompts of {kept} token(s)"
    )
    assert f"curation.max_prompt_tokens to at most {2048 - response}" in caught.value.fix
    with pytest.raises(pytest.fail.Exception, match="opened"):
        run("two", recipe=recipe, max_response_tokens=response - 1)
