"""The bars of docs/answers.md: no false positive, at most one false negative in a hundred."""

import pytest

from experiments.answers.corpus import corpus
from training.answers import Verifier


@pytest.mark.parametrize("seed", [0, 1])
def test_the_corpus_holds_the_bars(seed):
    cases = corpus(seed)
    right = [case for case in cases if case.right]
    wrong = [case for case in cases if not case.right]
    assert len(cases) >= 3000 and min(len(right), len(wrong)) >= 1500
    with Verifier() as verifier:
        outcomes = verifier.verify(
            [case.response for case in cases],
            [case.reference for case in cases],
            [case.question for case in cases],
        )
    paid = {case for case, outcome in zip(cases, outcomes, strict=True) if outcome == "right"}
    assert not paid & set(wrong)
    assert len(set(right) - paid) <= 0.01 * len(right)
