import pytest
import torch

from training.curation.difficulty import assign_difficulty, level_of, measure_pass_rates, pass_rate
from training.rollout.protocol import Response, SamplingSettings


class Scripted:
    """An engine that answers each question with given texts, in turn."""

    def __init__(self, answers):
        self.answers = answers
        self.batches = []

    def generate(self, prompts, settings, generator):
        self.batches.append([prompt.question for prompt in prompts])
        return [
            Response(index, torch.tensor([1]), torch.zeros(1), f"\\boxed{{{text}}}", False)
            for index, prompt in enumerate(prompts)
            for text in self.answers[prompt.question]
        ]


def measure(problems, engine, verifier, progress=lambda *_: None):
    return measure_pass_rates(
        problems,
        engine,
        verifier=verifier,
        settings=SamplingSettings(8, samples_per_prompt=4),
        generator=torch.Generator().manual_seed(0),
        progress=progress,
    )


def test_pass_rates_belong_to_their_problems_whatever_the_lengths(make, verifier):
    questions = {"a longer question": "2", "short": "5", "the longest question of all": "7"}
    problems = [make(n, question=q, answer=a) for n, (q, a) in enumerate(questions.items())]
    engine = Scripted(
        {
            "a longer question": ["2", "2", "2", "3"],
            "short": ["5", "6", "6", "6"],
            "the longest question of all": ["1", "1", "1", "1"],
        }
    )
    done = []
    rates = measure(problems, engine, verifier, lambda *counts: done.append(counts))
    assert rates == [0.75, 0.25, 0.0]
    assert engine.batches == [["short", "a longer question", "the longest question of all"]]
    assert done == [(3, 3, {"right": 4, "wrong": 8, "unparseable": 0, "timeout": 0})]


def test_a_source_with_pass_rates_is_not_sampled(make, verifier):
    known, unknown = make(1, pass_rate=0.5), make(2, question="new", answer="3")
    engine = Scripted({"new": ["3", "3", "3", "3"]})
    assert measure([known, unknown], engine, verifier) == [0.5, 1.0]
    assert engine.batches == [["new"]]


def test_a_timeout_says_nothing_about_the_response():
    assert pass_rate(["right", "timeout", "wrong", "timeout"]) == 0.5
    assert pass_rate(["right", "unparseable"]) == 0.5
    assert pass_rate(["timeout", "timeout"]) is None


@pytest.mark.parametrize(
    ("rate", "level"), [(1.0, 1), (0.75, 3), (0.5, 6), (0.25, 8), (0.0, 10), (0.9, 2), (0.1, 9)]
)
def test_levels_of_pass_rates(rate, level):
    assert level_of(rate) == level


def test_a_level_of_the_source_stays_and_a_missing_one_comes_from_the_pass_rate(make):
    problems = [make(1, level=4), make(2), make(3)]
    result = assign_difficulty(problems, [0.0, 0.75, None])
    assert [(row["id"], row["level"], row["pass_rate"]) for row in result.kept] == [
        ("p1", 4, 0.0),
        ("p2", 3, 0.75),
    ]
    assert [(each.problem["id"], each.reason) for each in result.rejects] == [
        ("p3", "every verification timed out")
    ]
