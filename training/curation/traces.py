r"""Reasoning traces for the cold start: written in one format, whole, and worth imitating.

A trace is never cut. One whose answer stands in `<answer>` tags or behind `####` is rewritten by
rule to end in `\boxed{}`; which rule it was is counted. One that gives several answers that way, or
another one in a box, keeps its marks and has a fault. A problem whose trace has a fault loses its
place in sets that need one, and no other.
"""

import re
import sys
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Sequence

from training.answers import extract_boxed
from training.curation.verifiability import told_alike
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


def convert(problem: Problem) -> tuple[Problem, str | None]:
    r"""A problem whose trace ends in `\boxed{}`, where a rule can make it do so.

    Returns:
        The problem, and the rule's name or None where nothing was changed: there is no such
        answer, there are several, or a box elsewhere has another one.
    """
    trace = problem["solution"]
    if trace is None:
        return problem, None
    rule, found = _marked(trace)
    if found is None:
        return problem, None
    before, said, after = trace[: found.start()], found[1].strip(), trace[found.end() :]
    answer = said if "\\boxed" in said else f"\\boxed{{{_SPACES.sub(' ', said)}}}"
    written, elsewhere = before + answer + after, before + after
    if "\\boxed" in elsewhere and not _have_one_answer(answer, elsewhere, written):
        return problem, None
    return {**problem, "solution": written}, rule


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
    words = text.split()
    runs = [tuple(words[i : i + NGRAM_WORDS]) for i in range(len(words) - NGRAM_WORDS + 1)]
    return 1.0 - len(set(runs)) / len(runs) if runs else 0.0


def ends_in_a_loop(text: str) -> bool:
    """Whether the same words come at least four times in a row at the end, over 60 words or more.

    Words with an answer's box are left out.
    """
    words = [word for word in text.split() if "\\boxed" not in word]
    for block in range(1, min(MAX_LOOP_BLOCK_WORDS, len(words) // LOOP_TIMES) + 1):
        span = max(block * LOOP_TIMES, LOOP_WORDS)
        tail = words[-span:]
        if len(tail) == span and tail[block:] == tail[:-block]:
            return True
    return False


def other_script_share(question: str, trace: str) -> float:
    """Share of a trace's letters in scripts that neither the question nor formulas use."""
    scripts = Counter(map(_script, filter(str.isalpha, trace)))
    usual = {"LATIN", "GREEK", "MATHEMATICAL", *map(_script, filter(str.isalpha, question))}
    other = sum(count for script, count in scripts.items() if script not in usual)
    return other / scripts.total() if scripts else 0.0


def _fault(question: str, trace: str, num_tokens: int, settings: TracesRecipe) -> str | None:
    rule, found = _marked(trace)
    if rule == "<answer> tags" or (found is not None and _is_value(found[1])):
        return f"trace that keeps its {rule}"
    if extract_boxed(trace) is None:
        return "trace without a boxed answer"
    if num_tokens < settings.min_tokens:
        return f"trace shorter than {settings.min_tokens} tokens"
    if num_tokens > settings.max_tokens:
        return f"trace longer than {settings.max_tokens} tokens"
    if ends_in_a_loop(trace):
        return "trace that ends in a loop"
    if repeated_share(trace) > settings.max_repeated:
        return "trace that repeats itself"
    if other_script_share(question, trace) > settings.max_other_script:
        return "trace in mixed scripts"
    return None


def _marked(trace: str) -> tuple[str, re.Match[str] | None]:
    """The rule for a trace's answer that is marked otherwise than by a box, and where it stands."""
    tags = _TAG.findall(trace)
    if tags:
        return "<answer> tags", _TAGGED.search(trace) if len(tags) == 2 else None
    return "####", _HASHES.search(trace)


def _is_value(said: str) -> bool:
    """Whether what stands behind the hashes is an answer and no more: no words around a value."""
    return "\\boxed" in said or len(said.split()) == 1


def _have_one_answer(*texts: str) -> bool:
    """Whether the last boxes of all texts have the same answer."""
    answers = [extract_boxed(text) for text in texts]
    return None not in answers and len({told_alike(one) for one in answers if one is not None}) == 1


def _script(letter: str) -> str:
    """The first word of a letter's Unicode name: LATIN, CJK, CYRILLIC..."""
    return unicodedata.name(letter, "UNNAMED").split()[0]
