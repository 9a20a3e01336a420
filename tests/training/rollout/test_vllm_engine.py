"""vLLM's CPU build for real, started once for all of these tests, on the shipped pocket base."""

import json
import threading
from dataclasses import asdict
from pathlib import Path

import pandas as pd
import pytest
import torch

from contracts.errors import DataError, InputError
from tests.training.rollout.test_transformers_engine import assert_stopped
from tests.vllm_server import MODEL, standing_still, vllm_server
from training.evaluation.registry import load_benchmarks
from training.evaluation.run import ENDPOINT_FILE, evaluate
from training.grpo import train as grpo
from training.learner.learner import Learner
from training.model.encoding import TokenSequence, encode_prompt, template_ids
from training.model.forward import (
    ForwardPass,
    ForwardSettings,
    collated,
    forward_without_gradient,
)
from training.model.nucleus import Truncation
from training.model.policy import Policy, load_policy
from training.recipe.endpoint import ConnectionRecipe, EndpointRecipe
from training.recipe.evaluation import EvaluationRecipe
from training.recipe.model import ModelRecipe, VllmRollout
from training.recipe.recipe import HardwareRecipe
from training.recipe.stages import OptimizerRecipe, RlStage
from training.rollout.engine import open_engine
from training.rollout.http_engine import HttpEngine
from training.rollout.protocol import Prompt, Request, SamplingSettings
from training.rollout.transformers_engine import TransformersEngine
from training.runtime import device
from training.sft.train import token_mean_loss

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[3]
BASE = ROOT / "infra/models/pocket-base"
ROLLOUT = VllmRollout(engine="vllm", max_length_tokens=256)
POCKET_PROMPT = "Think in <think></think>, then answer in \\boxed{}."
TOLERANCE = 1e-3


def new_policy() -> Policy:
    # The bound is below the largest image's size: vLLM must shrink it as the trainer does.
    recipe = ModelRecipe(path="unused", max_pixels=4 * 28 * 28)
    return load_policy(BASE, recipe, system_prompt="Be brief.")


@pytest.fixture(scope="module")
def engine():
    device.start(1)
    num_threads, set_num_threads = torch.get_num_threads(), torch.set_num_threads
    opened = open_engine(ROLLOUT, new_policy())
    assert torch.get_num_threads() == num_threads
    assert torch.set_num_threads is set_num_threads
    return opened


@pytest.fixture
def prompts(images):
    return [
        Prompt("2+3?"),
        Prompt("What is shown?", images[:1]),
        Prompt("Two images, and a question that is longer than the others.", images[3:5]),
        Prompt("7-4?"),
    ]


def sample(engine, prompts, seed=0, **changes):
    settings = {"max_response_tokens": 24, "samples_per_prompt": 3} | changes
    generator = torch.Generator().manual_seed(seed)
    return engine.generate(prompts, SamplingSettings(**settings), generator)


def sequences_of(policy, prompts, responses):
    encoded = [encode_prompt(policy, prompt) for prompt in prompts]
    return [TokenSequence(encoded[r.prompt_index], r.token_ids) for r in responses]


def largest_gap(policy, prompts, responses, forward_pass, temperature=1.0):
    """Largest distance of the sampler's log-probabilities from the trainer's."""
    settings = ForwardSettings(temperature=temperature, bans_placeholders=True)
    sequences = sequences_of(policy, prompts, responses)
    computed = forward_pass(sequences, settings)
    return max(
        float((computed[row].log_probs - r.log_probs).abs().max())
        for row, r in enumerate(responses)
    )


def plain_forward_pass(policy):
    def forward_pass(sequences, settings):
        rows = [[row] for row in range(len(sequences))]
        batches = collated(policy, sequences, rows)
        return forward_without_gradient(ForwardPass(policy), batches, settings)

    return forward_pass


@pytest.mark.parametrize("zero_stage", [0, 3])
def test_after_each_sync_sampler_and_trainer_agree(engine, prompts, zero_stage):
    """Also from sharded weights; before a sync the sampler is stale, and the gap shows it."""
    policy = new_policy()
    engine.load_weights(policy.weights())
    learner = Learner(
        policy,
        optimizer=OptimizerRecipe(learning_rate=1e-3),
        hardware=HardwareRecipe(zero_stage=zero_stage),
        num_updates=2,
        tokens_per_micro_batch=10**6,
    )
    responses = sample(engine, prompts, temperature=0.8)
    assert largest_gap(policy, prompts, responses, learner.log_probs, temperature=0.8) < TOLERANCE
    for _ in range(2):
        batch = sequences_of(policy, prompts, responses)
        learner.update(batch, token_mean_loss(batch), ForwardSettings())
        assert (
            largest_gap(policy, prompts, responses, learner.log_probs, temperature=0.8) > TOLERANCE
        )
        engine.load_weights(learner.weights())
        responses = sample(engine, prompts, temperature=0.8)
        assert (
            largest_gap(policy, prompts, responses, learner.log_probs, temperature=0.8) < TOLERANCE
        )


@pytest.mark.parametrize("truncation", [Truncation(0.8), Truncation(0.9, top_k=40, min_p=0.05)])
def test_the_nucleus_is_the_trainers(engine, prompts, truncation):
    policy = new_policy()
    engine.load_weights(policy.weights())
    responses = sample(engine, prompts, temperature=1.3, **asdict(truncation))
    settings = ForwardSettings(1.3, truncation, bans_placeholders=True)
    with torch.no_grad():
        computed = ForwardPass(policy)(sequences_of(policy, prompts, responses), settings)
    renormalised = computed.log_probs - computed.nucleus_log_mass
    gaps = (renormalised[computed.mask] - torch.cat([r.log_probs for r in responses])).abs()
    # Where a token's cumulative mass is top_p up to rounding, either nucleus is right.
    assert (gaps < TOLERANCE).float().mean() > 0.98
    assert computed.nucleus_log_mass[computed.mask].min() < -0.1


def test_a_stop_string_ends_a_response_and_changes_nothing_before(engine, prompts):
    policy = new_policy()
    engine.load_weights(policy.weights())
    free = sample(engine, prompts, temperature=2.0, samples_per_prompt=6)
    # A letter that some responses hold, and not all of them.
    holders = {letter: sum(letter in one.text for one in free) for letter in "abcdefghijklmnop"}
    stop = (next(letter for letter, num in holders.items() if 0 < num < len(free)),)
    stopped = sample(engine, prompts, temperature=2.0, samples_per_prompt=6, stop=stop)
    assert_stopped(policy, stopped, free, stop)


def test_greedy_answers_are_those_of_the_transformers_engine(engine, prompts):
    policy = new_policy()
    engine.load_weights(policy.weights())
    ours, theirs = (
        sample(each, prompts, temperature=0.0, samples_per_prompt=1)
        for each in (engine, TransformersEngine(policy))
    )
    for one, other in zip(ours, theirs, strict=True):
        assert one.token_ids.tolist() == other.token_ids.tolist()
        assert (one.text, one.truncated) == (other.text, other.truncated)
        assert torch.equal(one.log_probs, other.log_probs)


def test_the_same_seed_gives_the_same_samples_whatever_was_sampled_before(engine, prompts):
    first = sample(engine, prompts, seed=3)
    other = sample(engine, prompts, seed=4)
    again = sample(engine, prompts, seed=3)
    assert [r.token_ids.tolist() for r in first] == [r.token_ids.tolist() for r in again]
    assert all(torch.equal(a.log_probs, b.log_probs) for a, b in zip(first, again, strict=True))
    assert [r.token_ids.tolist() for r in first] != [r.token_ids.tolist() for r in other]


@pytest.mark.parametrize("longest", [8, 96])
def test_groups_come_in_order_and_end_or_are_truncated(engine, prompts, longest):
    policy = new_policy()
    responses = sample(
        engine, prompts, temperature=1.5, samples_per_prompt=8, max_response_tokens=longest
    )
    assert [r.prompt_index for r in responses] == [i for i in range(4) for _ in range(8)]
    # The samples of a group are drawn apart.
    assert len({tuple(r.token_ids.tolist()) for r in responses[:8]}) > 1
    ends = set(policy.end_token_ids.tolist())
    for response in responses:
        *body, last = response.token_ids.tolist()
        assert not ends & set(body)
        assert (last in ends) == (not response.truncated)
        assert len(response.token_ids) == longest or not response.truncated
        assert len(response.log_probs) == len(response.token_ids)
        assert response.text == policy.tokenizer.decode(
            response.token_ids, skip_special_tokens=True
        )
    # Eight tokens are too few for most responses, 96 are enough for most.
    assert (longest == 8) in {response.truncated for response in responses}


def test_more_prompts_than_are_read_at_once(engine, images):
    """Together 6,000 tokens and 120 images: vLLM reads about 4,096 tokens a step."""
    policy = new_policy()
    engine.load_weights(policy.weights())
    prompts = [Prompt(f"{i}+" * 28 + "1?", [images[i % 5], images[i % 3]]) for i in range(10, 70)]
    num_tokens = [len(encode_prompt(policy, prompt).token_ids) for prompt in prompts]
    assert sum(num_tokens) > 6000
    responses = sample(engine, prompts, samples_per_prompt=2, max_response_tokens=4)
    assert [r.prompt_index for r in responses] == [i for i in range(60) for _ in range(2)]
    assert largest_gap(policy, prompts, responses, plain_forward_pass(policy)) < TOLERANCE


def test_questions_are_prepared_while_the_engine_computes(engine, images, monkeypatch):
    """The first step and the fourth question wait for each other: then two questions are open."""
    stepped, is_fourth, threads = threading.Event(), threading.Event(), set()
    step = engine._llm.llm_engine.step

    def noted_step():
        assert is_fourth.wait(60)
        stepped.set()
        return step()

    def noted(*arguments):
        threads.add(threading.current_thread())
        if len(prepared := [*begun, arguments[-1]]) == 4:
            is_fourth.set()
            assert stepped.wait(60)
        begun[:] = prepared
        return encode_prompt(*arguments)

    begun: list[Prompt] = []
    monkeypatch.setattr(engine._llm.llm_engine, "step", noted_step)
    monkeypatch.setattr("training.rollout.room.encode_prompt", noted)
    # One question alone has as many samples as are computed at once.
    num_samples = engine._llm.llm_engine.vllm_config.scheduler_config.max_num_seqs
    settings = SamplingSettings(2, samples_per_prompt=num_samples)
    asked = [Prompt(f"{n}: what is shown?", images[:1]) for n in range(6)]
    requests = [Request(f"{n}", one, settings, "", "") for n, one in enumerate(asked)]
    lots = iter([requests[:4], requests[4:]])
    finished = [one for several in engine.stream(lots, 0) for one in several]
    assert {request.id for request, _ in finished} == {request.id for request in requests}
    assert {len(samples) for _, samples in finished} == {num_samples}
    assert len(begun) == 6 and threading.current_thread() not in threads and len(threads) == 1
    assert 0.0 < engine.idle_share < 1.0


def test_placeholders_are_never_sampled(engine, images):
    policy = new_policy()
    forbidden = policy.forbidden_token_ids
    with torch.no_grad():
        # Their rows of the head (and embedding) are those of the likeliest token, only longer.
        head = policy.model.get_output_embeddings().weight
        head[forbidden] = 3.0 * head[policy.end_token_ids[0]]
    engine.load_weights(policy.weights())
    prompts = [Prompt("2+3?"), Prompt("What is shown?", images[:1])]
    responses = sample(engine, prompts, samples_per_prompt=16)
    assert not torch.isin(torch.cat([r.token_ids for r in responses]), forbidden).any()
    # Allowed, they would be drawn: the likeliest token at the end of a response is one of them.
    allowed = ForwardSettings(bans_placeholders=False)
    computed = plain_forward_pass(policy)(sequences_of(policy, prompts, responses), allowed)
    gaps = [(r.log_probs - computed[row].log_probs).max() for row, r in enumerate(responses)]
    assert max(gaps) > 1.0


def test_a_prompt_is_never_truncated(engine):
    fits, too_long = Prompt("1+" * 40 + "1?"), Prompt("1+" * 200 + "1?")
    assert len(sample(engine, [fits])) == 3
    with pytest.raises(DataError, match="leave no room for a response of 24 in 256"):
        sample(engine, [too_long])


def test_a_job_counts_a_prompt_without_room_its_visual_tokens_too(engine, images):
    policy, settings = new_policy(), SamplingSettings(8, samples_per_prompt=2)
    pictures = Prompt("How many?", [images[number % 5] for number in range(45)])
    length = len(encode_prompt(policy, pictures).token_ids)
    assert len(template_ids(policy, pictures)) + 8 <= 256 < length
    prompts = [Prompt("2+3?"), pictures, Prompt("7-4?"), Prompt("1+" * 200 + "1?")]
    requests = [Request(str(n), prompt, settings, "", "b") for n, prompt in enumerate(prompts)]
    lots = iter([requests[:2], requests[2:]])
    finished = {
        request.id: samples for several in engine.stream(lots, 0) for request, samples in several
    }
    assert {name: len(samples) for name, samples in finished.items()} == dict.fromkeys("0123", 2)
    failures = {name: samples[0].failure for name, samples in finished.items()}
    assert failures["0"] == failures["2"] == ""
    told = f"prompt too long: {length} tokens leave no room for a response of 8 in 256"
    assert failures["1"].startswith(told) and failures["3"].startswith("prompt too long: ")


def test_an_engine_goes_on_with_another_policy(engine, prompts):
    assert engine._policy.device.type == "meta"  # of none the weights are kept
    policy = new_policy()
    with torch.no_grad():
        for parameter in policy.model.parameters():
            parameter.mul_(1.1)
    assert open_engine(ROLLOUT, policy, previous=engine) is engine
    responses = sample(engine, prompts)
    assert largest_gap(policy, prompts, responses, plain_forward_pass(policy)) < TOLERANCE
    old = new_policy()
    assert largest_gap(old, prompts, responses, plain_forward_pass(old)) > TOLERANCE


def test_a_stage_of_rl_samples_from_vllm(engine, tiny_recipe, problem_sets, tmp_path):
    """Its log-probabilities stay the trainer's while the weights move, and a seed fixes all."""
    rewards = [{"kind": "efficient_length", "budget_tokens": 12, "alpha": 0.03}]
    stage = RlStage.model_validate(
        {"kind": "rl", "name": "rl", "data": "multimodal", "optimizer": {"learning_rate": 1e-3}}
        | {"num_steps": 3, "prompts_per_step": 4, "group_size": 4, "max_response_tokens": 16}
        | {"temperature": 1.5, "rewards": rewards}
    )
    recipe = tiny_recipe.model_copy(update={"rollout": ROLLOUT})
    outputs = [tmp_path / "first", tmp_path / "second"]
    for output in outputs:
        output.mkdir()
        grpo.train(recipe, stage, BASE, problem_sets, output)
    lines = [json.loads(line) for line in (outputs[0] / "metrics.jsonl").read_text().splitlines()]
    assert [line["skipped_update"] for line in lines] == [0, 0, 0]
    for line in lines:
        assert line["sampler_kl"] < 1e-5
        assert line["importance_ratio_mean"] == pytest.approx(1.0, abs=1e-2)
    for name in ("model/model.safetensors", "samples.jsonl"):
        assert (outputs[0] / name).read_bytes() == (outputs[1] / name).read_bytes()


def check_of(address, model):
    connection = ConnectionRecipe(retries=1, backoff_seconds=0.01)
    endpoint = EndpointRecipe(address=address, model=model)
    return HttpEngine(endpoint, connection, system_prompt=None).check(sees=False)


def test_a_served_model_scores_as_it_does_here(tiny_recipe, tmp_path):
    """The same weights in one evaluation: in this process, and behind vLLM's own server, which
    stands still until questions have timed out.
    """
    names = ("pocket_text", "pocket_multimodal")
    evaluation = EvaluationRecipe.model_validate(
        {
            "benchmarks": [{"name": name, "num_problems": 8} for name in names],
            "max_response_tokens": 64,
            "connection": {"concurrency": 8, "timeout_seconds": 10, "backoff_seconds": 0.1},
        }
    )
    rollout = VllmRollout(engine="vllm", max_length_tokens=384)
    changes = {"rollout": rollout, "evaluation": evaluation, "system_prompt": POCKET_PROMPT}
    recipe = tiny_recipe.model_copy(update=changes)
    served, output = tmp_path / "served", tmp_path / "output"
    for folder in (served, output):
        folder.mkdir()
    with vllm_server(BASE, tmp_path / "log.txt", max_length_tokens=384) as (address, server):
        (served / ENDPOINT_FILE).write_text(json.dumps({"address": address, "model": MODEL}))
        with pytest.raises(InputError, match=f"have the model 'other'; it lists {MODEL}"):
            check_of(address, "other")
        with standing_still(server) as watch:
            evaluate(recipe, {"here": BASE, "served": served}, output)
    with pytest.raises(InputError, match="which models it has: no connection"):
        check_of(address, MODEL)
    assert watch.num_lost > 0 and watch.goes_on
    assert watch.num_sent == 1 + 16 + watch.num_lost  # each that was lost is sent again

    rows = pd.read_parquet(output / "predictions.parquet")
    compared = ["problem_id", "response", "extracted", "outcome", "truncated", "failure"]
    compared += ["num_tokens", "num_prompt_tokens"]
    here, there = (
        rows.loc[rows["policy"] == name, compared].reset_index(drop=True)
        for name in ("here", "served")
    )
    pd.testing.assert_frame_equal(here, there)
    assert len(here) == 16 and here["response"].nunique() > 10 and here["failure"].isna().all()
    assert set(here["outcome"]) >= {"right", "wrong"}
    policy = load_policy(BASE, recipe.model, system_prompt=POCKET_PROMPT)
    counted = {
        item.problem["id"]: len(
            encode_prompt(policy, Prompt(item.prompt, item.problem["images"])).token_ids
        )
        for items in load_benchmarks(evaluation, {}).values()
        for item in items
    }
    assert dict(zip(there["problem_id"], there["num_prompt_tokens"], strict=True)) == counted
