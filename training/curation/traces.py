r"""Reasoning traces for the cold start: written in one format, whole, and worth imitating.

A trace is never cut. One whose answer stands in `<answer>` tags or behind `####` is rewritten by
rule to end in `\boxed{}`; which rule it was is counted. One that gives several answers that way, a
sentence, or another answer in a box, keeps its marks and has a fault. A problem whose trace has a
fault loses its place in sets that need one, and no other.
"""

import re
import sys
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import accumulate

from training.answers import extract_boxed
from training.curation.agreement import agree_by_rule
from training.curation.languages import language_of
from training.curation.thoughts import CLOSE, OPEN, behind_thoughts
from training.curation.verifiability import MAX_ANSWER_WORDS, num_words
from training.recipe.curation import TracesRecipe
from training.records import Problem

NGRAM_WORDS = 20
LOOP_WORDS = 60  # a block that repeats over so many words at the end is a loop
LOOP_TIMES = 4
MAX_LOOP_BLOCK_WORDS = 200

_TAG = re.compile(r"</?answer>", re.IGNORECASE)
_TAGGED = re.compile(r"<answer>\s*+(?!</answer>)(.*)</answer>", re.DOTALL | re.IGNORECASE)
_HASHES = re.compile(r"^####[ \t]*+(\S[^\n]*+)\s*+\Z", re.MULTILINE)
_SPACES = re.compile(r"\s+")
_BRACES, _BRACE = re.compile(r"(?<!\\)[{}]"), {"{": 1, "}": -1}
_SENTENCE = re.compile(
    r"\b(?:is|are|was|were|equals|answer|result|so|therefore|thus|hence|we|it|get)\b", re.IGNORECASE
)
# Scripts that put no spaces between words: Thai to Myanmar, Khmer, Chinese and Japanese.
_UNSPACED = (
    r"\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3000-\u30ff\u3400-\u4dbf\u4e00-\u9fff"
    r"\uf900-\ufaff\uff00-\uffef\U00020000-\U0003ffff"
)
_MAX_WORD = 40  # characters; a longer word is read in pieces
# A box, with the marks around it; or one character of those scripts; or a piece.
_PIECE = re.compile(
    rf"[^\w\s]{{0,8}}\\boxed\S*|[{_UNSPACED}]|(?:(?!\\boxed)[^\s{_UNSPACED}]){{1,{_MAX_WORD}}}"
)
# A language is known by so many different small words.
MIN_QUESTION_WORDS, MIN_TRACE_WORDS = 2, 5
MAX_LANGUAGE_CHARACTERS = 2000  # of a trace, from its beginning
TAGS, HASHES = "<answer> tags", "####"


def convert(problem: Problem) -> tuple[Problem, str | None]:
    r"""A problem whose trace ends in `\boxed{}`, where a rule can make it do so.

    Returns:
        The problem, and the rule's name or None where nothing was changed: there is no such
        answer, there are several, it is a sentence, its braces do not match, or a box
        elsewhere has another one.
    """
    trace = problem["solution"]
    if trace is None:
        return problem, None
    written, rule = _boxed(trace, problem["answer"])
    if rule == TAGS:  # there may be hashes, too
        written, _ = _boxed(written, problem["answer"])
    return (problem, None) if rule is None else ({**problem, "solution": written}, rule)


def convert_all(problems: Sequence[Problem]) -> tuple[list[Problem], dict[str, int]]:
    """Every problem as `convert` gives it back, and how many each rule changed."""
    converted = [convert(problem) for problem in problems]
    counts = Counter(rule for _, rule in converted if rule is not None)
    return [problem for problem, _ in converted], dict(sorted(counts.items()))


def faults(
    written: Iterable[tuple[str, str | None]],
    settings: TracesRecipe,
    count_tokens: Callable[[str], int],
) -> list[str | None]:
    """What is wrong with the traces.

    Args:
        written: Questions and their traces; where there is none nothing is wrong.
        settings: The recipe's bounds.
        count_tokens: Length of a text as the policy reads it, tokens.

    Returns:
        Of each trace its first fault, in words that are the same for all such, or None.
    """
    found: list[str | None] = []
    for question, trace in written:
        fault = None
        if trace is not None:
            fault = _fault(question, trace, count_tokens(trace), settings)
        found.append(None if fault is None else sys.intern(fault))  # held once
    return found


def repeated_share(text: str) -> float:
    """Share of a text's 20-word runs that occurred before; 0 for a shorter text."""
    words = list(_words(text))
    runs = [tuple(words[i : i + NGRAM_WORDS]) for i in range(len(words) - NGRAM_WORDS + 1)]
    return 1.0 - len(set(runs)) / len(runs) if runs else 0.0


def ends_in_a_loop(text: str) -> bool:
    """Whether the same words come at least four times in a row at the end, over 60 words or more.

    Words with an answer's box are left out.
    """
    words = [word for word in _words(text) if "\\boxed" not in word]
    for block in range(1, min(MAX_LOOP_BLOCK_WORDS, len(words) // LOOP_TIMES) + 1):
        span = max(block * LOOP_TIMES, LOOP_WORDS)
        tail = words[-span:]
        if len(tail) == span and tail[block:] == tail[:-block]:
            return True
    return False


def _words(text: str) -> Iterator[str]:
    """What stands between spaces, and in scripts without spaces each character."""
    for word in text.split():
        if word.isascii() and len(word) <= _MAX_WORD:  # nearly all
            yield word
        else:
            yield from _PIECE.findall(word)


def other_script_share(question: str, trace: str) -> float:
    """Share of a trace's letters in scripts that neither the question nor formulas use.

    Letters of full width and `ℝ` are Latin ones (NFKC).
    """
    question, trace = (unicodedata.normalize("NFKC", text) for text in (question, trace))
    scripts = Counter(map(_script, filter(str.isalpha, trace)))
    usual = {"LATIN", "GREEK", *map(_script, filter(str.isalpha, question))}
    other = sum(count for script, count in scripts.items() if script not in usual)
    return other / scripts.total() if scripts else 0.0


def _fault(question: str, trace: str, num_tokens: int, settings: TracesRecipe) -> str | None:
    rule, found = _marked(trace)
    if rule == TAGS or (found is not None and _is_value(found[1])):
        return f"trace that keeps its {rule}"
    if max(trace.count(OPEN), trace.count(CLOSE)) > 1:
        return "trace of several <think> blocks"
    if extract_boxed(behind_thoughts(trace)) is None:
        return "trace without a boxed answer"
    if num_tokens < settings.min_tokens:
        return "trace too short"
    if num_tokens > settings.max_tokens:
        return "trace too long"
    if ends_in_a_loop(trace):
        return "trace that ends in a loop"
    if repeated_share(trace) > settings.max_repeated:
        return "trace that repeats itself"
    if other_script_share(question, trace) > settings.max_other_script:
        return "trace in mixed scripts"
    asked_in, thought_in = (
        language_of(text, least)
        for text, least in (
            (question, MIN_QUESTION_WORDS),
            (trace[:MAX_LANGUAGE_CHARACTERS], MIN_TRACE_WORDS),
        )
    )
    if None not in (asked_in, thought_in) and asked_in != thought_in:
        return "trace in another language than the question"
    return None


def _marked(trace: str) -> tuple[str, re.Match[str] | None]:
    """The rule for a trace's answer that is marked otherwise than by a box, and where it stands."""
    tags = _TAG.findall(trace)
    if tags:
        return TAGS, _TAGGED.search(trace) if len(tags) == 2 else None
    return HASHES, _HASHES.search(trace)


def _boxed(trace: str, reference: str) -> tuple[str, str | None]:
    """A trace with its marked answer in a box, and the rule, or None where nothing was changed.

    Beside a box with the same answer in another writing the mark is taken out: two side by side
    would be read as two answers.
    """
    rule, found = _marked(trace)
    if found is None:
        return trace, None
    before, said, after = trace[: found.start()], found[1].strip(), trace[found.end() :]
    if not _is_balanced(said):
        return trace, None
    if "\\boxed" not in said and said != reference and _is_sentence(said):
        return trace, None
    answer = said if "\\boxed" in said else f"\\boxed{{{_SPACES.sub(' ', said)}}}"
    written, elsewhere = before + answer + after, before + after
    if "\\boxed" not in elsewhere:
        return written, rule
    if not _have_one_answer(answer, elsewhere):
        return trace, None
    return written if _have_one_answer(answer, written) else before.rstrip() + after, rule


def _is_balanced(said: str) -> bool:
    """Whether every brace that opens a group has one that closes it."""
    signs = (_BRACE[sign] for sign in _BRACES.findall(said))
    depths = list(accumulate(signs, initial=0))
    return min(depths) == depths[-1] == 0


def _is_sentence(said: str) -> bool:
    return num_words(said) > MAX_ANSWER_WORDS or _SENTENCE.search(said) is not None


def _is_value(said: str) -> bool:
    """Whether what stands behind the hashes is an answer and no more: no words around a value."""
    return "\\boxed" in said or len(said.split()) == 1


def _have_one_answer(first: str, second: str) -> bool:
    """Whether of the last boxes of two texts each is right, by rule, for the other one."""
    one, other = extract_boxed(first), extract_boxed(second)
    return one is not None and other is not None and agree_by_rule(one, other)


def _script(letter: str) -> str:
    """The first word of a letter's Unicode name: LATIN, CJK, CYRILLIC..."""
    return unicodedata.name(letter, "UNNAMED").split()[0]
