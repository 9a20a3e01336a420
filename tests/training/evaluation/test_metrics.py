"""What answers are summed up by: groups worked by hand, and the official rules derived again."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.errors import DataError
from tests.training.evaluation.test_scores import prediction
from training.evaluation.metrics import all_right, four_way, mastery, pass_at
from training.evaluation.scores import paired_gain, score_of
from training.evaluation.votes import Ballot, majority_right


def generator():
    return np.random.default_rng(0)


def row(number, right, cluster, part, **changes):
    outcome = "right" if right else "wrong"
    own = {"problem_id": str(number), "cluster": cluster, "part": part}
    return prediction(0, outcome, **own, **changes)


def group(name, pattern, **changes):
    """A We-Math problem; `10-1` is: step 1 right, step 2 wrong, the whole right."""
    steps, whole = pattern.split("-")
    parts = [*((str(n + 1), mark) for n, mark in enumerate(steps)), ("multi", whole)]
    return [row(f"{name}/{part}", mark == "1", name, part, **changes) for part, mark in parts]


def majority(answers, rule="math"):
    return majority_right([Ballot(*answer) for answer in answers], rule)


def measures(score):
    return {one.metric: (one.value, one.n) for one in score.measures}


# Eight problems: 2 CM, 2 IG, 2 IK, and 2 rote: one of them with a step right, one with none.
PATTERNS = ("11-1", "111-1", "11-0", "111-0", "00-0", "110-0", "10-1", "000-1")


def test_we_math_worked_by_hand():
    rows = [one for n, pattern in enumerate(PATTERNS) for one in group(f"g{n}", pattern)]
    score = score_of(rows, "four_way", generator())
    # Strict: (2 + 0.5 * 2) / 8. Loose: the one with a step right counts as mastery.
    assert (score.metric, score.value) == ("score, strict", 3 / 8)
    assert measures(score) == {
        "score, loose": (4 / 8, 8),
        "IK, strict": (2 / 8, 8),
        "IG, strict": (2 / 8, 8),
        "CM, strict": (2 / 8, 8),
        "RM rate, strict": (2 / 4, 4),
        "IK, loose": (2 / 8, 8),
        "IG, loose": (2 / 8, 8),
        "CM, loose": (3 / 8, 8),
        "RM rate, loose": (1 / 4, 4),
    }
    assert score.low < score.value < score.high
    assert (score.num_scored, score.num_problems) == (8, len(rows))
    right = sum(pattern.count("1") for pattern in PATTERNS)
    assert score.accuracy == pytest.approx(right / len(rows))


def test_we_math_with_nothing_right_has_no_rate_of_rote_memorisation():
    rows = [one for n in range(3) for one in group(f"g{n}", "00-0")]
    score = score_of(rows, "four_way", generator())
    assert score.value == 0.0
    assert measures(score)["RM rate, strict"] == measures(score)["RM rate, loose"] == (None, 0)
    assert measures(score)["IK, strict"] == (1.0, 3)


def official_score(cases, *, strict):
    """The released scorer's arithmetic: everything, less what each fault costs."""
    ig = rm = ik = 0
    for *steps, whole in cases:
        mastered = all(steps) if strict else any(steps)
        rm += whole and not mastered
        ig += not whole and all(steps)
        ik += not whole and not all(steps)
    return (len(cases) - 0.5 * ig - rm - ik) / len(cases)


@pytest.mark.parametrize("seed", range(10))
def test_we_math_is_the_released_arithmetic(seed):
    draws = np.random.default_rng(seed)
    cases = [draws.integers(0, 2, size=3 + draws.integers(0, 2)).tolist() for _ in range(30)]
    rows = []
    for n, (*steps, whole) in enumerate(cases):
        rows += group(f"g{n}", "".join(map(str, steps)) + f"-{whole}")
    score = score_of(rows, "four_way", generator())
    assert score.value == pytest.approx(official_score(cases, strict=True))
    assert measures(score)["score, loose"][0] == pytest.approx(official_score(cases, strict=False))


def test_every_attempt_is_one_of_four_cases():
    for steps in itertools.product([False, True], repeat=3):
        for whole in (False, True):
            parts = {"1": steps[0], "2": steps[1], "3": steps[2], "multi": whole}
            strict, loose = mastery(parts, strict=True), mastery(parts, strict=False)
            assert (strict in ("CM", "RM")) == (loose in ("CM", "RM")) == whole
            assert not (strict == "CM" and loose == "RM")


def dynamath(outcomes):
    """Rows of seeds; each a list with one entry a variant."""
    return [
        row(f"{seed}/{variant}", right, f"s{seed}", str(variant + 1))
        for seed, variants in enumerate(outcomes)
        for variant, right in enumerate(variants)
    ]


def test_dynamath_worked_by_hand():
    """Ten variants: always right, once wrong, never right."""
    rows = dynamath([[1] * 10, [1] * 9 + [0], [0] * 10])
    score = score_of(rows, "worst_case", generator())
    assert (score.metric, score.value) == ("worst case", 1 / 3)
    assert measures(score) == {"average accuracy": (19 / 30, 30)}
    # Over seeds, not over answers: the average of three seeds may be anything from 0 to 1.
    average = score.measures[0]
    assert average.low < 0.1 and average.high > 0.9
    assert score.by_part["10"].model_dump() == {"value": 1 / 3, "n": 3}
    assert (score.num_problems, score.num_scored) == (30, 3)
    assert score.accuracy == pytest.approx(19 / 30)


@pytest.mark.parametrize("seed", range(5))
def test_dynamath_is_a_product_over_variants(seed):
    draws = np.random.default_rng(seed).random((50, 10)) < 0.9
    score = score_of(dynamath(draws.tolist()), "worst_case", generator())
    assert score.value == pytest.approx(np.prod(draws, axis=1).mean())
    assert score.measures[0].value == pytest.approx(draws.mean())


def test_a_second_answer_is_a_second_attempt():
    rows = [
        row("0/1", True, "s", "1"),
        row("0/2", True, "s", "2"),
        row("0/1", True, "s", "1", sample=1),
        row("0/2", False, "s", "2", sample=1),
    ]
    assert [one.value for one in all_right(rows)] == [1.0, 0.0]


def test_two_items_of_one_part_both_count():
    """The wrong one comes first: the right one behind it hides nothing."""
    rows = [row("a", False, "s", "1"), row("b", True, "s", "1")]
    assert [one.value for one in all_right(rows)] == [0.0]
    with pytest.raises(DataError, match=r"group s has the parts \['1', '1', 'multi'\]"):
        four_way([*rows, row("c", True, "s", "multi")])


def test_mathverse_reports_vision_only_and_all_versions():
    versions = {"Text Dominant": 4, "Text Lite": 3, "Vision Only": 1}  # right, of four
    rows = [
        row(f"{problem}/{version}", problem < right, f"p{problem}", version)
        for problem in range(4)
        for version, right in versions.items()
    ]
    score = score_of(rows, "vision_only", generator())
    assert (score.metric, score.value) == ("accuracy, Vision Only", 0.25)
    assert (score.low, score.high) == pytest.approx((0.0456, 0.6994), abs=1e-4)  # Wilson, 1 of 4
    assert (score.num_scored, score.num_problems) == (4, 12)
    assert measures(score) == {"average accuracy": (8 / 12, 12)}
    assert {part: share.value for part, share in score.by_part.items()} == {
        "Text Dominant": 1.0,
        "Text Lite": 0.75,
        "Vision Only": 0.25,
    }


def test_unscorable_items_are_left_out_and_said():
    rows = [
        prediction(0, "right", rule="letters"),
        prediction(1, "wrong", rule="letters"),
        prediction(2, "unparseable", rule="none"),
        prediction(3, "unparseable", rule="none"),
    ]
    score = score_of(rows, "accuracy", generator())
    assert (score.value, score.num_problems, score.num_scored) == (0.5, 4, 2)
    assert measures(score) == {"accuracy, unscorable items as wrong": (0.25, 4)}
    assert score.accuracy == 0.25
    assert {name: one.n for name, one in score.by_family.items()} == {"sums": 2}
    assert {name: one.value for name, one in score.by_level.items()} == {"1": 1.0, "2": 0.0}


def test_aime_worked_by_hand():
    """Three problems, four answers each: 3 of 4 right with a clear vote; 1 of 4, and a tie."""
    phrase = "the longer side"  # no number, and no vote
    answers = (["7", "7", "7.0", "9"], ["5", None, "6", None], ["5", phrase, "6", phrase])
    rows = [
        prediction(
            n,
            "unparseable"
            if one in (None, phrase)
            else "right"
            if one in ("7", "7.0", "5")
            else "wrong",
            sample=k,
            extracted=one,
        )
        for n, given_answers in enumerate(answers)
        for k, one in enumerate(given_answers)
    ]
    score = score_of(rows, "accuracy", generator())
    assert (score.metric, score.num_scored) == ("mean@4", 3)
    assert score.value == pytest.approx((3 + 1 + 1) / 12)
    # pass@2: of the 6 pairs of the first all hold a right one; of the others, 3 do.
    assert measures(score) == {
        "pass@2": (pytest.approx((1 + 0.5 + 0.5) / 3), 3),
        "pass@4": (1.0, 3),
        "maj@4": (pytest.approx((1 + 0.5 + 0.5) / 3), 3),  # 5 and 6 have a vote each: half
    }


def answers(cluster, part, marks):
    """An item's answers: `1` if right, else `2`."""
    return [
        row(f"{cluster}/{part}", mark == "1", cluster, part, sample=k, extracted="12"[mark == "0"])
        for k, mark in enumerate(marks)
    ]


@pytest.mark.parametrize(
    ("metric", "name"), [("worst_case", "worst case"), ("all_right", "groups all right")]
)
def test_groups_of_several_answers_worked_by_hand(metric, name):
    """Two groups of two items, four answers each. The first one's attempts: 1 0 0 0; votes tie."""
    rows = [*answers("a", "1", "1100"), *answers("a", "2", "1010")]
    rows += [*answers("b", "1", "1111"), *answers("b", "2", "0000")]
    score = score_of(rows, metric, generator())
    assert (score.value, score.num_scored, score.num_problems) == (1 / 8, 2, 4)
    assert measures(score) == {
        # One attempt of four: 3 of its 6 pairs hold it. The second group is never right.
        f"pass@2, {name}": (0.25, 2),
        f"pass@4, {name}": (0.5, 2),
        f"maj@4, {name}": (0.5 * 0.5 / 2, 2),  # both of its votes are tied
        "average accuracy": (8 / 16, 16),
        # Of two right answers in four, 5 of the 6 pairs hold one.
        "pass@2, average": (pytest.approx((5 / 6 + 5 / 6 + 1 + 0) / 4), 4),
        "pass@4, average": (3 / 4, 4),
        "maj@4, average": ((0.5 + 0.5 + 1 + 0) / 4, 4),
    }


def test_mathverse_of_several_answers_worked_by_hand():
    rows = [*answers("a", "Vision Only", "10"), *answers("a", "Text Lite", "11")]
    rows += [*answers("b", "Vision Only", "00"), *answers("b", "Text Lite", "00")]
    score = score_of(rows, "vision_only", generator())
    assert (score.value, score.num_scored) == (1 / 4, 2)
    assert measures(score) == {
        "pass@2, Vision Only": (1 / 2, 2),
        "maj@2, Vision Only": (1 / 4, 2),
        "average accuracy": (3 / 8, 8),
        "pass@2, average": (2 / 4, 4),
        "maj@2, average": (1.5 / 4, 4),
    }


@given(st.integers(1, 9), st.data())
def test_pass_at_k_is_the_share_of_subsets_with_a_right_answer(num_samples, data):
    num_right = data.draw(st.integers(0, num_samples))
    k = data.draw(st.integers(1, num_samples))
    marks = [n < num_right for n in range(num_samples)]
    subsets = list(itertools.combinations(marks, k))
    expected = sum(map(any, subsets)) / len(subsets)
    assert pass_at(num_samples, num_right, k) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("answers", "expected"),
    [
        ([], 0.0),
        ([(None, False)] * 3, 0.0),  # no answer is no vote
        ([("1", True), (None, False), (None, False)], 1.0),
        ([("1", True), ("2", False), ("2", False)], 0.0),
        ([("12", True), ("21", False), ("12", True)], 1.0),
        ([("073", True), ("73", True), ("5", False)], 1.0),
        # What the rule takes for the same is, and what it tells apart is not.
        ([("5", True), ("5 frogs", True), ("6", False)], 1.0),
        ([("5", True), ("5 frogs", True), ("6", False), ("6", False)], 0.5),
        ([("12 cm", True), ("12 mm", False), ("7", False), ("7", False)], 0.0),
    ],
)
def test_majority(answers, expected):
    assert majority(answers) == expected


@pytest.mark.parametrize(
    ("rule", "said", "other"),
    [
        ("letter", ["B", "(b)", "B. 12 cm"], "C"),
        ("nearest", ["B", "option B", "\\text{B}"], "C"),
        ("letters", ["B, D", "D and B", "BD"], "B"),
    ],
)
def test_a_choice_is_one_vote_however_it_is_written(rule, said, other):
    answers = [*((one, True) for one in said), (other, False), (other, False)]
    assert majority(answers, rule) == 1.0


@pytest.mark.parametrize(
    ("rule", "wrong"),
    [
        ("math", [r"\frac{x}{2}", "x/2", r"\dfrac{x}{2}"]),
        ("boxed", [r"\left(1,2\right)", "(1,2)", "(1, 2)"]),
        ("math", [r"\text{Paris}", "Paris", "paris"]),
        ("text", [r"\text{even}", "even", "Even"]),
    ],
)
def test_a_wrong_answer_is_one_vote_however_it_is_written(rule, wrong):
    answers = [*((one, False) for one in wrong), ("7", True), ("7", True)]
    assert majority(answers, rule) == 0.0
    assert majority([*answers[1:], ("7", True)], rule) == 1.0


@pytest.mark.parametrize(
    ("wrong", "expected"),
    [
        (["2x", "f(x)=2x", "g(x)=2x"], 0.0),
        (["x=5,y=2", "(5,2)", "5, 2"], 0.0),
        ([r"p \implies q", r"p\implies q", r"p \implies  q"], 0.0),
        ([r"AB \parallel CD", r"AB\parallel CD", "AC"], 0.5),
        (["f(x)=2x", "g(x)=2x", "h(x)=2x"], 1.0),
        (["(2/3,1)", "(0.667,1)", "(0.6667,1)"], 1.0),
        ([r"\frac{x}{2}", "x/2", "8"], 0.5),
    ],
)
def test_a_vote_does_not_depend_on_the_order_of_samples(wrong, expected):
    """What is the same by way of a third is one vote; a rounded decimal is none for a fraction."""
    answers = [*((one, False) for one in wrong), ("7", True), ("7", True)]
    for order in itertools.permutations(answers):
        assert majority(order, "math") == expected


def test_a_wrong_choice_is_one_vote_by_its_letter_or_its_text():
    """`Point A` and `A` were two votes: the right one, with fewer, won a third of them."""
    said = [("Point A", "A", "wrong"), ("A", "A", "wrong"), ("B", "B", "right")]
    rows = [
        prediction(0, outcome, sample=k, rule="letter", extracted=text, chosen=letter)
        for k, (text, letter, outcome) in enumerate(said)
    ]
    measures = score_of(rows, "accuracy", generator()).measures
    found = {one.metric: one.value for one in measures}
    assert found["maj@3"] == 0.0 and found["pass@3"] == 1.0


def test_what_takes_itself_back_is_no_vote_for_its_letter():
    """`C. 60`, where 60 is A's: by their letter the first two would tie with the right ones."""
    said = [("C. 60", None, "wrong"), ("C. 60 m", None, "wrong"), ("D", "D", "wrong")]
    said += [("B", "B", "right"), ("B", "B", "right")]
    rows = [
        prediction(0, outcome, sample=k, rule="letter", extracted=text, chosen=letter)
        for k, (text, letter, outcome) in enumerate(said)
    ]
    found = {one.metric: one.value for one in score_of(rows, "accuracy", generator()).measures}
    assert found["maj@5"] == 1.0


def test_a_vote_does_not_depend_on_the_order_of_the_samples():
    """A letter with the text of another choice is wrong, and no vote for the right one."""
    answers = [("A. 13 cm", False), ("A", True), ("A", True), ("B", False)]
    for first in range(4):
        assert majority(answers[first:] + answers[:first], "letter") == 1.0
    assert majority([("12", True), ("12.0", True), ("B", False)], "letter") == 1.0


def test_a_gain_is_of_the_metric_itself():
    """From IG to CM in one of two problems: 25 points of the score, though one answer of six."""
    before = [*group("a", "11-0"), *group("b", "00-0")]
    after = [*group("a", "11-1", policy="after"), *group("b", "00-0", policy="after")]
    assert paired_gain(after, before, "four_way", generator()).points == 25.0
    assert paired_gain(after, before, "accuracy", generator()).points == pytest.approx(100 / 6)
