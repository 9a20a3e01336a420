"""Losses: by hand, invariant to how the batch is cut, rows without advantage, selection bias."""

import math
from typing import ClassVar

import pytest
import torch

from training.model.log_probs import nucleus_log_mass, token_log_probs
from training.model.nucleus import Truncation
from training.recipe.loss import LossRecipe
from training.rl.losses import (
    kl_divergence,
    loss_normalizer,
    mean_diagnostics,
    policy_loss,
)
from training.rl.pad import distill, effective_set

AGGREGATIONS = ["token_mean", "sequence_mean", "dr_grpo"]


def batch(num_sequences=12, length=7, seed=0):
    generator = torch.Generator().manual_seed(seed)

    def noise(scale):
        return scale * torch.randn(num_sequences, length, generator=generator, dtype=torch.double)

    old = noise(0.5) - 1.5
    lengths = torch.randint(1, length + 1, (num_sequences,), generator=generator)
    return {
        "log_probs": (old + noise(0.3)).requires_grad_(),
        "old_log_probs": old,
        "advantages": noise(1.0)[:, 0].contiguous(),
        "mask": torch.arange(length) < lengths[:, None],
        "reference_log_probs": old + noise(0.3),
        "entropy": noise(0.2).abs().requires_grad_(),
        "sampler_log_probs": old + noise(0.2),
        "nucleus_log_mass": -noise(0.05).abs(),
    }


def rows(tensors, index):
    return {name: value[index] for name, value in tensors.items()}


ENTROPY = {"entropy_coefficient": 0.05}


def everything(aggregation, **changes):
    kl = {"coefficient": 0.2}
    return LossRecipe(clip_low=0.1, clip_high=0.3, aggregation=aggregation, kl=kl, **changes)


def normalizer_of(tensors, aggregation):
    return loss_normalizer(tensors["mask"].sum(-1), aggregation=aggregation, max_response_tokens=7)


class TestByHand:
    """Two sequences of two and one tokens, advantages 2 and -1, ratios 2, 1 and 1/2, clip 0.2.

    -min(ratio A, clip(ratio) A): 2 -> -min(4, 2.4) = -2.4; 1 -> -2; 1/2 -> -min(-0.5, -0.8) = 0.8.
    """

    inputs: ClassVar = {
        "log_probs": torch.tensor([[0.0, -1.0], [-2.0, math.nan]]),
        "old_log_probs": torch.tensor([[-math.log(2), -1.0], [-2.0 + math.log(2), math.nan]]),
        "advantages": torch.tensor([2.0, -1.0]),
        "mask": torch.tensor([[True, True], [True, False]]),
    }

    @pytest.mark.parametrize(
        ("aggregation", "expected"),
        [
            ("token_mean", (-2.4 - 2.0 + 0.8) / 3),
            ("sequence_mean", ((-2.4 - 2.0) / 2 + 0.8) / 2),
            ("dr_grpo", (-2.4 - 2.0 + 0.8) / (2 * 7)),
        ],
    )
    def test_aggregations(self, aggregation, expected):
        loss, sums = policy_loss(
            **self.inputs,
            normalizer=normalizer_of(self.inputs, aggregation),
            settings=LossRecipe(aggregation=aggregation),
        )
        assert loss.item() == pytest.approx(expected)
        means = mean_diagnostics(sums)
        assert means == pytest.approx({"clip_low_fraction": 1 / 3, "clip_high_fraction": 1 / 3})

    def test_clip_higher_moves_only_the_upper_bound(self):
        loss, _ = policy_loss(**self.inputs, normalizer=3.0, settings=LossRecipe(clip_high=0.5))
        assert loss.item() == pytest.approx((-3.0 - 2.0 + 0.8) / 3)

    def test_gspo_gives_every_token_the_sequences_ratio(self):
        # The first sequence's ratio is sqrt(2 x 1), clipped to 1.2.
        loss, _ = policy_loss(
            **self.inputs,
            normalizer=2.0,
            settings=LossRecipe(ratio_level="sequence", aggregation="sequence_mean"),
        )
        assert loss.item() == pytest.approx((-2.4 + 0.8) / 2)

    def test_cispo_weighs_log_probs_by_the_capped_ratio(self):
        loss, _ = policy_loss(**self.inputs, normalizer=3.0, settings=LossRecipe(surrogate="cispo"))
        assert loss.item() == pytest.approx(-(1.2 * 2 * 0 + 1 * 2 * -1 + 0.5 * -1 * -2) / 3)

    def test_cispo_keeps_the_gradient_of_clipped_tokens(self):
        gradients = {}
        for surrogate in ("clip", "cispo"):
            log_probs = self.inputs["log_probs"].clone().requires_grad_()
            loss, _ = policy_loss(
                **self.inputs | {"log_probs": log_probs},
                normalizer=1.0,
                settings=LossRecipe(surrogate=surrogate),
            )
            loss.backward()
            gradients[surrogate] = log_probs.grad
        assert gradients["clip"].tolist() == [[0.0, -2.0], [0.0, 0.0]]
        assert torch.allclose(gradients["cispo"], torch.tensor([[-2.4, -2.0], [0.5, 0.0]]))

    def test_kl_estimators(self):
        log_probs, reference = torch.tensor([-1.0]), torch.tensor([-1.0 + math.log(2)])
        values = {
            name: kl_divergence(log_probs, reference, estimator=name).item()
            for name in ("k1", "k2", "k3")
        }
        log_2 = math.log(2)
        assert values == pytest.approx({"k1": -log_2, "k2": log_2**2 / 2, "k3": 1 - log_2})

    def test_correction_truncates_or_masks(self):
        # The trainer finds the tokens 4, 1 and 1/2 times as likely as the sampler did.
        gap = torch.tensor([[math.log(4), 0.0], [-math.log(2), math.nan]])
        inputs = self.inputs | {"sampler_log_probs": self.inputs["old_log_probs"] - gap}
        terms = {
            "none": (-2.4, -2.0, 0.8),
            "truncate": (-2.4 * 2, -2.0, 0.8 / 2),
            "mask": (0.0, -2.0, 0.8 / 2),
        }
        for correction, expected in terms.items():
            chosen = LossRecipe(correction={"kind": correction})
            loss, sums = policy_loss(**inputs, normalizer=3.0, settings=chosen)
            assert loss.item() == pytest.approx(sum(expected) / 3)
            means = mean_diagnostics(sums)
            assert means["importance_ratio_mean"] == pytest.approx((4 + 1 + 0.5) / 3)
            k3 = (4 - 1 - math.log(4)) + 0 + (0.5 - 1 + math.log(2))
            assert means["sampler_kl"] == pytest.approx(k3 / 3)

    def test_sequence_correction_uses_the_mean_not_the_sum(self):
        gap = torch.tensor([[math.log(4), 0.0], [-math.log(2), 0.0]])
        loss, _ = policy_loss(
            **self.inputs | {"sampler_log_probs": self.inputs["old_log_probs"] - gap},
            normalizer=3.0,
            settings=LossRecipe(correction={"level": "sequence", "cap": 1.5}),
        )
        # sqrt(4 x 1) = 2 is capped at 1.5.
        assert loss.item() == pytest.approx(((-2.4 - 2.0) * 1.5 + 0.8 / 2) / 3)


@pytest.mark.parametrize("aggregation", AGGREGATIONS)
@pytest.mark.parametrize("variant", [{}, {"ratio_level": "sequence"}, {"surrogate": "cispo"}])
@pytest.mark.parametrize("cuts", [[1] * 12, [5, 7], [3, 1, 8]])
def test_micro_batches_add_up_exactly(aggregation, variant, cuts):
    chosen = everything(aggregation, **variant)
    whole = batch()
    normalizer = normalizer_of(whole, aggregation)
    weights = torch.linspace(0.5, 2.0, 12, dtype=torch.double)
    loss, sums = policy_loss(
        **whole, normalizer=normalizer, settings=chosen, sequence_weights=weights, **ENTROPY
    )
    loss.backward()

    cut = batch()
    losses, parts, normalizers = [], [], []
    for index in torch.arange(12).split(cuts):
        part = rows(cut, index)
        part_loss, part_sums = policy_loss(
            **part,
            normalizer=normalizer,
            settings=chosen,
            sequence_weights=weights[index],
            **ENTROPY,
        )
        part_loss.backward()
        losses.append(part_loss)
        parts.append(part_sums)
        normalizers.append(normalizer_of(part, aggregation))

    assert sum(normalizers) == normalizer
    assert torch.allclose(sum(losses), loss, rtol=1e-12)
    for name in ("log_probs", "entropy"):
        assert torch.allclose(cut[name].grad, whole[name].grad, rtol=1e-12, atol=0.0)
    for name, value in sums.items():
        assert torch.allclose(sum(part[name] for part in parts), value, rtol=1e-12)


@pytest.mark.parametrize("aggregation", AGGREGATIONS)
def test_a_row_without_advantage_dilutes_the_loss_and_feels_kl_and_entropy(aggregation):
    chosen = everything(aggregation)
    dead = torch.tensor([1, 4, 9])
    full = batch()
    full["advantages"][dead] = 0.0
    normalizer = normalizer_of(full, aggregation)
    assert normalizer == normalizer_of(batch(), aggregation)
    loss, _ = policy_loss(**full, normalizer=normalizer, settings=chosen, **ENTROPY)
    loss.backward()
    for name in ("log_probs", "entropy"):
        assert full[name].grad[dead][full["mask"][dead]].all()


@pytest.mark.parametrize("aggregation", AGGREGATIONS)
def test_without_kl_and_entropy_such_a_row_needs_no_forward_pass(aggregation):
    dead = torch.tensor([1, 4, 9])
    alive = torch.tensor([index for index in range(12) if index not in dead.tolist()])
    full = batch()
    full["advantages"][dead] = 0.0
    inputs = {"normalizer": normalizer_of(full, aggregation)}
    inputs["settings"] = LossRecipe(aggregation=aggregation)
    loss, _ = policy_loss(**full, **inputs)
    loss_without, _ = policy_loss(**rows(full, alive), **inputs)
    assert torch.allclose(loss_without, loss, rtol=1e-12)
    (gradient,) = torch.autograd.grad(loss, full["log_probs"])
    assert not gradient[dead].any() and gradient[alive].any()


@pytest.mark.parametrize("aggregation", AGGREGATIONS)
def test_padding_is_never_read(aggregation):
    chosen = everything(aggregation)
    clean, dirty = batch(), batch()
    hidden = ~clean["mask"]
    for name, value in dirty.items():
        if value.shape == hidden.shape and name != "mask":
            filled = value.detach().masked_fill(hidden, math.nan)
            dirty[name] = filled.requires_grad_(value.requires_grad)
    normalizer = normalizer_of(clean, aggregation)
    loss, sums = policy_loss(**clean, normalizer=normalizer, settings=chosen, **ENTROPY)
    loss_dirty, sums_dirty = policy_loss(**dirty, normalizer=normalizer, settings=chosen, **ENTROPY)
    loss.backward()
    loss_dirty.backward()
    assert torch.equal(loss, loss_dirty)
    assert mean_diagnostics(sums) == mean_diagnostics(sums_dirty)
    for name in ("log_probs", "entropy"):
        assert torch.equal(clean[name].grad, dirty[name].grad)


def test_an_empty_batch_has_a_normalizer_of_zero_and_is_refused():
    empty = rows(batch(), torch.arange(0))
    assert normalizer_of(empty, "token_mean") == 0.0
    with pytest.raises(ValueError, match="skip the update"):
        policy_loss(**empty, normalizer=0.0, settings=LossRecipe())


@pytest.mark.parametrize(
    ("missing", "chosen"),
    [
        ("reference_log_probs", {"settings": LossRecipe(kl={"coefficient": 0.1})}),
        ("entropy", {"settings": LossRecipe(), "entropy_coefficient": 0.1}),
    ],
)
def test_a_term_without_its_input_is_an_error(missing, chosen):
    tensors = batch()
    del tensors[missing]
    with pytest.raises(ValueError, match=missing):
        policy_loss(**tensors, normalizer=1.0, **chosen)


def test_on_policy_gradient_is_the_plain_policy_gradient():
    tensors = batch()
    loss, _ = policy_loss(
        tensors["log_probs"],
        tensors["log_probs"].detach(),
        tensors["advantages"],
        tensors["mask"],
        normalizer=1.0,
        settings=LossRecipe(),
    )
    loss.backward()
    expected = -(tensors["advantages"][:, None] * tensors["mask"])
    assert torch.allclose(tensors["log_probs"].grad, expected)


def test_importance_weights_undo_the_bias_of_the_selection():
    """The expected gradient of PAD's weighted selection is the gradient over all of E."""
    tensors = batch()
    bounds = {"low": 0.05, "high": 3.0}
    effective = effective_set(tensors["advantages"], **bounds)
    assert 6 <= len(effective) < 12
    chosen = LossRecipe(aggregation="token_mean")
    normalizer = normalizer_of(rows(tensors, effective), "token_mean")

    def gradient(index, weights):
        leaf = tensors["log_probs"].detach().clone().requires_grad_()
        part = rows(tensors | {"log_probs": leaf}, index)
        del part["entropy"], part["reference_log_probs"]
        loss, _ = policy_loss(
            **part, normalizer=normalizer, settings=chosen, sequence_weights=weights
        )
        return torch.autograd.grad(loss, leaf)[0]

    wanted = gradient(effective, None)
    generator, num_draws = torch.Generator().manual_seed(5), 4000
    mean = {"weighted": 0.0, "plain": 0.0}
    for _ in range(num_draws):
        index, weights = distill(
            tensors["advantages"], **bounds, ratio=0.3, temperature=0.7, generator=generator
        )
        assert len(index) == 4
        mean["weighted"] = mean["weighted"] + gradient(index, weights) / num_draws
        mean["plain"] = mean["plain"] + gradient(index, None) / num_draws
    scale = wanted.norm()
    assert (mean["weighted"] - wanted).norm() / scale < 0.05
    # Without the weights no common factor repairs it: large advantages are over-represented.
    factor = (mean["plain"] * wanted).sum() / mean["plain"].square().sum()
    assert (factor * mean["plain"] - wanted).norm() / scale > 0.15


def test_top_p_ratios_are_unbiased_only_against_the_renormalised_nucleus():
    """The same weights on both sides: the ratio must be 1, and is about 0.8 if top-p is ignored."""
    generator = torch.Generator().manual_seed(0)
    hidden = torch.randn(64, 8, generator=generator)
    head = torch.randn(50, 8, generator=generator)
    temperature, top_p = 0.9, 0.8
    probabilities = ((hidden @ head.T) / temperature).softmax(-1)
    # An independent nucleus: keep tokens until the sum reaches top-p, then renormalise.
    nucleus = torch.zeros_like(probabilities)
    for row, p in enumerate(probabilities):
        total = 0.0
        for token in p.argsort(descending=True).tolist():
            nucleus[row, token] = p[token]
            total += p[token].item()
            if total >= top_p:
                break
    nucleus /= nucleus.sum(-1, keepdim=True)
    tokens = torch.multinomial(nucleus, 1, generator=generator)
    sampler = nucleus.gather(-1, tokens).log().squeeze(-1)[None]
    trainer, _ = token_log_probs(hidden, head, tokens.squeeze(-1), temperature=temperature)
    mass = nucleus_log_mass(
        hidden, head, temperature=temperature, truncation=Truncation(top_p=top_p), chunk_tokens=10
    )

    def ratio(log_mass, trainer=trainer, sampler=sampler):
        _, sums = policy_loss(
            trainer[None],
            trainer[None],
            torch.ones(1),
            torch.ones(1, 64, dtype=torch.bool),
            normalizer=1.0,
            settings=LossRecipe(),
            sampler_log_probs=sampler,
            nucleus_log_mass=log_mass,
        )
        return mean_diagnostics(sums)

    assert ratio(mass[None])["importance_ratio_mean"] == pytest.approx(1.0, abs=1e-5)
    assert ratio(mass[None])["sampler_kl"] == pytest.approx(0.0, abs=1e-6)
    assert 0.78 < ratio(None)["importance_ratio_mean"] < 0.92
    # What the trainer would never draw has probability 0 there, not p / mass.
    outside = nucleus.argmin(-1)
    assert (nucleus.gather(-1, outside[:, None]) == 0.0).all()
    mass = nucleus_log_mass(
        hidden,
        head,
        temperature=temperature,
        truncation=Truncation(top_p=top_p),
        chunk_tokens=10,
        targets=outside,
    )
    means = ratio(mass[None])
    assert (means["importance_ratio_mean"], means["outside_nucleus_fraction"]) == (0.0, 1.0)
