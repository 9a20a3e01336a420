"""What the comparisons with official scorers share: drawing forms of answers, and what differs."""

from collections import defaultdict

from training.evaluation.verdicts import judge

CASES = 250
OURS, THEIRS = {(True, False)}, {(False, True)}  # right by ours alone; by the official one alone


def judged(rules, answers, verifier):
    responses = [f"It is \\boxed{{{answer}}}." for answer in answers]
    return [one == "right" for one in judge(rules, responses, ["?"] * len(rules), verifier)]


def differing(cases, verifier):
    """By form of answer, our verdict and the official one wherever they are not the same.

    Args:
        cases: Form, rule, answer and whether the official scorer takes it.
    """
    found = defaultdict(set)
    ours = judged([rule for _, rule, _, _ in cases], [text for _, _, text, _ in cases], verifier)
    for (form, _, _, official), mine in zip(cases, ours, strict=True):
        if mine != official:
            found[form].add((mine, official))
    assert len(cases) >= 200 and 50 < sum(official for *_, official in cases) < len(cases) - 50
    return dict(found)


def drawn_form(draws, forms):
    """One of the forms, by how often each comes up."""
    return draws.choice([name for name, (weight, _) in forms.items() for _ in range(weight)])
