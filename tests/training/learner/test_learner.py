import json
import math
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from transformers import AutoModelForImageTextToText

from contracts.errors import TrainingError
from training.learner.learner import Learner
from training.model import encoding, forward, memory
from training.model.encoding import TokenSequence, encode_prompt, encode_response
from training.model.forward import ForwardSettings
from training.model.policy import load_policy
from training.recipe.model import ModelRecipe
from training.recipe.recipe import HardwareRecipe
from training.recipe.stages import OptimizerRecipe
from training.rollout.protocol import Prompt
from training.rollout.transformers_engine import TransformersEngine
from training.runtime import device
from training.sft.train import token_mean_loss

RATE = 1e-2
HERE = Path(__file__).parent


@pytest.fixture(autouse=True, scope="module")
def process_group():
    device.start(1)


def new_policy(folder, dtype="float32"):
    return load_policy(folder, ModelRecipe(path="unused", dtype=dtype), system_prompt="Be brief.")


def new_learner(policy, *, budget=10**6, frozen=(), optimizer=None, num_updates=10, **hardware):
    return Learner(
        policy,
        optimizer=optimizer or OptimizerRecipe(learning_rate=RATE, max_grad_norm=1.0),
        hardware=HardwareRecipe(**hardware),
        num_updates=num_updates,
        tokens_per_micro_batch=budget,
        frozen=frozen,
    )


def new_batch(policy, images):
    """Seven sequences of different lengths; two share a prompt with an image."""
    one = encode_prompt(policy, Prompt("What is shown?", images[:1]))
    two = encode_prompt(policy, Prompt("Compare.", images[1:3]))
    texts = ["7", "seven", "<think>a</think>", "a longer answer than the others", "b", "cc", "ddd"]
    prompts = [
        one,
        one,
        two,
        *(encode_prompt(policy, Prompt(f"{i}+1?", images[3:4])) for i in range(4)),
    ]
    return [
        TokenSequence(prompt, encode_response(policy, text))
        for prompt, text in zip(prompts, texts, strict=True)
    ]


def weights(policy):
    return {name: p.detach().clone() for name, p in policy.model.named_parameters()}


def updated(folder, images, *, num_updates=2, **options):
    policy = new_policy(folder)
    learner = new_learner(policy, **options)
    batch = new_batch(policy, images)
    for _ in range(num_updates):
        result = learner.update(batch, token_mean_loss(batch), ForwardSettings())
    whole = new_policy(folder)
    TransformersEngine(whole).load_weights(learner.weights())
    return weights(whole), result


def assert_same(first, second, tolerance):
    assert first.keys() == second.keys()
    for name in first:
        torch.testing.assert_close(first[name], second[name], atol=tolerance, rtol=0, msg=name)


def test_every_group_waits_as_long_as_the_recipe_says(tiny_model_folder):
    """DeepSpeed's own groups would keep torch's half hour."""
    new_learner(new_policy(tiny_model_folder), zero_stage=2, collective_timeout_minutes=2.5)
    groups = torch.distributed.distributed_c10d._world.pg_map
    timeouts = {
        group._get_backend(torch.device("cpu")).options._timeout.total_seconds() for group in groups
    }
    assert len(groups) > 1 and timeouts == {150.0}


@pytest.fixture(scope="module")
def reference(tiny_model_folder, images):
    """Two updates with the whole batch as one micro-batch, without ZeRO."""
    return updated(tiny_model_folder, images)


def test_an_update_is_that_of_plain_torch(tiny_model_folder, images, reference):
    # No padding, no chunks, no DeepSpeed: one sequence after the other through transformers' loss.
    policy = new_policy(tiny_model_folder)
    batch = new_batch(policy, images)
    num_tokens = sum(len(sequence.response_ids) for sequence in batch)
    optimizer = torch.optim.AdamW(policy.model.parameters(), lr=RATE, weight_decay=0.01)
    for _ in range(2):
        total = 0.0
        for sequence in batch:
            ids = torch.cat([sequence.prompt.token_ids, sequence.response_ids])[None]
            labels = ids.clone()
            labels[:, : len(sequence.prompt.token_ids)] = -100
            pixels = policy.processor.image_processor(
                images=[_decoded(image) for image in sequence.prompt.images], return_tensors="pt"
            )
            loss = policy.model(
                input_ids=ids,
                labels=labels,
                mm_token_type_ids=(ids == policy.processor.image_token_id).int(),
                **pixels,
            ).loss
            share = loss * len(sequence.response_ids) / num_tokens
            share.backward()
            total += share.item()
        norm = torch.nn.utils.clip_grad_norm_(policy.model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
    expected, result = reference
    assert result.loss == pytest.approx(total, abs=1e-5)
    assert result.grad_norm == pytest.approx(norm.item(), rel=1e-4)
    # Adam divides by the gradient's size: an element of almost no gradient keeps less precision.
    assert_same(weights(policy), expected, 2e-4)


def _decoded(image):
    import io

    from PIL import Image

    return Image.open(io.BytesIO(image["bytes"])).convert("RGB")


@pytest.mark.parametrize("budget", [1, 100])
def test_the_cut_into_micro_batches_does_not_matter(tiny_model_folder, images, reference, budget):
    new, result = updated(tiny_model_folder, images, budget=budget)
    assert_same(new, reference[0], 2e-4)
    assert result.loss == pytest.approx(reference[1].loss, abs=1e-5)
    assert result.grad_norm == pytest.approx(reference[1].grad_norm, rel=1e-4)


@pytest.mark.parametrize("zero_stage", [1, 2, 3])
def test_zero_changes_where_state_lives_and_not_the_update(
    tiny_model_folder, images, reference, zero_stage
):
    new, result = updated(tiny_model_folder, images, zero_stage=zero_stage, budget=100)
    assert_same(new, reference[0], 2e-4)
    assert result.grad_norm == pytest.approx(reference[1].grad_norm, rel=1e-4)


def test_activations_that_are_computed_again_give_the_same_update(
    tiny_model_folder, images, reference
):
    policy = new_policy(tiny_model_folder)
    calls = []
    for layers in (policy.model.model.language_model.layers, policy.model.model.visual.blocks):
        layers[0].mlp.register_forward_pre_hook(lambda module, _: calls.append(module))
    learner = new_learner(policy, activation_checkpointing=True)
    batch = new_batch(policy, images)
    for _ in range(2):
        result = learner.update(batch, token_mean_loss(batch), ForwardSettings())
    assert len(calls) == 2 * 2 * 2  # layers x updates x (forward and again)
    assert_same(weights(policy), reference[0], 1e-6)
    assert result.grad_norm == pytest.approx(reference[1].grad_norm, rel=1e-5)


def test_frozen_components_keep_their_bytes(tiny_model_folder, images):
    before = weights(new_policy(tiny_model_folder))
    after, _ = updated(tiny_model_folder, images, frozen=("vision_tower", "projector"))
    for name, weight in after.items():
        assert torch.equal(weight, before[name]) == name.startswith("model.visual."), name


def test_the_learning_rate_follows_its_schedule(tiny_model_folder, images):
    policy = new_policy(tiny_model_folder)
    optimizer = OptimizerRecipe(learning_rate=1.0, warmup_ratio=0.5, schedule="cosine")
    learner = new_learner(policy, optimizer=optimizer, num_updates=4)
    batch = new_batch(policy, images)[:1]
    rates = [
        learner.update(batch, token_mean_loss(batch), ForwardSettings()).learning_rate
        for _ in range(4)
    ]
    # Two steps of warm-up, then half a cosine over two steps: cos(0) and cos(pi / 2).
    assert rates == pytest.approx([0.5, 1.0, 1.0, 0.5])


@pytest.mark.parametrize("zero_stage", [0, 2])
def test_bfloat16_learns(tiny_model_folder, images, zero_stage):
    policy = new_policy(tiny_model_folder, dtype="bfloat16")
    learner = new_learner(policy, zero_stage=zero_stage)
    batch = new_batch(policy, images)
    losses = [
        learner.update(batch, token_mean_loss(batch), ForwardSettings()).loss for _ in range(6)
    ]
    assert policy.model.dtype == torch.bfloat16
    assert losses[-1] < losses[0] - 0.5


def poisoned(loss_function, value):
    """The same loss, whose gradient at one token is multiplied by a number that is not finite."""

    def loss(scores, rows):
        total, sums = loss_function(scores, rows)
        # The loss stays finite: only the gradient is not.
        scores.log_probs.register_hook(lambda gradient: gradient * value)
        return total, sums

    return loss


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("zero_stage", [0, 1, 2, 3])
def test_a_gradient_that_is_not_finite_changes_nothing(
    tiny_model_folder, images, capfd, zero_stage, dtype
):
    policy = new_policy(tiny_model_folder, dtype=dtype)
    optimizer = OptimizerRecipe(learning_rate=RATE, max_nonfinite_in_a_row=3)
    learner = new_learner(policy, optimizer=optimizer, zero_stage=zero_stage, budget=100)
    batch = new_batch(policy, images)
    good = token_mean_loss(batch)
    assert learner.update(batch, good, ForwardSettings()).applied
    before = learner.export_state()
    assert before and all(torch.isfinite(tensor).all() for tensor in before.values())
    for value in (math.nan, math.inf):
        result = learner.update(batch, poisoned(good, value), ForwardSettings())
        assert not result.applied and not math.isfinite(result.grad_norm)
    after = learner.export_state()
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert vars(learner.state) == {
        "num_updates": 1,
        "num_nonfinite_updates": 2,
        "num_nonfinite_in_a_row": 2,
    }
    assert "not finite: left out, 2 in a row" in capfd.readouterr().out
    # What was left out leaves nothing behind: the next update is a usual one.
    assert learner.update(batch, good, ForwardSettings()).applied
    twin_policy = new_policy(tiny_model_folder, dtype=dtype)
    twin = new_learner(twin_policy, optimizer=optimizer, zero_stage=zero_stage, budget=100)
    for _ in range(2):
        twin.update(batch, good, ForwardSettings())
    expected = twin.export_state()
    assert all(torch.equal(value, expected[name]) for name, value in learner.export_state().items())
    for _ in range(2):
        learner.update(batch, poisoned(good, math.nan), ForwardSettings())
    with pytest.raises(TrainingError, match="3 updates in a row"):
        learner.update(batch, poisoned(good, math.nan), ForwardSettings())


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("zero_stage", [0, 1, 2, 3])
def test_a_loss_that_is_not_finite_is_no_update_even_where_its_gradient_is_zero(
    tiny_model_folder, images, zero_stage, dtype
):
    policy = new_policy(tiny_model_folder, dtype=dtype)
    learner = new_learner(policy, zero_stage=zero_stage, budget=100)
    batch = new_batch(policy, images)
    good = token_mean_loss(batch)

    def clamped_nan(scores, rows):
        if 0 not in rows:
            return good(scores, rows)
        # What becomes of NaN log-probabilities in `training.rl.losses`.
        return (scores.log_probs + math.nan).clamp(min=-1e4).sum(), good(scores, rows)[1]

    learner.update(batch, good, ForwardSettings())
    before = learner.export_state()
    result = learner.update(batch, clamped_nan, ForwardSettings())
    assert not result.applied and math.isnan(result.loss)
    after = learner.export_state()
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert learner.state.num_updates == learner.state.num_nonfinite_updates == 1


def tensor_names(folder):
    with safe_open(folder / "model.safetensors", framework="pt") as tensors:
        return set(tensors.keys())


def test_sharded_weights_are_saved_whole(tiny_model_folder, images, tmp_path):
    policy = new_policy(tiny_model_folder)
    learner = new_learner(policy, zero_stage=3)
    batch = new_batch(policy, images)
    learner.update(batch, token_mean_loss(batch), ForwardSettings())
    copied = new_policy(tiny_model_folder)
    TransformersEngine(copied).load_weights(learner.weights())
    learner.save_model(tmp_path)
    saved = AutoModelForImageTextToText.from_pretrained(tmp_path)
    for name, parameter in copied.model.named_parameters():
        assert torch.equal(saved.get_parameter(name), parameter), name
    copied.save(tmp_path / "plain")
    assert tensor_names(tmp_path) == tensor_names(tmp_path / "plain")


def test_images_are_read_in_a_thread_of_their_own_and_change_no_byte(
    tiny_model_folder, images, monkeypatch
):
    readers, decode = [], encoding.decode_image

    def noting(image):
        readers.append(threading.current_thread().name.partition("_")[0])
        return decode(image)

    monkeypatch.setattr(encoding, "decode_image", noting)
    remembered, _ = updated(tiny_model_folder, images, budget=100)
    assert set(readers) == {"MainThread"}  # when the prompts' tokens were made
    readers.clear()
    monkeypatch.setattr(memory, "PIXEL_BYTES", 0)
    ahead, one = updated(tiny_model_folder, images, budget=100)
    # The prompts' tokens need sizes at first; then two updates read the images again.
    num_prompts = readers.index("ahead")
    assert set(readers[:num_prompts]) == {"MainThread"} and set(readers[num_prompts:]) == {"ahead"}
    readers.clear()
    monkeypatch.setattr(forward, "ahead", map)
    in_turn, other = updated(tiny_model_folder, images, budget=100)
    assert set(readers) == {"MainThread"}
    assert_same(ahead, in_turn, 0.0)
    assert_same(ahead, remembered, 0.0)
    assert (one.loss, one.grad_norm) == (other.loss, other.grad_norm)


def test_responses_to_one_prompt_show_its_image_to_the_vision_tower_once(tiny_model_folder, images):
    """Two prompts with four responses each, by turns as long: four fit into a micro-batch."""

    def learned(*, share_images):
        policy = new_policy(tiny_model_folder)
        seen = []
        policy.model.model.visual.register_forward_pre_hook(
            lambda _, given, named: seen.append(len(named.get("grid_thw", given[-1]))),
            with_kwargs=True,
        )
        prompts = [encode_prompt(policy, Prompt("What?", images[i : i + 1])) for i in (0, 0)]
        batch = [
            TokenSequence(prompts[i % 2], encode_response(policy, "a" * (8 - i))) for i in range(8)
        ]
        budget = 4 * max(sequence.num_tokens for sequence in batch)
        learner = new_learner(policy, budget=budget, share_images=share_images)
        result = learner.update(batch, token_mean_loss(batch), ForwardSettings())
        return weights(policy), result, seen

    apart, one, seen_apart = learned(share_images=False)
    together, other, seen_together = learned(share_images=True)
    assert (seen_apart, seen_together) == ([2, 2], [1, 1])
    assert_same(apart, together, 2e-4)
    assert one.loss == pytest.approx(other.loss, abs=1e-5)
    assert one.grad_norm == pytest.approx(other.grad_norm, rel=1e-4)


@pytest.mark.slow
def test_two_ranks_make_the_update_of_one(
    tiny_model_folder, images, reference, problem_sets, tmp_path
):
    """Also proves that no compiler is needed: the processes find none on their PATH."""
    environment = {
        **os.environ,
        "PATH": str(tmp_path / "empty"),
        "PYTHONPATH": str(HERE.parents[2]),
        "OMP_NUM_THREADS": "1",
        "TORCH_EXTENSIONS_DIR": str(tmp_path / "extensions"),
    }
    launch = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    script = [str(HERE / "two_ranks.py"), str(tiny_model_folder), str(problem_sets), str(tmp_path)]
    done = subprocess.run(
        [sys.executable, *launch, *script],
        cwd=HERE.parents[2],
        env=environment,
        capture_output=True,
        text=True,
        timeout=500,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    for zero_stage in range(4):
        assert_same(weights(new_policy(tmp_path / f"zero{zero_stage}")), reference[0], 2e-4)
    assert not (tmp_path / "extensions").exists()
    # The stage of RL samples 2 prompts a rank and learns from all four; sharding changes nothing.
    lines = [(tmp_path / f"rl{zero}" / "metrics.jsonl").read_text() for zero in (0, 3)]
    plain, sharded = ([json.loads(line) for line in text.splitlines()] for text in lines)
    for first, second in zip(plain, sharded, strict=True):
        assert first["verification_unparseable"] + first["verification_wrong"] == 16
        assert first["reward"] == pytest.approx(second["reward"])
        assert first["loss"] == pytest.approx(second["loss"], abs=1e-4)
