"""Writes the document as Markdown: tables and text; pictures become their descriptions."""

import re

from report.blocks import (
    Beside,
    Block,
    Cell,
    Code,
    Document,
    Figure,
    Link,
    Prose,
    Sample,
    Section,
    Table,
)
from report.text import printable

# An underscore inside a word is no markup; escaped it would only be harder to read.
_SPECIAL = re.compile(r"([\\`*\[\]<>|~#&]|(?<!\w)_|_(?!\w))")


def markdown_page(document: Document) -> str:
    """The document as GitHub-flavoured Markdown."""
    head = f"# {_text(document.title)}\n\n{_text(document.subtitle)}\n"
    return "\n".join([head, *(markdown_section(section) for section in document.sections)])


def markdown_section(section: Section) -> str:
    """One section under a second-level heading."""
    return "\n".join([f"## {_text(section.title)}\n", *map(_block, section.blocks)])


def _text(text: str) -> str:
    """One line of text in which nothing is markup."""
    return _SPECIAL.sub(r"\\\1", " ".join(printable(text).split()))


def _block(block: Block) -> str:
    match block:
        case Prose(text, _):
            return f"{_text(text)}\n"
        case Link(text, file):
            return f"{_text(text)}: {_text(file)} beside the HTML report\n"
        case Table():
            return _table(block)
        case Figure(title, description, _, _):
            return f"*{_text(title)}.* {_text(description)}\n"
        case Beside(picture, table):
            return f"{_block(picture)}\n{_block(table)}"
        case Code(caption, text):
            return f"{_text(caption)}:\n\n{_fenced(text)}"
        case Sample():
            return _sample(block)


def _table(table: Table) -> str:
    rule = ["---:" if side == "r" else "---" for side in table.align]
    rows = [[_cell(cell) for cell in row] for row in table.rows]
    lines = [[_text(name) for name in table.columns], rule, *rows]
    body = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    return f"**{_text(table.caption)}**\n\n{body}\n"


def _cell(cell: str | Cell) -> str:
    text = cell.text if isinstance(cell, Cell) else cell
    return "<br>".join(_text(line) for line in text.split("\n"))


def _sample(sample: Sample) -> str:
    image = "The problem has an image; the HTML report shows it." if sample.images else ""
    notes = [f"{_text(note)}\n" for note in (image, sample.image_note) if note]
    answers = [
        f"{_text(one.policy)} ({_text('; '.join(filter(None, (one.outcome, one.note))))}):\n\n"
        f"{_fenced(one.text)}"
        for one in sample.responses
    ]
    head = [f"### {_text(sample.heading)}\n", *notes, _fenced(sample.question)]
    return "\n".join([*head, f"Reference answer: {_text(sample.answer)}\n", *answers])


def _fenced(text: str) -> str:
    """A code block whose fence is longer than any run of backticks inside."""
    longest = max((len(run) for run in re.findall("`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}text\n{printable(text)}\n{fence}\n"
