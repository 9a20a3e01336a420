"""The rule-based filter of curation: keeps problems whose answer a rule can verify.

Paper section 3.1 (GRAMMAR): drop proofs and whatever is hard to verify. Added here: equal
problems, and prompts too long for the policy. A prompt is never truncated: cutting it would part
image placeholders from their features.
"""

import re
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence

from training import images, texts
from training.answers import AnswerVerifier, extract_boxed
from training.answers.literal import same_date, same_literal, same_time
from training.answers.normal import normalize, split_name
from training.answers.numbers import Number
from training.answers.reading import parse
from training.answers.values import Expression, Relation, Words
from training.curation.agreement import Conflict, conflict, meant
from training.curation.step import StepResult, split
from training.recipe import curation as steps
from training.records import IMAGE_MARK, Problem, question_key
from training.rollout.protocol import Prompt

STEP, DUPLICATES, PROMPT_LENGTH = steps.VERIFIABILITY, steps.DUPLICATES, steps.PROMPT_LENGTH
MAX_ANSWER_CHARACTERS = 100  # longer ones are derivations or code: no rule compares them
MAX_ANSWER_WORDS = 4  # "not enough information given" is a choice; more is a sentence

# The code of a figure says `draw` to a computer. No match goes over another figure's beginning.
_FIGURE = re.compile(
    r"(?s)(\[asy\]|\\begin\{(?:asy|tikz\w*)\})(?:(?!\1).)*?(?:\[/asy\]|\\end\{(?:asy|tikz\w*)\})"
)
# Where a verb tells the reader to do something: "Draw the graph.", not "a hand that you draw".
_BEGINS = r"^[^\w\n]{0,20}|[.!?:;]\s{0,20}"
_TOLD = rf"(?:{_BEGINS}|\b(?:and|then|please)\s{{1,20}})"
_HOW = r"(?:,? (?:\w{1,20}ly|also|further|(?:by|using|with)(?: \w{1,20}){1,3}),?)?"
_PROVES = (
    rf"(?:prove|disprove|show{_HOW} that|proof of|demonstrate that"
    r"|establish (?:that|the (?:identity|inequality)))\b"
)
# "The results, (see the table), show that ..." tells nobody; "If x > 1, prove ..." does.
_TOLD_TO_PROVE = re.compile(
    rf"{_TOLD}{_PROVES}|(?:[,)]\s{{0,20}}|\b(?:(?<!\bif )you|also)\s{{1,20}})(?:prove|disprove)\b",
    re.IGNORECASE | re.MULTILINE,
)
_PROOF = re.compile(rf"\b{_PROVES}", re.IGNORECASE)
_OPEN = re.compile(r"\b(?:explain|discuss|justify|give an example)\b", re.IGNORECASE)
_ALWAYS_OPEN = r"\b(?:in your own words|what do you think|write an essay)\b"
_MAY_BE_OPEN_ENDED = re.compile(
    rf"{_OPEN.pattern}|{_ALWAYS_OPEN}|\b(?:describe|draw|sketch|program)\b", re.IGNORECASE
)
# "To justify the cost, she needs ..." and "friends who meet and discuss books" tell nobody.
_OPEN_ENDED = re.compile(
    rf"{_ALWAYS_OPEN}|{_TOLD}(?:describe|explain|justify|give an example)\b|(?:{_BEGINS})discuss\b"
    r"|(?:[,()]\s{0,20}|\b(?:you|also)\s{1,20})(?:explain|justify)\b",
    re.IGNORECASE | re.MULTILINE,
)
_TOLD_TO_DRAW = re.compile(
    r"(?:^[^\w\n]{0,20}|[.!?:;,]\s{1,20})(?:please )?"
    r"(?:draw|sketch|write a (?:\w{1,20} )?program)\b"
    r"|\b(?:and|then|please|to) (?:draw|sketch) (?:\w{1,20} ){0,3}"
    r"(?:graph|diagram|picture|figure|curve|plot|chart|region|line|reflection|image|it)s?\b",
    re.IGNORECASE | re.MULTILINE,
)
_ASKS = re.compile(r"\?|\b(?:find|compute|calculate|determine|how many|how much)\b", re.IGNORECASE)
# `(a) ... (b) ...` or `(i) ... (ii) ...`; `f(a)` is no part, nor is `(0, a)`: see `_marks`.
_ALONE = r"(?<![\w'’})\](])"
_FIRST_PART = re.compile(rf"{_ALONE}(?:\(?a\)|\(i\))\s")
_SECOND_PART = re.compile(rf"{_ALONE}(?:\(?b\)|\(ii\))\s")
_ANY_PART = re.compile(rf"{_ALONE}\(?[a-z]\)\s")
_MAX_BRACKET = 200  # characters between a bracket and the one that closes it
_CHOICE = re.compile(r"\(?[a-jA-J]\)?\.?")
_TASK = re.compile(
    rf"{_ASKS.pattern}|\b(?:solve|evaluate|simplify|prove|show that|what)\b|[？求]|写出",
    re.IGNORECASE,
)
_CONDITIONS = re.compile(r"\b(?:such that|so that|satisf|conditions?\b|propert)", re.IGNORECASE)
_SENTENCE_END = re.compile(r"[.?!]\s")
# `(1) Find ... ② What ...`: such marks number equations, "from (1)", steps and statements, too.
_FIRST_MARK, _SECOND_MARK = (
    re.compile(
        rf"(?:(?<!\w\w\s)|(?<=[Pp]art\s)){_ALONE}(?:[(（](?:{names})[)）]|{circled})"
        rf"|(?:^|(?<=[.?!;:]\s)){names[0]}\.\s",
        re.MULTILINE,
    )
    for names, circled in (("1|a|i|I|Ⅰ", "①"), ("2|b|ii|II|Ⅱ", "②"))
)
_NUMBERED = re.compile(
    r"\b(?:which|steps?|arrange|algorithm|procedure|statements?|questions|true|correct)\b",
    re.IGNORECASE,
)
_SEVERAL_ANSWERS = re.compile(  # `\;` is a space
    r"(?<!\\);|\n|\d\s+and\s+\S*\d|\A\$?(?:\(1\).*\(2\)|\(I\).*\(II\)|①\s.*②\s)"
)
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


def _to_reader(problem: Problem) -> str:
    """What a question says to its reader: all but the code of its figures."""
    return _FIGURE.sub(" ", problem["question"])


Rule = Callable[[Problem], bool]

# Reason -> whether a problem has that fault. The first that holds is the reason kept.
RULES: dict[str, Rule] = {
    "no question": lambda problem: not _unplaced(problem).strip(),
    "no reference answer": lambda problem: _is_none(problem["answer"]),
    "answer too long": lambda problem: len(problem["answer"]) > MAX_ANSWER_CHARACTERS,
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
    "asks for a proof": lambda problem: _asks_for_a_proof(_to_reader(problem)),
    "open-ended question": lambda problem: _is_open_ended(_to_reader(problem)),
    "several questions in one": lambda problem: _has_parts(_to_reader(problem), problem["answer"]),
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


def drop_duplicates(problems: Sequence[Problem], verifier: AnswerVerifier) -> StepResult:
    """Keeps one of each group of equal problems; none if answers differ or can't be compared.

    Equal are problems with the same question, apart from case and white space, and the same
    images. Ids must be unique as well: of problems of two sources that spell one, the first stays.
    """
    answers = [meant(problem["answer"], problem["question"]) for problem in problems]
    asked = _numbered(question_key(problem["question"], problem["images"]) for problem in problems)
    told = _numbered(told_alike(one["answer"], one["question"]) for one in problems)
    groups = told_otherwise(asked, told)
    pairs = filter(None, (conflict(group, answers, verifier) for group in groups))
    found = repeats(asked, told, _numbered(problem["id"] for problem in problems), pairs)
    reasons = [found[place][0] if place in found else None for place in range(len(problems))]
    details = {place: problems[other]["id"] for place, (_, other) in found.items()}
    return split(problems, reasons, DUPLICATES, details)


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
    conflicts: Iterable[Conflict],
) -> dict[int, tuple[str, int]]:
    """The rows that repeat an earlier one, or contradict another one.

    Args:
        questions: Numbers from 0 on, the same for equal questions [N].
        answers: The same for answers that are told alike [N].
        ids: The same for equal ids [N].
        conflicts: Of questions whose answers differ, or cannot be compared, two rows.

    Returns:
        A row's place -> why it goes, and the place of the row that stays; of one whose question has
        a conflict, of which all go, that of a row with another answer.
    """
    conflicting = {questions[one.first]: one for one in conflicts}
    seen_questions, seen_ids = dict[int, int](), dict[int, int]()
    found = dict[int, tuple[str, int]]()
    for place, (question, id_) in enumerate(zip(questions, ids, strict=True)):
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


def _numbered(values: Iterable[str]) -> list[int]:
    numbers = dict[str, int]()
    return [numbers.setdefault(value, len(numbers)) for value in values]


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
    reason = too_long(max_prompt_tokens)
    reasons = [reason if length > max_prompt_tokens else None for length in lengths]
    return split(problems, reasons, PROMPT_LENGTH)


def too_long(max_prompt_tokens: int) -> str:
    """Why a longer prompt goes."""
    return f"prompt longer than {max_prompt_tokens} tokens"


def _kept(reasons: Sequence[str | None]) -> list[int]:
    return [index for index, reason in enumerate(reasons) if reason is None]


def num_words(text: str) -> int:
    """Words outside LaTeX commands."""
    return len(_WORD.findall(text))


def _asks_for_a_proof(question: str) -> bool:
    """Not so "Which theorem is used to prove this?" and "Records show that...: how many?"."""
    if _PROOF.search(question) is None:  # nearly all
        return False
    return bool(_TOLD_TO_PROVE.search(question)) or _ends_with(_PROOF, question)


def _is_open_ended(question: str) -> bool:
    """Cards are drawn, too, and what is drawn may be asked about: that has an answer."""
    if _MAY_BE_OPEN_ENDED.search(question) is None:  # nearly all
        return False
    return bool(_OPEN_ENDED.search(question)) or any(
        _ends_with(task, question) for task in (_OPEN, _TOLD_TO_DRAW)
    )


def _ends_with(task: re.Pattern[str], question: str) -> bool:
    """Whether a question has such a task, and asks for nothing behind the last one."""
    last = deque(task.finditer(question), maxlen=1)
    return bool(last) and _ASKS.search(question, last[0].end()) is None


def _has_parts(question: str, answer: str) -> bool:
    """Whether parts each ask; conditions with such marks are asked about before or behind them."""
    if _CHOICE.fullmatch(answer.strip()):
        return False
    first = next(_marks(_FIRST_PART, question), len(question))
    if second := next(_marks(_SECOND_PART, question, first), None):
        lead = _SENTENCE_END.split(question[:first])[-1]
        is_behind = _TASK.search(question, second) and not _TASK.search(lead)
        if _TASK.search(question, first, second) or not (is_behind or _CONDITIONS.search(lead)):
            return True
    if (one := _FIRST_MARK.search(question)) and (two := _SECOND_MARK.search(question, one.end())):
        asks = _TASK.search(question, one.end(), two.start()) and _TASK.search(question, two.end())
        return bool(asks) and _NUMBERED.search(question) is None
    return False


def _is_none(answer: str) -> bool:
    """Of one that is too long the reason is that."""
    if len(answer) > MAX_ANSWER_CHARACTERS:
        return not answer.strip()
    return not answer.strip() or _NO_ANSWER.fullmatch(normalize(answer)) is not None


def _is_prose(answer: str) -> bool:
    """Not so `ab+bc+cd+de+ea`, whose products look like words."""
    return num_words(answer) > MAX_ANSWER_WORDS and not isinstance(
        parse(normalize(answer)), Number | Expression | Relation
    )


def _has_several_values(answer: str) -> bool:
    text = _ENVIRONMENT.sub("", answer).strip()
    if _TWO_NUMBERS.fullmatch(text):  # the verifier's set
        return False
    return _SEVERAL_ANSWERS.search(text) is not None or any(_marks(_ANY_PART, answer))


def _marks(part: re.Pattern[str], text: str, start: int = 0) -> Iterator[int]:
    """Where marks of parts end; `a)` is none where it closes a bracket, as in `(0, a)`."""
    return (
        found.end()
        for found in part.finditer(text, start)
        if not _is_in_brackets(text[max(found.start() - _MAX_BRACKET, 0) : found.start()])
    )


def _is_in_brackets(before: str) -> bool:
    num_closed = 0
    for character in reversed(before):
        if character in ")]":
            num_closed += 1
        elif character in "([":
            if num_closed == 0:
                return True
            num_closed -= 1
    return False


def _broken_rule(problem: Problem) -> str | None:
    """The first reason against a problem; what takes long is asked last."""
    reason = texts.fault_of(*(value for value in problem.values() if isinstance(value, str)))
    reason = reason or next((name for name, broken in RULES.items() if broken(problem)), None)
    return reason or images.fault_of(problem["images"], min_side=images.MIN_SIDE)
