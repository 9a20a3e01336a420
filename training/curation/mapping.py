"""A row of a source as a record, or the reason why it is none."""

import math
import re
import reprlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, TypeAlias, cast

from training.answers.boxed import extract_boxed, extract_listed
from training.curation.agreement import agree_by_rule
from training.curation.chats import Chat, check_turns, read_chat
from training.curation.columns import (
    CHAT,
    FROM_SOLUTION,
    OPTIONS,
    THOUGHTS,
    Columns,
    Missing,
    value_at,
)
from training.curation.kept import check_kept
from training.curation.lines import Row
from training.curation.options import check_options, letter_at, letter_of, with_options
from training.curation.refused import Refused
from training.curation.row_images import read_images
from training.curation.thoughts import with_thoughts
from training.recipe.sources import SourceRecipe
from training.records import IMAGE_MARK, OPTIONAL_FIELDS, EncodedImage, Problem

Texts: TypeAlias = dict[str, str | None]  # by field
HASHES = "####"
# A column in percent loses all its rows for this reason: it says what to do about it.
NO_SHARE = "`pass_rate` that is no share from 0 to 1 (in percent?); `pass_rate = false` skips it"
_SCALARS = (str, int, float, Decimal, date, time, timedelta)
# Where a line may break, or may not: zero-width space and no-break space, word joiner, soft hyphen.
# Copies of pages are full of them, and a reader sees the same without them.
_BREAKS = re.compile("[\u00ad\u200b\u2060\ufeff]+")
_SHOWN = reprlib.Repr()
_SHOWN.maxdict = _SHOWN.maxlist = 20
_SHOWN.maxstring = _SHOWN.maxother = 500  # characters


@dataclass(frozen=True)
class Mapped:
    """What became of one row.

    Attributes:
        problem: The record; of a refused row, what could be read of it.
        refused: Why the row is no record, or None.
        num_system_turns: Turns of its conversation that were left out.
        shares_id: Whether its source gave the same id to an earlier row.
    """

    problem: Problem
    refused: str | None = None
    num_system_turns: int = 0
    shares_id: bool = False


def map_row(row: Row, columns: Columns, source: SourceRecipe, index: int, folder: Path) -> Mapped:
    """Maps one row.

    Args:
        row: Values by column.
        columns: Where each field's value lies.
        source: The recipe's source.
        index: The row's place in its source, for an id.
        folder: Where files of images lie.
    """
    values = {field: [_at(row, path) for path in paths] for field, paths in columns.items()}
    first = {field: found[0] for field, found in values.items()}
    pass_rate = None
    try:
        check_kept(row, source.keep)
        pass_rate = _pass_rate(first.get("pass_rate"))
        for path in columns.get("question", ()):  # `conversations.0.value`
            above, *rest = path.rsplit(".", 2)
            check_turns(_at(row, above) if len(rest) == 2 else None)
        chat = None if first.get(CHAT) is None else read_chat(first[CHAT])
        images = read_images(first.get("images"), folder)
        problem = _problem(values, source, index, chat, images)
    except Refused as reason:
        shown = {field: _shown(value) for field, value in first.items() if field != "images"}
        if CHAT in shown:
            shown.setdefault("question", shown[CHAT])
        return Mapped(_record(shown, source, index, [], pass_rate), str(reason))
    turns = chat.num_system_turns if chat else 0
    return Mapped({**problem, "pass_rate": pass_rate}, num_system_turns=turns)


def line_problem(text: str, place: str, source: SourceRecipe) -> Problem:
    """A line that holds no row, as the record that goes among the rejects."""
    shown: Texts = {"id": clean(place), "question": clean(text)}
    return _record(shown, source, 0, [], None)


def clean(text: str) -> str:
    """A text without marks of line breaks, which can be stored.

    Halves of a surrogate pair become U+FFFD, for which the row is rejected.
    """
    if not text.isascii():
        text = _BREAKS.sub("", text)
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text


def text_of(value: object, field: str) -> str | None:
    """A scalar as text; bytes that are no UTF-8 become U+FFFD, for which the row is rejected.

    Returns:
        The text without spaces around it; None where there is none.

    Raises:
        Refused: The value is no scalar; a list in Python's words would be trained on.
    """
    if isinstance(value, bytes):
        value = value.decode("utf-8", "replace")
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return None
    if not isinstance(value, _SCALARS):
        raise _no_text(field)
    try:
        return clean(str(value)).strip() or None
    except ValueError:  # a number of more digits than Python writes out
        raise _no_text(field) from None


def _no_text(field: str) -> Refused:
    hint = f"; `{field} = false` skips it" if field in OPTIONAL_FIELDS else ""
    return Refused(f"`{field}` that is no text{hint}")


def _at(row: Row, path: str) -> object:
    value = value_at(row, path)
    return None if isinstance(value, Missing) else value


def _problem(
    values: dict[str, list[Any]],
    source: SourceRecipe,
    index: int,
    chat: Chat | None,
    images: list[EncodedImage],
) -> Problem:
    texts: Texts = {
        field: text_of(found[0], field)
        for field, found in values.items()
        if field not in (CHAT, OPTIONS, "images", "answer", "pass_rate")
    }
    if chat:
        texts.setdefault("question", clean(chat.question).strip())
        texts.setdefault("solution", clean(chat.solution or "").strip() or None)
    question = place_images(texts.get("question") or "", len(images), source)
    options = _options(values.get(OPTIONS, []))
    found = _one_answer(values.get("answer", [None])[0])
    if found is None and source.answer_rule in FROM_SOLUTION:
        found = texts.get("solution")
    answer = RULES[source.answer_rule](found or "", options)
    if source.columns.get("solution") is False:  # a chat's may have held the answer
        texts["solution"] = None
    texts["solution"] = with_thoughts(texts.pop(THOUGHTS, None), texts.get("solution"))
    if options:
        check_options(options)
        question = with_options(question, options)
        if answer and source.answer_rule != "index":
            answer = letter_of(answer, options)
    return _record(texts | {"question": question, "answer": answer}, source, index, images, None)


def place_images(question: str, num_images: int, source: SourceRecipe) -> str:
    """The question with its marks where images stand among the words, and without leading ones.

    Raises:
        Refused: There are more or fewer marks than images, and not none.
    """
    num_marks = question.count(IMAGE_MARK)
    if num_marks == 0:
        return question
    if num_images == 0 and source.modality == "multimodal":  # the missing images are the reason
        return question.replace(IMAGE_MARK, "").strip()
    if num_marks != num_images:
        raise Refused("more or fewer `<image>` than images")
    words = question
    while words.startswith(IMAGE_MARK):
        words = words.removeprefix(IMAGE_MARK).lstrip()
    return question if IMAGE_MARK in words else words


def _options(values: Sequence[Any]) -> list[str]:
    """The choices: of one column with a list, or of several with one each; empty ones at the end
    are none.
    """
    held = values[0] if len(values) == 1 else list(values)
    if held is None:
        return []
    if not isinstance(held, list):
        raise Refused("`options` that is no list")
    texts = [text_of(one, "options") for one in held]
    while texts and texts[-1] is None:
        texts.pop()
    if None in texts:
        raise Refused("an option without text")
    return [text for text in texts if text is not None]


def _one_answer(value: object) -> str | None:
    """The answer; a list is an answer if all that it holds is equal."""
    if not isinstance(value, list):
        return text_of(value, "answer")
    texts = {text for one in value if (text := text_of(one, "answer")) is not None}
    if len(texts) > 1:
        raise Refused("several answers in a list")
    return next(iter(texts), None)


def _whole(text: str, options: Sequence[str]) -> str:
    del options
    return text


def _after_hashes(text: str, options: Sequence[str]) -> str:
    """What stands behind the last `####`, to the end of its line, as in GSM8K."""
    del options
    _, hashes, answer = text.rpartition(HASHES)
    if not hashes:
        raise Refused("no answer after `####`")
    return answer.strip().partition("\n")[0].strip()


def _last_boxed(text: str, options: Sequence[str]) -> str:
    del options
    answer = extract_boxed(text)
    if answer is None:
        raise Refused("no answer in a last `\\boxed{}`")
    *others, last = extract_listed(text)  # one value in several writings is no list
    return last if others and all(agree_by_rule(one, last) for one in others) else answer


def _index(text: str, options: Sequence[str]) -> str:
    return letter_at(text, options) if text else ""


RULES: dict[str, Callable[[str, Sequence[str]], str]] = {
    "whole": _whole,
    "after_hashes": _after_hashes,
    "last_boxed": _last_boxed,
    "index": _index,
}


def _pass_rate(rate: object) -> float | None:
    """A share; None where there is none, which has it measured.

    Raises:
        Refused: It is something else.
    """
    text = text_of(rate, "pass_rate")
    if text is None:
        return None
    try:
        share = float(text)
    except ValueError:
        share = math.nan
    if not 0.0 <= share <= 1.0:
        raise Refused(NO_SHARE)
    return share


def _shown(value: object) -> str | None:
    """What a reject keeps of a value: a scalar's text, or how the rest begins."""
    try:
        return text_of(value, "any")
    except Refused:
        return clean(_SHOWN.repr(value))


def _record(
    texts: Texts,
    source: SourceRecipe,
    index: int,
    images: list[EncodedImage],
    pass_rate: float | None,
) -> Problem:
    level = (texts.get("level") or "").removesuffix(".0")  # of a column of floats
    return cast(
        Problem,
        {
            # Ids are a source's own: other sources count from 0, too. No name holds a slash.
            "id": f"{source.name}/{texts.get('id') or f'{index:09d}'}",
            "source": source.name,
            "modality": source.modality,
            "family": texts.get("family") or source.name,
            "template": texts.get("template") or source.name,
            # A level from 1 to 10; any other grading is left to the pass rate.
            "level": int(level) if level in map(str, range(1, 11)) else None,
            "question": texts.get("question") or "",
            "images": images,
            "answer": texts.get("answer") or "",
            "solution": texts.get("solution"),
            "reading": texts.get("reading"),
            "pass_rate": pass_rate,
        },
    )
