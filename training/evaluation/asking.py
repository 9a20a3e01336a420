"""What became of what the models were asked: verdicts, what a judge is asked, predictions."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from training.answers import Outcome, Verifier
from training.evaluation.items import Item, Rule
from training.evaluation.judge import Opinion, compared, judge_request
from training.evaluation.prediction import Prediction
from training.evaluation.scores import reads_right
from training.evaluation.verdicts import extract, is_boxed
from training.evaluation.verdicts import judge as judge_by_rules
from training.evaluation.votes import reading
from training.recipe.endpoint import JudgeRecipe
from training.rollout.protocol import Request
from training.sampling.chunks import Answer
from training.sampling.verdicts import Judge

Pair = tuple[str, str]  # a policy's name and a benchmark's


@dataclass(frozen=True)
class Answered:
    """One response to one item.

    Attributes:
        item: What was asked.
        request: How.
        answer: The response, with the rule's verdict.
    """

    item: Item
    request: Request
    answer: Answer

    @cached_property
    def extracted(self) -> str | None:
        """The answer that the rules find in the response."""
        return extract(self.answer["text"], self.item.rule)

    @property
    def needs_judge(self) -> bool:
        """Whether there is a response in which the rules read no answer, and one could be right.

        What stands in a box is the answer, even if it cannot be read.
        """
        rule, text = self.item.rule, self.answer["text"]
        if rule.kind == "none" or self.answer["failure"]:
            return False
        is_open = self.extracted is None or not is_boxed(text, rule.kind)
        return is_open and self.answer["outcome"] == "unparseable"


def judge_of(verifier: Verifier) -> Judge:
    """Verdicts by the rule that came with each request."""

    def judge(requests: Sequence[Request], responses: Sequence[str]) -> list[Outcome]:
        rules = [Rule.from_json(request.reference) for request in requests]
        questions = [request.prompt.question for request in requests]
        return judge_by_rules(rules, responses, questions, verifier)

    return judge


def doubts(rows: Sequence[Answered], recipe: JudgeRecipe, seed: int) -> dict[int, Request]:
    """What the judge is asked of one policy's responses to one benchmark.

    Args:
        rows: The responses.
        recipe: The judge.
        seed: The recipe's, of the sample that is asked to compare the judge with the rules.

    Returns:
        A request for each response, by its number, that the judge looks at. Equal responses to an
        item have equal requests.
    """
    readable = [
        number
        for number, row in enumerate(rows)
        if row.extracted is not None and row.answer["outcome"] in ("right", "wrong")
    ]
    numbers = [number for number, row in enumerate(rows) if row.needs_judge]
    numbers += compared(readable, recipe.agreement_samples, seed)
    return {
        number: judge_request(recipe, row.item, row.answer["text"], row.request)
        for number in sorted(numbers)
        for row in (rows[number],)
    }


def predictions_of(
    pair: Pair, rows: Sequence[Answered], opinions: Mapping[int, Opinion]
) -> list[Prediction]:
    """One policy's predictions on one benchmark.

    Args:
        pair: Their names.
        rows: The responses, item by item.
        opinions: The judge's, by the number of the response.
    """
    return [prediction(pair, row, opinions.get(number)) for number, row in enumerate(rows)]


def prediction(pair: Pair, row: Answered, opinion: Opinion | None) -> Prediction:
    """An item with one of its judged responses.

    The judge has the word where the rules found no answer and it found one; nowhere else.
    """
    item, answer, problem = row.item, row.answer, row.item.problem
    policy, benchmark = pair
    decides = opinion is not None and opinion.finding == "found" and row.needs_judge
    extracted = opinion.answer if opinion and decides else row.extracted
    return {
        "policy": policy,
        "benchmark": benchmark,
        "problem_id": problem["id"],
        "sample": answer["sample"],
        "level": problem["level"],
        "family": problem["family"],
        "cluster": item.cluster,
        "part": item.part,
        "prompt_digest": row.request.prompt.digest,
        "question": problem["question"],
        "prompt": item.prompt,
        "answer": problem["answer"],
        "rule": item.rule.kind,
        "response": answer["text"],
        "extracted": extracted,
        "chosen": None if extracted is None else reading(item.rule, extracted, item.prompt),
        "outcome": opinion.outcome if opinion and decides else answer["outcome"],
        "judged_by": "judge" if decides else "rule",
        "judge_finding": opinion.finding if opinion else None,
        "judge_reply": opinion.reply if opinion else None,
        "judge_outcome": opinion.outcome if opinion else None,
        "failure": answer["failure"] or None,
        "truncated": answer["truncated"],
        "reading_right": reads_right(problem["reading"], answer["text"]),
        "num_tokens": answer["num_tokens"],
        "num_prompt_tokens": answer["num_prompt_tokens"],
    }
