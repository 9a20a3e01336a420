"""Equal questions: of those with one answer one stays, of those with several none.

The first one with a boxed trace stays, else the first: a row without a trace takes no other's
place, whatever the order of the sources. Whether that trace has a fault shows later
(`training.curation.traces`), and of rows that share an id one stays: both may cost a twin's trace.
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain

from training.answers import AnswerVerifier, extract_boxed
from training.answers.normal import normalize
from training.answers.numbers import Number
from training.answers.reading import parse
from training.answers.values import Words
from training.curation.agreement import Conflict, conflict, meant
from training.curation.step import StepResult, split
from training.recipe import curation as steps
from training.records import Problem, question_key

STEP = steps.DUPLICATES


def drop_duplicates(problems: Sequence[Problem], verifier: AnswerVerifier) -> StepResult:
    """Keeps one of each group of equal problems; none if answers differ or can't be compared.

    Equal are problems with the same question, apart from case and white space, and the same
    images. Ids must be unique as well: of problems of two sources that spell one, one stays.
    """
    answers = [meant(problem["answer"], problem["question"]) for problem in problems]
    asked = _numbered(question_key(problem["question"], problem["images"]) for problem in problems)
    told = _numbered(told_alike(one["answer"], one["question"]) for one in problems)
    groups = told_otherwise(asked, told)
    pairs = filter(None, (conflict(group, answers, verifier) for group in groups))
    ids = _numbered(problem["id"] for problem in problems)
    found = repeats(asked, told, ids, list(map(has_boxed_trace, problems)), pairs)
    reasons = [found[place][0] if place in found else None for place in range(len(problems))]
    details = {place: problems[other]["id"] for place, (_, other) in found.items()}
    return split(problems, reasons, STEP, details)


def told_alike(answer: str, question: str = "") -> str:
    r"""What answers share that are one number, choice or word, or the same but for dressing.

    `0.5`, `$\frac{1}{2}$` and `1/2` are: two sources may have one problem, each in its own way. So
    are `B` and `12` where the question says that `B` is 12. Others may still be the same: see
    `training.curation.agreement`.
    """
    text = normalize(meant(answer, question))
    match parse(text):
        case Number(value=value, unit=None):
            return f"number {value}"
        case Words(text=words):
            return f"words {words}"
    return " ".join(text.split())


def told_otherwise(questions: Sequence[int], answers: Sequence[int]) -> list[list[int]]:
    """Of each question whose answers are not all told alike, the first place of each answer.

    Args:
        questions: Numbers from 0 on, the same for equal questions [N].
        answers: The same for answers that are told alike [N].
    """
    first, groups = dict[int, int](), dict[int, dict[int, int]]()
    for place, (question, answer) in enumerate(zip(questions, answers, strict=True)):
        start = first.setdefault(question, place)
        if answers[start] != answer:
            groups.setdefault(question, {answers[start]: start}).setdefault(answer, place)
    return [list(group.values()) for group in groups.values()]


def repeats(
    questions: Sequence[int],
    answers: Sequence[int],
    ids: Sequence[int],
    traced: Sequence[bool],
    conflicts: Iterable[Conflict],
) -> dict[int, tuple[str, int]]:
    """The rows that repeat the one that stays, or contradict another one.

    Args:
        questions: Numbers from 0 on, the same for equal questions [N].
        answers: The same for answers that are told alike [N].
        ids: The same for equal ids [N].
        traced: Which rows have a boxed trace, and come before those that have none [N].
        conflicts: Of questions whose answers differ, or cannot be compared, two rows.

    Returns:
        A row's place -> why it goes, and the place of the row that stays; of one whose question has
        a conflict, of which all go, that of a row with another answer.
    """
    conflicting = {questions[one.first]: one for one in conflicts}
    seen_questions, seen_ids = dict[int, int](), dict[int, int]()
    found = dict[int, tuple[str, int]]()
    for place in traced_first(range(len(questions)), traced):
        question, id_ = questions[place], ids[place]
        if question in conflicting:
            first, second, reason = conflicting[question]
            found[place] = reason, second if answers[place] == answers[first] else first
        elif question in seen_questions:
            found[place] = "duplicate question", seen_questions[question]
        elif id_ in seen_ids:
            found[place] = "duplicate id", seen_ids[id_]
        else:
            seen_questions[question] = seen_ids[id_] = place
    return found


def has_boxed_trace(problem: Problem) -> bool:
    """Whether a problem has a trace that ends in a box: such a row stays before one without."""
    return problem["solution"] is not None and extract_boxed(problem["solution"]) is not None


def traced_first(places: Sequence[int], traced: Sequence[bool]) -> Iterator[int]:
    """The places of rows with a boxed trace, then the others, in their order."""
    others = (place for place in places if not traced[place])
    return chain((place for place in places if traced[place]), others)


def _numbered(values: Iterable[str]) -> list[int]:
    numbers = dict[str, int]()
    return [numbers.setdefault(value, len(numbers)) for value in values]
