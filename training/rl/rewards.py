"""Rewards by rule: the weighted list of the recipe (`training.recipe.recipe.RewardRecipe`).

Sources: accuracy and the efficient-length reward, paper v1 (v2 drops the latter); repetition and
keywords, the authors' code; overlong, DAPO. Format is ours.
"""

import re
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from contracts.errors import RevisualError
from training.answers import Outcome, extract_boxed
from training.recipe.stages import RewardRecipe
from training.records import Problem
from training.rl import custom


def total_rewards(
    texts: Sequence[str],
    lengths_tokens: Sequence[int],
    outcomes: Sequence[Outcome],
    rewards: Sequence[RewardRecipe],
    problems: Sequence[Problem] | None = None,
) -> tuple[Tensor, dict[str, Tensor]]:
    """Rewards of B responses.

    Args:
        texts: The responses.
        lengths_tokens: Their lengths, the end token included.
        outcomes: What verifying them came to (`training.answers.Verifier`).
        rewards: The recipe's list; each kind at most once.
        problems: What each response answers; rewards of the user's own need it.

    Returns:
        The weighted sum [B], float32, and each part before weighting [B], by its kind.

    Raises:
        RevisualError: A reward of the user's own failed, or a weighted sum is not finite.
    """
    asked: Sequence[Problem | None] = problems or [None] * len(texts)
    responses = list(zip(texts, lengths_tokens, outcomes, asked, strict=True))
    parts: dict[str, Tensor] = {
        reward.kind: torch.tensor(
            [_value(reward, *response) for response in responses], dtype=torch.float32
        )
        for reward in rewards
    }
    total = torch.zeros(len(responses))
    for reward in rewards:
        total += reward.weight * parts[reward.kind]
    _require_finite(total, parts, rewards)
    return total, parts


def _require_finite(
    total: Tensor, parts: Mapping[str, Tensor], rewards: Sequence[RewardRecipe]
) -> None:
    """An infinite sum would make the advantages of its whole group NaN."""
    wrong = (~total.isfinite()).nonzero().flatten().tolist()
    if not wrong:
        return
    terms = [f"{one.weight:g} x {one.kind} {parts[one.kind][wrong[0]]:g}" for one in rewards]
    raise RevisualError(
        f"The weighted sum of rewards is {total[wrong[0]]:g}: {' + '.join(terms)}.",
        where=f"{len(wrong)} of {len(total)} responses",
        rule="a response's rewards, weighted and summed, are finite in float32 (below 3.4e38)",
        fix="lower the weights, or return smaller values from the custom reward",
    )


def _value(
    reward: RewardRecipe, text: str, length_tokens: int, outcome: Outcome, problem: Problem | None
) -> float:
    if reward.kind == "accuracy":
        return accuracy(outcome)
    if reward.kind == "format":
        return think_then_box(text)
    if reward.kind == "efficient_length":
        return efficient_length(
            length_tokens, reward.budget_tokens, alpha=reward.alpha, delta=reward.delta
        )
    if reward.kind == "keywords":
        return keywords(text, words=reward.words, value=reward.value)
    if reward.kind == "overlong":
        return overlong(length_tokens, limit=reward.limit_tokens, buffer=reward.buffer_tokens)
    if reward.kind == "custom":
        assert problem is not None
        given = (text, problem["answer"], problem["question"], length_tokens, outcome)
        return custom.value(reward.function, *given)
    return repetition(text, ngram=reward.ngram)


def accuracy(outcome: Outcome) -> float:
    """1 for a verified answer, else 0."""
    return float(outcome == "right")


def think_then_box(text: str) -> float:
    r"""1 for one `<think>...</think>` block, not empty, then exactly one `\boxed{}`; else 0."""
    thought, closing, answer = text.strip().partition("</think>")
    is_thought = thought.startswith("<think>") and bool(thought.removeprefix("<think>").strip())
    tags = text.count("<think>"), text.count("</think>")
    is_answer = answer.count("\\boxed") == 1 and extract_boxed(answer) is not None
    return float(bool(closing) and is_thought and tags == (1, 1) and is_answer)


def efficient_length(length: int, budget: int, alpha: float, delta: float) -> float:
    """Returns clip(alpha (budget - length) + delta, 0, 1), both in tokens (paper v1).

    It rewards brevity in wrong answers as well: keep its weight small beside accuracy's.
    """
    return min(max(alpha * (budget - length) + delta, 0.0), 1.0)


def overlong(length: int, *, limit: int, buffer: int) -> float:
    """DAPO's soft punishment: 0, then linear over the buffer, -1 from the limit on, in tokens.

    Source: DAPO (arXiv 2503.14476), equation 13.
    """
    return min(max((limit - buffer - length) / buffer, -1.0), 0.0)


def repetition(text: str, *, ngram: int) -> float:
    """1 - share of the n-grams of words that occurred before; 1 if there is none."""
    words = text.split()
    ngrams = [tuple(words[i : i + ngram]) for i in range(len(words) - ngram + 1)]
    return len(set(ngrams)) / len(ngrams) if ngrams else 1.0


def keywords(text: str, *, words: Sequence[str], value: float) -> float:
    """`value` for every occurrence of one of the words, whole and whatever its case, up to 1.

    It pays for words, not for thoughts: for comparison with the authors' code, at a small weight.
    """
    found = re.findall(rf"(?<!\w)(?:{'|'.join(map(re.escape, words))})(?!\w)", text, re.IGNORECASE)
    return min(value * len(found), 1.0)
