"""Losses, gradients and advantages equal those of TRL's GRPOTrainer: a real one, run for real.

A tiny random model answers prompts; its trainer computes advantages from given rewards, and its
`_compute_loss` is fed random tensors.
"""

import copy

import pytest
import torch
from datasets import Dataset
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from tests.training.grpo.test_mini_batch import new_stage
from training.grpo.mini_batch import MiniBatch, normalizer_of
from training.grpo.selection import distill_batch, rows_with_gradient
from training.model.forward import TokenLogProbs
from training.recipe.loss import LossRecipe
from training.rl.advantages import group_advantages, zero_variance_fraction
from training.rl.arms import Batch
from training.rl.losses import loss_normalizer, mean_diagnostics, policy_loss

pytestmark = pytest.mark.slow

NUM_GENERATIONS, NUM_PROMPTS, LENGTH = 4, 6, 8
NUM_SEQUENCES = NUM_GENERATIONS * NUM_PROMPTS
RATE = 1e-2


@pytest.fixture(scope="module")
def trainer(tmp_path_factory):
    return trained(tmp_path_factory.mktemp("trl"))


def trained(folder, **changes):
    """TRL's trainer after one real training step; `seen_*` record what it worked with."""
    from trl import GRPOConfig, GRPOTrainer

    vocabulary = {word: index for index, word in enumerate(["<pad>", "<eos>", *"abcdefgh"])}
    backend = Tokenizer(models.WordLevel(vocabulary, unk_token="<pad>"))
    backend.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=backend, pad_token="<pad>", eos_token="<eos>", unk_token="<pad>"
    )
    torch.manual_seed(0)
    model = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=len(vocabulary),
            hidden_size=16,
            intermediate_size=32,
            num_hidden_layers=1,
            num_attention_heads=2,
            pad_token_id=0,
            eos_token_id=1,
            bos_token_id=None,
        )
    )
    rewards = torch.rand(NUM_SEQUENCES, generator=torch.Generator().manual_seed(1))
    rewards[:NUM_GENERATIONS] = 0.5  # a dead group
    settings = GRPOConfig(
        output_dir=str(folder),
        per_device_train_batch_size=NUM_SEQUENCES,
        num_generations=NUM_GENERATIONS,
        max_completion_length=LENGTH,
        max_steps=1,
        logging_steps=1,
        learning_rate=RATE,
        lr_scheduler_type="constant",
        weight_decay=0.0,  # transformers would spare the norms
        max_grad_norm=0.1,
        report_to=[],
        use_cpu=True,
        use_bias_correction_kl=False,  # DeepSeek-V3.2's variant, not the paper's
        bf16=False,
        save_strategy="no",
        disable_tqdm=True,
        seed=0,
        **changes,
    )
    trainer = GRPOTrainer(
        model=model,
        reward_funcs=lambda completions, **_: rewards.tolist(),
        args=settings,
        train_dataset=Dataset.from_dict({"prompt": ["a b", "c d", "e f", "g h", "a c", "b d"]}),
        processing_class=tokenizer,
    )
    seen = []
    compute_loss = trainer._compute_loss

    def record(model, inputs):
        seen.append(inputs)
        return compute_loss(model, inputs)

    trainer._compute_loss = record
    trainer.seen_weights = copy.deepcopy(model.state_dict())
    trainer.train()
    trainer._compute_loss = compute_loss
    trainer.seen_rewards, trainer.seen_inputs = rewards, seen[0]
    return trainer


def test_advantages(trainer):
    groups = torch.arange(NUM_PROMPTS).repeat_interleave(NUM_GENERATIONS)
    ours = group_advantages(trainer.seen_rewards, groups, eps=1e-4)
    # TRL shuffles the batch after it has computed the advantages.
    theirs = trainer.seen_inputs["advantages"]
    assert torch.allclose(ours.sort().values, theirs.sort().values, atol=1e-5)
    # Zero deviations are also what TRL logs.
    logged = trainer.state.log_history[0]["frac_reward_zero_std"]
    assert zero_variance_fraction(trainer.seen_rewards, groups) == pytest.approx(logged)


def test_batch_scaled_advantages(tmp_path):
    trainer = trained(tmp_path, scale_rewards="batch")
    groups = torch.arange(NUM_PROMPTS).repeat_interleave(NUM_GENERATIONS)
    ours = group_advantages(trainer.seen_rewards, groups, scale="batch", eps=1e-4)
    theirs = trainer.seen_inputs["advantages"]
    assert torch.allclose(ours.sort().values, theirs.sort().values, atol=1e-5)


def our_step(trainer, strategy):
    """The step that TRL took, by our functions on a copy of its model; returns the model.

    Also the gradient's norm before clipping, and how many rows had a forward pass.
    """
    seen, model = trainer.seen_inputs, LlamaForCausalLM(trainer.model.config)
    model.load_state_dict(trainer.seen_weights)
    stage = new_stage(
        prompts_per_step=NUM_PROMPTS,
        group_size=NUM_GENERATIONS,
        max_response_tokens=LENGTH,
        top_p=1.0,
        pad={"strategy": strategy},
        correction={"kind": "none"},
    )
    groups = torch.arange(NUM_PROMPTS).repeat_interleave(NUM_GENERATIONS)
    advantages = group_advantages(trainer.seen_rewards, groups, eps=1e-4)
    # In the order that TRL has shuffled the rows to.
    order = advantages.argsort()[seen["advantages"].argsort().argsort()]
    batch = Batch(advantages[order], trainer.seen_rewards[order], groups[order], NUM_SEQUENCES)
    generator = torch.Generator().manual_seed(0)
    selected = distill_batch(batch, stage, temperature=1.0, generator=generator).indices
    rows = selected[rows_with_gradient(batch.advantages[selected], stage)]

    mask = seen["completion_mask"].bool()
    ids = torch.cat([seen["prompt_ids"], seen["completion_ids"]], dim=1)[rows]
    attended = torch.cat([seen["prompt_mask"], seen["completion_mask"]], dim=1)[rows]
    logits = model(input_ids=ids, attention_mask=attended).logits[:, -mask.shape[1] - 1 : -1]
    log_probs = logits.log_softmax(-1).gather(-1, seen["completion_ids"][rows][..., None])
    log_probs = log_probs.squeeze(-1)
    mini_batch = MiniBatch(
        sequences=[],
        advantages=batch.advantages[rows],
        sampler_log_probs=[log_probs[i][mask[row]].detach() for i, row in enumerate(rows)],
        normalizer=normalizer_of(mask.sum(-1)[selected], stage),
    )
    loss_function = mini_batch.loss_function(stage, 0.0)
    computed = TokenLogProbs(log_probs, mask[rows], None, None)
    loss_function(computed, list(range(len(rows))))[0].backward()
    norm = torch.nn.utils.clip_grad_norm_(model.parameters(), 0.1)
    torch.optim.AdamW(model.parameters(), lr=RATE, weight_decay=0.0).step()
    return model, norm.item(), len(rows)


def test_a_whole_step_of_the_arm_none_is_trls(trainer):
    ours, norm, num_scored = our_step(trainer, "none")
    assert norm == pytest.approx(trainer.state.log_history[0]["grad_norm"], rel=1e-4)
    assert num_scored == NUM_SEQUENCES - NUM_GENERATIONS  # the dead group costs nothing
    theirs = dict(trainer.model.named_parameters())
    for name, parameter in ours.named_parameters():
        torch.testing.assert_close(parameter, theirs[name], atol=2e-5, rtol=0, msg=name)


def test_the_arm_filter_has_another_denominator(trainer):
    _, norm, _ = our_step(trainer, "filter")
    assert norm > 1.05 * trainer.state.log_history[0]["grad_norm"]


def random_batch(seed):
    generator = torch.Generator().manual_seed(seed)

    def noise(scale):
        return scale * torch.randn(NUM_SEQUENCES, LENGTH, generator=generator)

    old = noise(0.5) - 1.5
    lengths = torch.randint(1, LENGTH + 1, (NUM_SEQUENCES,), generator=generator)
    return {
        "log_probs": old + noise(0.3),
        "old": old,
        "reference": old + noise(0.3),
        "entropy": noise(0.5).abs(),
        "advantages": noise(1.0)[:, 0].contiguous(),
        "mask": torch.arange(LENGTH) < lengths[:, None],
        "gap": noise(0.6),
    }


def loss_of_trl(trainer, monkeypatch, batch, *, correction=None, **attributes):
    """TRL's loss with gradients for the log-probabilities and entropies, through its own code."""
    for name, value in attributes.items():
        monkeypatch.setattr(trainer, name, value)
    log_probs = batch["log_probs"].clone().requires_grad_()
    entropy = batch["entropy"].clone().requires_grad_()
    monkeypatch.setattr(
        trainer,
        "_get_per_token_logps_and_entropies",
        lambda *_, **__: (log_probs, entropy, None),
    )
    monkeypatch.setattr(trainer, "current_gradient_accumulation_steps", 1)
    trainer.model.train()
    trainer._metrics["train"].clear()
    inputs = {
        "prompt_ids": torch.zeros(NUM_SEQUENCES, 1, dtype=torch.long),
        "prompt_mask": torch.ones(NUM_SEQUENCES, 1, dtype=torch.long),
        "completion_ids": torch.zeros(NUM_SEQUENCES, LENGTH, dtype=torch.long),
        "completion_mask": batch["mask"].long(),
        "advantages": batch["advantages"],
        "old_per_token_logps": batch["old"],
        "ref_per_token_logps": batch["reference"],
        "num_items_in_batch": batch["mask"].sum(),
    }
    if correction is not None:
        monkeypatch.setattr(trainer, "use_vllm", True)
        monkeypatch.setattr(trainer, "vllm_importance_sampling_correction", True)
        inputs["importance_sampling_ratio"] = correction
    loss = trainer._compute_loss(trainer.model, inputs)
    gradients = torch.autograd.grad(loss, (log_probs, entropy), allow_unused=True)
    metrics = {name: values[-1] for name, values in trainer._metrics["train"].items()}
    return loss, gradients, metrics


def our_loss(batch, settings, *, entropy_coefficient=0.0, with_sampler=False):
    log_probs = batch["log_probs"].clone().requires_grad_()
    entropy = batch["entropy"].clone().requires_grad_()
    normalizer = loss_normalizer(
        batch["mask"].sum(-1),
        aggregation=settings.aggregation,
        max_response_tokens=LENGTH,
    )
    loss, sums = policy_loss(
        log_probs,
        batch["old"],
        batch["advantages"],
        batch["mask"],
        normalizer=normalizer,
        settings=settings,
        entropy_coefficient=entropy_coefficient,
        reference_log_probs=batch["reference"] if settings.kl else None,
        entropy=entropy,
        sampler_log_probs=batch["old"] - batch["gap"] if with_sampler else None,
    )
    return loss, torch.autograd.grad(loss, (log_probs, entropy)), mean_diagnostics(sums)


def assert_same(ours, theirs):
    assert torch.allclose(ours[0], theirs[0], rtol=1e-5, atol=1e-6)
    for our_gradient, their_gradient in zip(ours[1], theirs[1], strict=True):
        expected = torch.zeros(()) if their_gradient is None else their_gradient
        assert torch.allclose(our_gradient, expected, rtol=1e-4, atol=1e-7)


LOSS_TYPES = {"sequence_mean": "grpo", "token_mean": "dapo", "dr_grpo": "dr_grpo"}


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("ratio_level", ["token", "sequence"])
@pytest.mark.parametrize("beta", [0.0, 0.04])
@pytest.mark.parametrize("aggregation", LOSS_TYPES)
def test_clipped_surrogate_with_kl(trainer, monkeypatch, aggregation, beta, ratio_level, seed):
    batch = random_batch(seed)
    ours = our_loss(
        batch,
        LossRecipe(
            clip_low=0.2,
            clip_high=0.28,
            ratio_level=ratio_level,
            aggregation=aggregation,
            kl={"coefficient": beta} if beta else None,
        ),
    )
    theirs = loss_of_trl(
        trainer,
        monkeypatch,
        batch,
        loss_type=LOSS_TYPES[aggregation],
        beta=beta,
        importance_sampling_level=ratio_level,
        epsilon_low=0.2,
        epsilon_high=0.28,
    )
    assert_same(ours, theirs)
    assert ours[2]["entropy"] == pytest.approx(theirs[2]["entropy"], rel=1e-5)
    if beta:
        assert ours[2]["kl_reference"] == pytest.approx(theirs[2]["kl"], rel=1e-5)
    if ratio_level == "token":
        for side in ("low", "high"):
            expected = theirs[2][f"clip_ratio/{side}_mean"]
            assert ours[2][f"clip_{side}_fraction"] == pytest.approx(expected, rel=1e-5)


def test_cispo(trainer, monkeypatch):
    batch = random_batch(2)
    ours = our_loss(batch, LossRecipe(surrogate="cispo", clip_high=0.3))
    # TRL's epsilon_high is the cap itself here.
    theirs = loss_of_trl(trainer, monkeypatch, batch, loss_type="cispo", beta=0.0, epsilon_high=1.3)
    assert_same(ours, theirs)


def test_entropy_bonus(trainer, monkeypatch):
    batch = random_batch(3)
    ours = our_loss(batch, LossRecipe(), entropy_coefficient=0.02)
    theirs = loss_of_trl(
        trainer,
        monkeypatch,
        batch,
        loss_type="dapo",
        beta=0.0,
        epsilon_low=0.2,
        epsilon_high=0.2,
        _entropy_bonus_enabled=True,
        use_adaptive_entropy=False,
        entropy_coef=0.02,
    )
    assert_same(ours, theirs)


@pytest.mark.parametrize("correction", ["truncate", "mask"])
def test_sampler_correction_by_token(trainer, monkeypatch, correction):
    batch = random_batch(4)
    ratio = batch["gap"].exp()
    capped = ratio.clamp(max=2.0) if correction == "truncate" else ratio * (ratio <= 2.0)
    ours = our_loss(
        batch, LossRecipe(correction={"kind": correction, "cap": 2.0}), with_sampler=True
    )
    theirs = loss_of_trl(
        trainer,
        monkeypatch,
        batch,
        correction=capped,
        loss_type="dapo",
        beta=0.0,
        epsilon_low=0.2,
        epsilon_high=0.2,
    )
    assert_same(ours, theirs)
