"""Chunked log-probabilities against the naive log-softmax, with gradients."""

import pytest
import torch

from training.model.log_probs import nucleus_log_mass, token_log_probs
from training.model.nucleus import Truncation

NUM_TOKENS, WIDTH, VOCABULARY = 37, 12, 101


def inputs(seed=0, dtype=torch.float32):
    generator = torch.Generator().manual_seed(seed)
    hidden = torch.randn(NUM_TOKENS, WIDTH, generator=generator).to(dtype).requires_grad_()
    head = torch.randn(VOCABULARY, WIDTH, generator=generator).to(dtype).requires_grad_()
    targets = torch.randint(0, VOCABULARY - 2, (NUM_TOKENS,), generator=generator)
    upstream = torch.randn(2, NUM_TOKENS, generator=generator)
    return hidden, head, targets, upstream


def naive(hidden, head, targets, temperature, banned=None):
    logits = (hidden @ head.T).float() / temperature
    if banned is not None:
        logits = logits.index_fill(1, banned, -1e30)
    log_p = logits.log_softmax(-1)
    chosen = log_p.gather(-1, targets[:, None]).squeeze(-1)
    return chosen, -(log_p.exp() * log_p).sum(-1)


@pytest.mark.parametrize("chunk_vocabulary", [1, 10, 37, 1000, None])
@pytest.mark.parametrize("with_entropy", [False, True])
@pytest.mark.parametrize("temperature", [1.0, 0.7])
@pytest.mark.parametrize("banned", [None, torch.tensor([0, 99, 100])])
def test_equals_the_naive_log_softmax(chunk_vocabulary, with_entropy, temperature, banned):
    hidden, head, targets, (g_log_probs, g_entropy) = inputs()
    targets = targets.clamp(min=1)  # 0 is banned
    log_probs, entropy = token_log_probs(
        hidden,
        head,
        targets,
        temperature=temperature,
        chunk_vocabulary=chunk_vocabulary,
        with_entropy=with_entropy,
        banned_token_ids=banned,
    )
    expected_log_probs, expected_entropy = naive(hidden, head, targets, temperature, banned)
    assert torch.allclose(log_probs, expected_log_probs, atol=1e-5)
    loss = (g_log_probs * log_probs).sum()
    expected_loss = (g_log_probs * expected_log_probs).sum()
    if with_entropy:
        assert torch.allclose(entropy, expected_entropy, atol=1e-5)
        loss = loss + (g_entropy * entropy).sum()
        expected_loss = expected_loss + (g_entropy * expected_entropy).sum()
    else:
        assert entropy is None
    gradients = torch.autograd.grad(loss, (hidden, head))
    expected = torch.autograd.grad(expected_loss, (hidden, head))
    for ours, theirs in zip(gradients, expected, strict=True):
        assert torch.allclose(ours, theirs, atol=2e-5)


def test_gradients_pass_torchs_own_check():
    generator = torch.Generator().manual_seed(0)
    hidden = torch.randn(5, 3, generator=generator, dtype=torch.double, requires_grad=True)
    head = torch.randn(7, 3, generator=generator, dtype=torch.double, requires_grad=True)
    targets = torch.tensor([0, 6, 3, 3, 1])

    def both(hidden, head):
        return token_log_probs(hidden, head, targets, chunk_vocabulary=2, with_entropy=True)

    # Computed in float32 inside: numerical derivatives are good to about 1e-3.
    assert torch.autograd.gradcheck(both, (hidden, head), eps=1e-2, atol=1e-3, rtol=1e-2)


def test_a_frozen_head_gets_no_gradient():
    hidden, head, targets, upstream = inputs()
    head = head.detach()
    log_probs, _ = token_log_probs(hidden, head, targets, chunk_vocabulary=8)
    (log_probs * upstream[0]).sum().backward()
    assert hidden.grad is not None and head.grad is None


def test_bfloat16_stays_close_to_float32():
    hidden, head, targets, upstream = inputs(dtype=torch.bfloat16)
    log_probs, _ = token_log_probs(hidden, head, targets, chunk_vocabulary=8)
    expected, _ = naive(hidden.float(), head.float(), targets, 1.0)
    assert log_probs.dtype == torch.float32
    assert torch.allclose(log_probs, expected, atol=0.1)
    (log_probs * upstream[0]).sum().backward()
    assert hidden.grad.dtype == head.grad.dtype == torch.bfloat16


def test_huge_logits_stay_finite():
    hidden = torch.full((2, 1), 1e4, requires_grad=True)
    head = torch.tensor([[1.0], [-1.0], [0.5]], requires_grad=True)
    log_probs, entropy = token_log_probs(
        hidden, head, torch.tensor([0, 1]), with_entropy=True, chunk_vocabulary=1
    )
    assert log_probs.tolist() == [0.0, -2e4] and entropy.tolist() == [0.0, 0.0]
    (log_probs.sum() + entropy.sum()).backward()
    assert torch.isfinite(hidden.grad).all() and torch.isfinite(head.grad).all()


def test_no_tokens():
    log_probs, _ = token_log_probs(
        torch.zeros(0, 4, requires_grad=True), torch.zeros(9, 4), torch.zeros(0).long()
    )
    log_probs.sum().backward()
    assert log_probs.shape == (0,)


class TestNucleus:
    @pytest.mark.parametrize("top_p", [0.3, 0.8, 0.95])
    def test_mass_equals_transformers_top_p_warper(self, top_p):
        from transformers import TopPLogitsWarper

        hidden, head, _, _ = inputs()
        logits = (hidden @ head.T).detach() / 0.7
        kept = torch.isfinite(TopPLogitsWarper(top_p)(None, logits))
        expected = (logits.softmax(-1) * kept).sum(-1).log()
        mass = nucleus_log_mass(
            hidden, head, temperature=0.7, truncation=Truncation(top_p=top_p), chunk_tokens=10
        )
        assert torch.allclose(mass, expected, atol=1e-5)

    def test_min_p_and_top_k_and_top_p_in_the_order_of_vllm(self):
        from transformers import MinPLogitsWarper, TopKLogitsWarper, TopPLogitsWarper

        hidden, head, _, _ = inputs()
        logits = (hidden @ head.T).detach() / 0.7
        kept = logits
        for warper in (MinPLogitsWarper(0.02), TopKLogitsWarper(6), TopPLogitsWarper(0.8)):
            before = torch.isfinite(kept).sum()
            kept = warper(None, kept)
            assert torch.isfinite(kept).sum() < before, "each one leaves something out"
        expected = (logits.softmax(-1) * torch.isfinite(kept)).sum(-1).log()
        mass = nucleus_log_mass(
            hidden, head, temperature=0.7, truncation=Truncation(0.8, 6, 0.02), chunk_tokens=10
        )
        assert torch.allclose(mass, expected, atol=1e-5)

    def test_everything_weighs_one(self):
        hidden, head, _, _ = inputs()
        assert (
            nucleus_log_mass(hidden, head, truncation=Truncation()).tolist() == [0.0] * NUM_TOKENS
        )


def largest_tensor_elements(function):
    """Elements of the largest tensor that any operation inside `function` returns."""
    from torch.utils._python_dispatch import TorchDispatchMode

    class Watch(TorchDispatchMode):
        largest = 0

        def __torch_dispatch__(self, operation, types, args=(), kwargs=None):
            result = operation(*args, **(kwargs or {}))
            for tensor in result if isinstance(result, tuple | list) else [result]:
                if isinstance(tensor, torch.Tensor):
                    self.largest = max(self.largest, tensor.numel())
            return result

    with Watch() as watch:
        function()
    return watch.largest


def test_the_logits_of_the_whole_batch_never_exist():
    num_tokens, vocabulary, chunk = 512, 4096, 128
    hidden = torch.randn(num_tokens, 8, requires_grad=True)
    head = torch.randn(vocabulary, 8, requires_grad=True)
    targets = torch.randint(0, vocabulary, (num_tokens,))

    def chunked():
        log_probs, entropy = token_log_probs(
            hidden, head, targets, chunk_vocabulary=chunk, with_entropy=True
        )
        (log_probs.sum() + entropy.sum()).backward()

    def plain():
        log_probs, entropy = naive(hidden, head, targets, 1.0)
        (log_probs.sum() + entropy.sum()).backward()

    assert largest_tensor_elements(plain) == num_tokens * vocabulary
    assert largest_tensor_elements(chunked) == chunk * num_tokens
