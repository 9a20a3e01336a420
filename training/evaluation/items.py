"""What every benchmark is made of: items, each with its prompt and the rule that scores it.

A rule is data. Curation, which has to know the questions, depends on no scoring; and a rule
travels with its request to whichever process judges the answer.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Literal

from contracts.errors import DataError
from training.evaluation.choices import LETTERS
from training.images import fault_of
from training.records import EncodedImage, Problem
from training.texts import MAX_TEXT_CHARACTERS

MULTI = "multi"  # the part of a group that is the whole problem; the others are its steps

# boxed: the verifier as rewards use it, which reads a box alone; but see `verdicts.EXACT`.
# math: the same verifier, and a phrase such as `The answer is 5.` may stand for the box.
# letter: one choice, by its letter or its text; nearest: so, or by the smallest edit distance.
# letters: a set of choices. number: within a tolerance, or rounded. integer: truncated.
# list: numbers in their order. text: the same words. none: no answer can be right.
RuleKind = Literal[
    "boxed", "math", "letter", "nearest", "letters", "number", "integer", "list", "text", "none"
]


@dataclass(frozen=True)
class Rule:
    """How a response to one item is scored; `training.evaluation.verdicts` applies it.

    Attributes:
        kind: Which metric.
        answer: The reference; of `letter` and `nearest` a letter, of `letters` one or several.
        choices: The texts of the choices A, B, ...; empty where they are not known.
        tolerance: Of `number`: how far an answer may be away.
        decimals: Of `number` and `list`: to how many decimals both sides are rounded first.
        unit: Of `number` and `integer`: what the answer is in, if the question says so.
    """

    kind: RuleKind
    answer: str
    choices: tuple[str, ...] = ()
    tolerance: float = 0.0
    decimals: int | None = None
    unit: str = ""

    def told(self) -> str:
        """The answer itself where the reference is one choice's letter, and its text is known."""
        if self.kind not in ("letter", "nearest") or len(self.answer) != 1:
            return self.answer
        return dict(zip(LETTERS, self.choices, strict=False)).get(self.answer, self.answer)

    def to_json(self) -> str:
        """The rule as text, for a request's reference."""
        return json.dumps(vars(self), ensure_ascii=False)

    @classmethod
    def from_json(cls, text: str) -> "Rule":
        """What `to_json` wrote."""
        values = json.loads(text)
        return cls(**{**values, "choices": tuple(values["choices"])})


@dataclass(frozen=True)
class Item:
    """One thing that a benchmark asks.

    Attributes:
        problem: The record; its question is the bare one, by which curation finds it again.
        prompt: What the policy is asked, choices and instructions of the benchmark included.
        rule: How its answers are scored.
        cluster: What it shares with items that are no independent evidence; else its own id.
        part: Which version, variant or step of its cluster it is; None where there are no groups.
    """

    problem: Problem
    prompt: str
    rule: Rule
    cluster: str
    part: str | None = None


def make_item(
    benchmark: str,
    number: str,
    *,
    question: str,
    rule: Rule,
    prompt: str | None = None,
    images: Sequence[EncodedImage] = (),
    family: str | None = None,
    level: int | None = None,
    cluster: str | None = None,
    part: str | None = None,
) -> Item:
    """An item of a benchmark; `number` is its own id there, and the prompt is the question."""
    name = f"{benchmark}/{number}"
    problem: Problem = {
        "id": name,
        "source": benchmark,
        "modality": "multimodal" if images else "text",
        "family": family or benchmark,
        "template": benchmark,
        "level": level,
        "question": question,
        "images": list(images),
        "answer": rule.answer,
        "solution": None,
        "reading": None,
        "pass_rate": None,
    }
    own = name if cluster is None else f"{benchmark}/{cluster}"
    return Item(problem, question if prompt is None else prompt, rule, own, part)


def own_item(problem: Problem) -> Item:
    """An item that asks a problem as it is, and scores its box as training does."""
    rule = Rule("boxed", problem["answer"])
    return Item(problem, problem["question"], rule, problem["id"])


def first_clusters(items: Iterable[Item], num_clusters: int | None) -> list[Item]:
    """The items of the first so many clusters, in their order, or all: groups stay whole."""
    given = list(items)
    if num_clusters is None:
        return given
    kept = set(islice(dict.fromkeys(item.cluster for item in given), num_clusters))
    return [item for item in given if item.cluster in kept]


def check_items(benchmark: str, items: Sequence[Item], *, needs_images: bool, where: str) -> None:
    """Checks a benchmark before anything is asked; every image is decoded.

    Args:
        benchmark: Its name.
        items: All that it asks.
        needs_images: Whether every item has to have one.
        where: Where a person corrects it, for the message.

    Raises:
        DataError: There are no items, two have one id, or one lacks its question or its image or
            has an image that cannot be used.
    """
    if not items:
        raise DataError(
            f"The benchmark {benchmark} has no items.",
            where=where,
            rule="a benchmark asks something",
            fix="name the files, the configuration and the split that hold it",
        )
    seen: set[str] = set()
    for item in items:
        name = item.problem["id"]
        if fault := _fault(item, seen, needs_images):
            raise DataError(
                f"The benchmark {benchmark} has an item {fault}: {name[:200]}.",
                where=where,
                rule="an item has an id of its own, a question, and whole images where it needs"
                " them",
                fix="write the file again; name no file twice, and the test split alone",
            )
        seen.add(name)


def _fault(item: Item, seen: set[str], needs_images: bool) -> str | None:
    problem = item.problem
    if problem["id"] in seen:
        return "with the id of another"
    if not item.prompt.strip():
        return "without a question"
    if max(len(item.prompt), len(item.rule.answer)) > MAX_TEXT_CHARACTERS:
        return f"with a text of more than {MAX_TEXT_CHARACTERS} characters"
    if needs_images and not (problem["images"] and all(one["bytes"] for one in problem["images"])):
        return "without its image"
    if reason := fault_of(problem["images"]):
        return f"with an {reason}" if reason[0] in "aeiou" else f"with {reason}"
    return None
