"""The rule-based filter of curation: keeps problems whose answer a rule can verify.

Paper section 3.1 (GRAMMAR): drop proofs and whatever is hard to verify. Added here: prompts
too long for the policy. A prompt is never truncated: cutting it would part image placeholders from
their features.
"""

import re
from collections.abc import Callable, Sequence

from training import images, texts
from training.answers import MAX_ANSWER_CHARS, AnswerVerifier, extract_boxed
from training.answers.literal import same_date, same_literal, same_time
from training.answers.normal import normalize, split_name
from training.answers.numbers import Number
from training.answers.reading import parse
from training.answers.values import Expression, Relation
from training.curation.agreement import meant
from training.curation.step import StepResult, split
from training.curation.uncheckable import (
    asks_for_a_proof,
    has_parts,
    is_open_ended,
    lists_parts,
    names_a_choice,
    to_reader,
)
from training.recipe import curation as steps
from training.records import IMAGE_MARK, Problem
from training.rollout.protocol import Prompt

STEP, PROMPT_LENGTH = steps.VERIFIABILITY, steps.PROMPT_LENGTH
TOO_LONG = "prompt too long"
MAX_ANSWER_SIGNS = 100  # longer ones are derivations or code: no rule compares them
MAX_ANSWER_WORDS = 4  # "not enough information given" is a choice; more is a sentence

# In LaTeX: what only lays out, a sign that is written as a command, and what groups.
_LAYOUT = re.compile(
    r"\\(?:begin|end)\s*\{\w+\*?\}|\\(?:left|right|[bB]igg?[lrm]?|displaystyle)(?![A-Za-z])"
    r"|\\[,;:! ]"
)
_COMMAND, _GROUPING = re.compile(r"\\(?:[A-Za-z]+|.)"), re.compile(r"[\s{}$&]+")
_SEVERAL_ANSWERS = re.compile(  # `\;` is a space
    r"(?<!\\);|\n|\d\s+and\s+\S*\d|\A\$?(?:\(1\).*\(2\)|\(I\).*\(II\)|①\s.*②\s)"
)
_TEXT = re.compile(r"\\text\s?\{[^{}]*\}")  # words may go on in the next line
_ENVIRONMENT = re.compile(r"\\begin\{(\w+)\}.*?\\end\{\1\}", re.DOTALL)  # a matrix has lines
_TWO_NUMBERS = re.compile(r"\$?-?\d+(?:\.\d+)?\$? and \$?-?\d+(?:\.\d+)?\$?")
# What stands for an answer where there is none.
_NO_ANSWER = re.compile(
    r"see (?:the )?(?:solution|above|below|proof|explanation)|(?:hence )?prove[nd]!?"
    r"|(?:the )?proof(?: is complete| complete| omitted)?|q\. ?e\. ?d|qed|n/a"
    r"|answers? (?:may |will )?var(?:y|ies)",
    re.IGNORECASE,
)

_WORD = re.compile(r"(?<!\\)\b[^\W\d_]{2,}")
# Compared with this, the verifier says whether an answer can be parsed, right or not.
_ANY_EXPRESSION = "q+w"
# In a prompt, `<|image_pad|>` and its like would stand for pixels that are not there.
_SPECIAL_TOKEN = re.compile(r"<\|(?!\w_)\w{3,}\|>|<image>|<video>")  # `0 <|x_1|> 1` has none


def _unplaced(problem: Problem) -> str:
    """The question without the marks of its images, of which there are as many as images."""
    question = problem["question"]
    is_placed = question.count(IMAGE_MARK) == len(problem["images"])
    return question.replace(IMAGE_MARK, " ") if is_placed else question


def _told(problem: Problem) -> str:
    return to_reader(problem["question"], problem["answer"])


def _is_told(task: Callable[[str, str], bool], problem: Problem) -> bool:
    """Whether a problem has such a task; not where its answer is one of the choices it lists."""
    question, answer = problem["question"], problem["answer"]
    return task(_told(problem), answer) and not names_a_choice(question, answer)


Rule = Callable[[Problem], bool]

# Reason -> whether a problem has that fault. The first that holds is the reason kept.
RULES: dict[str, Rule] = {
    "no question": lambda problem: not _unplaced(problem).strip(),
    "no reference answer": lambda problem: _is_none(problem["answer"]),
    "answer too long": lambda problem: _is_too_long(problem["answer"]),
    "images missing": lambda problem: (
        problem["modality"] == "multimodal"
        and not (problem["images"] and all(image["bytes"] for image in problem["images"]))
    ),
    "images in a text problem": lambda problem: (
        problem["modality"] == "text" and bool(problem["images"])
    ),
    "special tokens in the text": lambda problem: any(
        _SPECIAL_TOKEN.search(text) for text in (_unplaced(problem), problem["solution"] or "")
    ),
    "asks for a proof": lambda problem: _is_told(asks_for_a_proof, problem),
    "open-ended question": lambda problem: _is_told(is_open_ended, problem),
    "several questions in one": lambda problem: has_parts(_told(problem), problem["answer"]),
    "several answers in one": lambda problem: _has_several_values(problem["answer"]),
    "answer in prose": lambda problem: _is_prose(problem["answer"]),
}


def keep_verifiable(problems: Sequence[Problem], verifier: AnswerVerifier) -> StepResult:
    """Drops problems that break a rule, or whose answer the verifier cannot work with."""
    return split(problems, faults(problems, verifier), STEP)


def faults(problems: Sequence[Problem], verifier: AnswerVerifier) -> list[str | None]:
    """Why each problem cannot be verified, or None.

    The verifier knows numbers, choices, words, sets and the like by itself, and leaves the rest to
    math-verify: what neither can read is dropped. A trace must not end in another answer than the
    reference: one of them is wrong. One without an answer is left to `traces.faults`. A comparison
    that was killed, died or is beyond the verifier's limits shows neither: such rows go for the
    verifier's own reason.
    """
    reasons = [_broken_rule(problem) for problem in problems]
    unknown = [i for i in _kept(reasons) if not _is_read(problems[i])]
    boxed = [f"\\boxed{{{problems[i]['answer']}}}" for i in unknown]
    verdicts = verifier.judge(boxed, [_ANY_EXPRESSION] * len(boxed))
    for i, verdict in zip(unknown, verdicts, strict=True):
        if verdict.is_limit:
            reasons[i] = f"answer {verdict.reason}"
        elif verdict.outcome == "unparseable":
            reasons[i] = "answer that cannot be parsed"

    traced = [i for i in _kept(reasons) if problems[i]["solution"] is not None]
    traces = [problems[i]["solution"] or "" for i in traced]
    answers = [problems[i]["answer"] for i in traced]
    verdicts = verifier.judge(traces, answers, [problems[i]["question"] for i in traced])
    for i, trace, verdict in zip(traced, traces, verdicts, strict=True):
        if verdict.is_limit:
            reasons[i] = f"solution {verdict.reason}"
        elif verdict.outcome == "wrong":
            reasons[i] = "solution contradicts the answer"
        elif verdict.outcome == "unparseable" and extract_boxed(trace) is not None:
            reasons[i] = "solution whose answer cannot be parsed"
    return reasons


def _is_read(problem: Problem) -> bool:
    """Whether the answer, or the choice of the question that it names, is known without algebra."""
    answer = normalize(meant(problem["answer"], problem["question"]))
    written_out = split_name(answer)[1]
    return parse(answer) is not None or any(
        same(written_out, written_out) for same in (same_literal, same_time, same_date)
    )


def drop_long_prompts(
    problems: Sequence[Problem],
    count_tokens: Callable[[Sequence[Prompt]], Sequence[int]],
    max_prompt_tokens: int,
) -> StepResult:
    """Drops problems whose prompt, images included, has too many tokens.

    Args:
        problems: The problems.
        count_tokens: Length of each prompt as the policy sees it, tokens.
        max_prompt_tokens: The longest prompt that stays.
    """
    lengths = count_tokens([Prompt(row["question"], row["images"]) for row in problems])
    reasons = [TOO_LONG if length > max_prompt_tokens else None for length in lengths]
    details = dict.fromkeys(range(len(problems)), longer_than(max_prompt_tokens))
    return split(problems, reasons, PROMPT_LENGTH, details)


def longer_than(max_prompt_tokens: int) -> str:
    """What a longer prompt goes by: a setting, and so no part of the reason."""
    return f"more than {max_prompt_tokens} tokens"


def _kept(reasons: Sequence[str | None]) -> list[int]:
    return [index for index, reason in enumerate(reasons) if reason is None]


def num_words(text: str) -> int:
    """Words outside LaTeX commands."""
    return len(_WORD.findall(text))


def num_signs(answer: str) -> int:
    r"""Characters that a reader sees, about: `\dfrac{1}{2}` has three, and spaces are none."""
    return len(_GROUPING.sub("", _COMMAND.sub("+", _LAYOUT.sub(" ", answer))))


def _is_too_long(answer: str) -> bool:
    """Whether it has too many signs, or no box of a response could hold it."""
    return len(answer) > MAX_ANSWER_CHARS or num_signs(answer) > MAX_ANSWER_SIGNS


def _is_none(answer: str) -> bool:
    """Of one that is too long the reason is that."""
    if _is_too_long(answer):
        return not answer.strip()
    return not answer.strip() or _NO_ANSWER.fullmatch(normalize(answer)) is not None


def _is_prose(answer: str) -> bool:
    """Not so `ab+bc+cd+de+ea`, whose products look like words."""
    return num_words(answer) > MAX_ANSWER_WORDS and not isinstance(
        parse(normalize(answer)), Number | Expression | Relation
    )


def _has_several_values(answer: str) -> bool:
    text = _TEXT.sub(lambda found: found[0].replace("\n", " "), answer)
    text = _ENVIRONMENT.sub("", text).strip()
    text = text.removeprefix("$$").removesuffix("$$").strip()
    if _TWO_NUMBERS.fullmatch(text):  # the verifier's set
        return False
    return _SEVERAL_ANSWERS.search(text) is not None or lists_parts(answer)


def _broken_rule(problem: Problem) -> str | None:
    """The first reason against a problem; what takes long is asked last."""
    reason = texts.fault_of(*(value for value in problem.values() if isinstance(value, str)))
    reason = reason or next((name for name, broken in RULES.items() if broken(problem)), None)
    return reason or images.fault_of(problem["images"], min_side=images.MIN_SIDE)
