"""What questions tell their reader to do: proofs and the like have no answer that a rule checks."""

import re
from collections import deque
from collections.abc import Iterator

from training.answers.normal import normalize
from training.answers.options import letter_of, read_options
from training.answers.reading import parse
from training.answers.values import Words
from training.curation.figures import without_figures

# Where a verb tells the reader to do something: "Draw the graph.", not "a hand that you draw".
_BEGINS = r"^[^\w\n]{0,20}|[.!?:;][\s*]{0,20}"
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
# What is told to be found; "Find a proof of it." and "Give the details." are proofs.
_FINDS = (
    r"(?:find|determine|compute|calculate|evaluate|solve|simplify|factor(?:i[sz]e)?|expand"
    r"|(?:give|state|write down|deduce) (?:the|its))"
    r"\b(?! that\b| (?:\w{1,20} ){0,3}(?:proof|details?|reasons?|argument)\b)"
)
_SO = r"(?:(?:then|also|so|hence(?: or otherwise)?|thus|therefore),? )?"
_BLANK = (
    r"__|\\_ ?\\_|\\underline ?\{(?:[\s~_}]|\\[qh ])|\\qquad ?\$? ?[.。]?\Z|[(（]\s{1,20}[)）]|（）"
)
# "The other root is:" or "则角A为" at the end: a question, with its blank or without.
_GAP = rf"{_BLANK}|(?:\b(?:is|are|equals)|[=为是]|等于)\s{{0,5}}[$:：.。]{{0,3}}\s{{0,5}}\Z"
# "Show that it is finite, and determine its mean." has an answer.
_THEN_FINDS = re.compile(
    rf"(?:[.!?;]\s{{1,20}}{_SO}|,\s(?:and|then) {_SO}){_FINDS}"
    rf"|[.!?;]\s{{1,20}}use (?:\w{{1,20}} ){{1,4}}to {_FINDS}|{_GAP}",
    re.IGNORECASE,
)
# Without a comma too, but not "that one can weigh three times and find the coin".
_AND_FINDS = re.compile(
    r"(?s)(?:(?!\b(?:can|could|may|might|will|would|must|should|you|we|(?:able|enough|how|possible"
    rf"|ways?) to)\b|[.!?;]\s).){{1,300}}?\b(?:and|then) {_SO}{_FINDS}",
    re.IGNORECASE,
)
# A question is one behind a proof, too, unless something is to be found before it.
_THEN_ASKS = re.compile(
    r"[.!?;]\s{1,20}(?:how (?:many|much)|what (?:is|are)|for (?:which|what))\b", re.IGNORECASE
)
_CLAIM = re.compile(r" that\b", re.IGNORECASE)
# Beside something to find these are no tasks: a way out, "all" said again, reasons of an answer.
_YOUR = r"your (?:answer|claim|result|conclusion|reasoning|choice)s?\b"
_BESIDE_AN_ANSWER = re.compile(
    r"\bor (?:else )?(?:prove|show) that\b"
    r"|\band (?:then )?(?:prove|show) that (?:there are no (?:more|others?)\b|no others? "
    r"|(?:these|they|those) are (?:all|the only)\b|(?:it|this) is the only\b)"
    rf"|(?:^|(?<=[.!?:;(])|\b(?:and|then|please))\s{{0,20}}"
    rf"(?:(?:prove|justify|explain|support) (?:that )?{_YOUR}"
    r"|explain how you (?:got|found|obtained|know)\b)"
    r"|\bif (?:a|an|the|it|such|no)\b[^.?!]{0,60}\b(?:not exist|impossible|undefined|no solution)"
    r",? (?:explain|say) why(?: not)?\b",
    re.IGNORECASE | re.MULTILINE,
)
# Alone these ask for a proof, beside something to find for a step on the way.
_TOLD_TO_CHECK = re.compile(
    rf"{_TOLD}(?:(?:verify|check|deduce|derive) that\b|(?:give|write) (?:a|the) proof\b"
    r"|demonstrate\b)|求证|(?:^|[，。；：:;,.)）\s])(?:试|请|并)?证明(?!过程|的|方法|步骤)",
    re.IGNORECASE | re.MULTILINE,
)
_OPEN = re.compile(
    rf"\b(?:explain|justify|give an example)\b|{_TOLD}discuss\b", re.IGNORECASE | re.MULTILINE
)
_ALWAYS_OPEN = r"\b(?:in your own words|what do you think)\b"
_MAY_BE_OPEN_ENDED = re.compile(
    rf"{_ALWAYS_OPEN}|\b(?:explain|justify|give an example|describe|discuss|draw|sketch|program"
    r"|construct|essay)\b",
    re.IGNORECASE,
)
# "To justify the cost, she needs ..." and "they can discuss a strategy" tell nobody.
_OPEN_ENDED = re.compile(
    rf"{_ALWAYS_OPEN}|{_TOLD}(?:describe|explain|justify|give an example)\b"
    rf"|(?:{_BEGINS})(?:discuss|write an essay)\b"
    r"|(?:[,()]\s{0,20}|\b(?:you|also)\s{1,20})(?:explain|justify)\b",
    re.IGNORECASE | re.MULTILINE,
)
_TOLD_TO_DRAW = re.compile(
    r"(?:^[^\w\n]{0,20}|[.!?:;,]\s{1,20})(?:please )?"
    r"(?:draw|sketch"
    r"|write a (?:\w{1,20} )?program(?: (?:to|that|which|for)(?: can| will)? \w{1,20})?)\b"
    r"|\b(?:and|then|please|to) (?:draw|sketch) (?:\w{1,20} ){0,3}"
    r"(?:graph|diagram|picture|figure|curve|plot|chart|region|line|reflection|image|it)s?\b",
    re.IGNORECASE | re.MULTILINE,
)
_TOLD_TO_CONSTRUCT = re.compile(
    rf"(?:{_BEGINS})construct (?:a|an|the)\b", re.IGNORECASE | re.MULTILINE
)
_ASKS = re.compile(r"\?|\b(?:find|compute|calculate|determine|how many|how much)\b", re.IGNORECASE)
# `(a) ... (b) ...` or `(i) ... (ii) ...`; `f(a)` is no part, nor is `(0, a)`: see `_marks`.
_ALONE = r"(?<![\w'’})\](])"
_FIRST_PART = re.compile(rf"{_ALONE}(?:\(?a\)|\(i\))\s")
_SECOND_PART = re.compile(rf"{_ALONE}(?:\(?b\)|\(ii\))\s")
_ANY_PART = re.compile(rf"{_ALONE}\(?[a-z]\)\s")
_APPLIED = re.compile(r"(?:\\[a-z]+|\b[a-zA-Z]) \([a-z]\)")  # `\cos (x)` and `f (x)`
_MAX_BRACKET = 200  # characters between a bracket and the one that closes it
_CHOICE = re.compile(r"\(?[a-jA-J]\)?\.?")
_TASK = re.compile(
    rf"{_ASKS.pattern}|\b(?:solve|evaluate|simplify|prove|show that|(?<!of )what)\b|[？求]|写出",
    re.IGNORECASE,
)
_ANY_TASK = re.compile(
    rf"{_TASK.pattern}|\b(?:give|state|list|name|write|identify|which|measure)\b|多少|计算"
    r"|\bfactori[sz]e\b|[并再](?:因式分解|分解因式|化简|解)"
    # Words that tell nobody elsewhere: "x - 2 is a factor".
    rf"|(?:{_BEGINS}|[,;]\s{{1,20}}|\b(?:and|then|hence|thus|to)\s{{1,20}})"
    rf"(?:factor|expand|express|estimate|round|convert|complete|reduce)\b|{_GAP}",
    re.IGNORECASE | re.MULTILINE,
)
_CONDITIONS = re.compile(r"\b(?:such that|so that|satisf|conditions?\b|propert)", re.IGNORECASE)
_STATEMENTS = re.compile(r"\bfollowing statements\b", re.IGNORECASE)
_SENTENCE_END = re.compile(r"[.?!]\s")
_WORD = re.compile(r"(?<!\\)\b[^\W\d_]{2,}|[\u4e00-\u9fff]")
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


def to_reader(question: str, answer: str) -> str:
    """What a question tells its reader to do.

    Without the code of its figures, and where its answer is a value to find, without what it asks
    to be said beside it: "Find the least n, or show that there is none. Justify your answer."
    """
    text = without_figures(question)
    rest, num_beside = _BESIDE_AN_ANSWER.subn(" ", text)
    return rest if num_beside and _ANY_TASK.search(rest) and _is_value(answer) else text


def names_a_choice(question: str, answer: str) -> bool:
    """Whether the answer is the letter of a choice that the question lists: one can be checked."""
    letter = letter_of(normalize(answer))
    return letter is not None and letter in read_options(question)


def asks_for_a_proof(question: str, answer: str) -> bool:
    """Not so "Which theorem is used to prove this?" and "Records show that...: how many?"."""
    if _TOLD_TO_CHECK.search(question) and not _ANY_TASK.search(_TOLD_TO_CHECK.sub(" ", question)):
        return True
    last = _last(_PROOF, question)
    if last is None:  # nearly all
        return False
    told = _last(_TOLD_TO_PROVE, question)
    if told is not None and not _is_step(told, answer):
        return True
    return _ASKS.search(question, last.end()) is None and not _is_step(last, answer)


def is_open_ended(question: str, answer: str) -> bool:
    """Cards are drawn, too, and what is drawn may be asked about: that has an answer."""
    if _MAY_BE_OPEN_ENDED.search(question) is None:  # nearly all
        return False
    if _OPEN_ENDED.search(question) or _is_to_construct(question, answer):
        return True
    return any(_ends_with(task, question) for task in (_OPEN, _TOLD_TO_DRAW))


def _is_step(proof: re.Match[str], answer: str) -> bool:
    """Whether a proof is of a claim, "Show that...", behind which there is a value to find."""
    question, end = proof.string, proof.end()
    if not _CLAIM.search(question, proof.start(), end + len(" that")) or not _is_value(answer):
        return False
    if _THEN_FINDS.search(question, end) or _AND_FINDS.match(question, end):
        return True
    is_first = _ASKS.search(question, 0, proof.start()) is None
    return is_first and _THEN_ASKS.search(question, end) is not None


def _is_value(answer: str) -> bool:
    """Whether an answer is numbers or a formula, not words or the letters of points."""
    text = normalize(answer)
    if isinstance(parse(text), Words | None):
        return _WORD.search(text) is None and not text.isupper()
    return True


def _is_to_construct(question: str, answer: str) -> bool:
    """Whether a question ends in the construction of what is no value, and asks nothing else."""
    last = _last(_TOLD_TO_CONSTRUCT, question)
    if last is None or _SENTENCE_END.search(question, last.end()) or _is_value(answer):
        return False
    return _ANY_TASK.search(question) is None


def _last(task: re.Pattern[str], question: str) -> re.Match[str] | None:
    return next(iter(deque(task.finditer(question), maxlen=1)), None)


def _ends_with(task: re.Pattern[str], question: str) -> bool:
    """Whether a question has such a task, and asks for nothing behind the last one."""
    last = _last(task, question)
    return last is not None and _ASKS.search(question, last.end()) is None


def has_parts(question: str, answer: str) -> bool:
    """Whether parts each ask; conditions with such marks are asked about before or behind them."""
    if _CHOICE.fullmatch(answer.strip()):
        return False
    first = next(_marks(_FIRST_PART, question), len(question))
    if second := next(_marks(_SECOND_PART, question, first), None):
        *before, lead = _SENTENCE_END.split(question[:first])
        is_behind = _TASK.search(question, second) and not _TASK.search(lead)
        # "... the following conditions? (a)": what stands before the mark is a sentence.
        told = lead if _WORD.search(lead) else "".join(before[-1:])
        is_told = is_behind or _CONDITIONS.search(told) or _STATEMENTS.search(question[:first])
        if _TASK.search(question, first, second) or not is_told:
            return True
    if (one := _FIRST_MARK.search(question)) and (two := _SECOND_MARK.search(question, one.end())):
        asks = _TASK.search(question, one.end(), two.start()) and _TASK.search(question, two.end())
        return bool(asks) and _NUMBERED.search(question) is None
    return False


def lists_parts(answer: str) -> bool:
    """Whether an answer has the marks of parts: `(a) 3 (b) 4`."""
    return any(_marks(_ANY_PART, _APPLIED.sub(" ", answer)))


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
