import pytest
import torch

from training.model.nucleus import Truncation
from training.rollout.draw import draw_tokens

# Four tokens of probability 0.5, 0.3, 0.15, 0.05, in no order.
LOGITS = torch.tensor([[0.15, 0.5, 0.05, 0.3]]).log()


def draws(num, temperature=1.0, logits=LOGITS, **truncation):
    uniforms = torch.rand(num, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    return draw_tokens(logits.expand(num, -1), uniforms, temperature, Truncation(**truncation))


def test_a_draw_inverts_the_cumulative_distribution():
    uniforms = torch.tensor([0.0, 0.149, 0.151, 0.649, 0.651, 0.699, 0.701, 0.999999])
    tokens, _ = draw_tokens(LOGITS.expand(8, -1), uniforms.double(), 1.0, Truncation())
    assert tokens.tolist() == [0, 0, 1, 1, 2, 2, 3, 3]


def test_frequencies_are_the_probabilities():
    tokens, log_probs = draws(40_000)
    frequencies = torch.bincount(tokens, minlength=4) / 40_000
    torch.testing.assert_close(frequencies, LOGITS[0].exp(), atol=0.01, rtol=0)
    torch.testing.assert_close(log_probs, LOGITS[0][tokens])


def test_temperature_sharpens():
    _, log_probs = draws(100, temperature=0.5)
    squares = LOGITS[0].exp() ** 2
    allowed = (squares / squares.sum()).log()
    assert all(torch.isclose(value, allowed, atol=1e-5).any() for value in log_probs)


@pytest.mark.parametrize(
    ("truncation", "inside"),
    [
        ({"top_p": 0.4}, [1]),
        ({"top_p": 0.79}, [1, 3]),
        ({"top_p": 0.9}, [0, 1, 3]),
        ({"top_k": 3}, [0, 1, 3]),
        ({"top_k": 9}, [0, 1, 2, 3]),
        ({"min_p": 0.2}, [0, 1, 3]),  # 0.2 x 0.5 = 0.1 leaves out 0.05
        # top_k leaves two, and the first of them has 0.625: the nucleus of 0.6 is that one alone.
        ({"top_k": 2, "top_p": 0.6}, [1]),
        ({"min_p": 0.5, "top_k": 3}, [1, 3]),
    ],
)
def test_the_nucleus_is_renormalised(truncation, inside):
    tokens, log_probs = draws(2000, **truncation)
    assert sorted(set(tokens.tolist())) == inside
    mass = LOGITS[0].exp()[inside].sum()
    torch.testing.assert_close(log_probs, (LOGITS[0].exp()[tokens] / mass).log())


def test_forbidden_tokens_are_never_drawn_at_the_edges():
    logits = torch.tensor([[-torch.inf, 0.0, -torch.inf, 0.0, -torch.inf]])
    edges = torch.tensor([0.0, 0.5, 1.0 - 2**-53], dtype=torch.float64)
    tokens, _ = draw_tokens(logits.expand(3, -1), edges, 1.0, Truncation())
    assert tokens.tolist() == [1, 3, 3]


def test_greedy_takes_the_most_likely():
    tokens, log_probs = draws(3, temperature=0.0)
    assert tokens.tolist() == [1, 1, 1]
    assert log_probs.tolist() == [0.0, 0.0, 0.0]
