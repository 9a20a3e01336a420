"""Writes the document as one HTML file that loads nothing: no script, no font, no address."""

import base64
from collections.abc import Sequence
from html import escape
from itertools import groupby
from pathlib import Path

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

STYLE = Path(__file__).with_name("page.css")
# A browser that obeys this fetches nothing and runs nothing, whatever the models wrote.
POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
SIGNATURES = (
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF8", "image/gif"),
    (b"RIFF", "image/webp"),
)
LONG_WORD = 32  # characters; a cell with a longer word (a hash, a URI) may break inside it
ALIGN = {"l": "", "r": ' class="number"'}


def html_page(document: Document) -> str:
    """The document as an HTML page with its style, pictures and images inside."""
    title = text_of(document.title)
    links = "".join(
        f'<a href="#{one.anchor}">{text_of(one.title)}</a>' for one in document.sections
    )
    sections = "".join(_section(one) for one in document.sections)
    body = (
        f"<header><h1>{title}</h1><p>{text_of(document.subtitle)}</p></header>\n"
        f'<nav aria-label="Sections">{links}</nav>\n<main>{sections}</main>\n'
    )
    return page(document.title, POLICY, (STYLE,), body)


def page(title: str, policy: str, styles: Sequence[Path], body: str) -> str:
    """A whole page around a body that is written already.

    Args:
        title: Plain text.
        policy: Its content security policy.
        styles: Files whose content goes into it.
        body: HTML.
    """
    style = "".join(path.read_text(encoding="utf-8") for path in styles)
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n'
        f"<title>{text_of(title)}</title>\n<style>\n{style}</style>\n</head>\n"
        f"<body>\n{body}</body>\n</html>\n"
    )


def text_of(text: str) -> str:
    """Plain text as HTML."""
    return escape(printable(text))


def _section(section: Section) -> str:
    parts = []
    for in_grid, blocks in groupby(section.blocks, key=_in_grid):
        written = "".join(_block(block) for block in blocks)
        parts.append(f'<div class="grid">{written}</div>' if in_grid else written)
    head = f"<h2>{text_of(section.title)}</h2>"
    return f'<section id="{section.anchor}">{head}{"".join(parts)}</section>\n'


def _in_grid(block: Block) -> bool:
    return isinstance(block, Figure) and not block.wide


def _block(block: Block) -> str:
    match block:
        case Prose(text, tone):
            return f'<p class="{tone}">{text_of(text)}</p>\n'
        case Link(text, file):
            return f'<p><a href="{text_of(file)}">{text_of(text)}</a></p>\n'
        case Table():
            return _table(block)
        case Figure(title, _, svg, wide):
            size = "figure wide" if wide else "figure"
            return (
                f'<figure class="{size}"><figcaption>{text_of(title)}</figcaption>{svg}</figure>\n'
            )
        case Beside(picture, table):
            return f'<div class="beside">{_block(picture)}{_block(table)}</div>'
        case Code(caption, text):
            summary = f"<summary>{text_of(caption)}</summary>"
            return f'<details>{summary}<pre tabindex="0">{text_of(text)}</pre></details>\n'
        case Sample():
            return _sample(block)


def _table(table: Table) -> str:
    head = "".join(
        f'<th scope="col"{ALIGN[side]}>{text_of(name)}</th>'
        for name, side in zip(table.columns, table.align, strict=True)
    )
    rows = "".join(f"<tr>{''.join(map(_cell, row, table.align))}</tr>\n" for row in table.rows)
    caption = text_of(table.caption)
    shown = (
        f'<div class="scroll" tabindex="0" role="region" aria-label="{caption}">'
        f"<table>{'' if table.folded else f'<caption>{caption}</caption>'}"
        f"<thead><tr>{head}</tr></thead>\n<tbody>{rows}</tbody></table></div>\n"
    )
    return f"<details><summary>{caption}</summary>{shown}</details>\n" if table.folded else shown


def _cell(cell: str | Cell, side: str) -> str:
    shown = cell if isinstance(cell, Cell) else Cell(cell)
    longest = max(map(len, shown.text.split()), default=0)
    classes = ["number"] * (side == "r") + ["long"] * (longest > LONG_WORD) + [shown.tone]
    return f'<td class="{" ".join(classes)}">{text_of(shown.text)}</td>'


def _sample(sample: Sample) -> str:
    images = "".join(map(_image, sample.images))
    note = f'<p class="muted">{text_of(sample.image_note)}</p>' if sample.image_note else ""
    answers = "".join(
        f'<div class="response"><h4>{text_of(one.policy)} <span class="outcome '
        f'{"good" if one.outcome == "right" else "bad"}">{text_of(one.outcome)}</span></h4>'
        f"{f'<p>{text_of(one.note)}</p>' if one.note else ''}"
        f"<pre>{text_of(one.text) if one.text.strip() else '(blank)'}</pre></div>"
        for one in sample.responses
    )
    return (
        f'<article class="sample"><h3>{text_of(sample.heading)}</h3>'
        f'<div class="question">{images}{note}<pre>{text_of(sample.question)}</pre>'
        f"<p>Reference answer: <strong>{text_of(sample.answer)}</strong></p></div>"
        f'<div class="responses">{answers}</div></article>\n'
    )


def _image(encoded: bytes) -> str:
    kind = image_kind(encoded)
    if kind is None:
        return '<p class="muted">The image has a format that browsers do not show.</p>'
    data = base64.b64encode(encoded).decode("ascii")
    return f'<img alt="The image of this problem" src="data:{kind};base64,{data}">'


def image_kind(encoded: bytes) -> str | None:
    """The media type of an image that browsers show, or None."""
    return next((kind for start, kind in SIGNATURES if encoded.startswith(start)), None)
