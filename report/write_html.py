"""Writes the document as one HTML file that loads nothing: no script, no font, no address."""

import base64
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
    title = _text(document.title)
    links = "".join(f'<a href="#{one.anchor}">{_text(one.title)}</a>' for one in document.sections)
    sections = "".join(_section(one) for one in document.sections)
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n'
        f"<title>{title}</title>\n<style>\n{STYLE.read_text(encoding='utf-8')}</style>\n</head>\n"
        f"<body>\n<header><h1>{title}</h1><p>{_text(document.subtitle)}</p></header>\n"
        f'<nav aria-label="Sections">{links}</nav>\n<main>{sections}</main>\n</body>\n</html>\n'
    )


def _text(text: str) -> str:
    return escape(printable(text))


def _section(section: Section) -> str:
    parts = []
    for in_grid, blocks in groupby(section.blocks, key=_in_grid):
        written = "".join(_block(block) for block in blocks)
        parts.append(f'<div class="grid">{written}</div>' if in_grid else written)
    head = f"<h2>{_text(section.title)}</h2>"
    return f'<section id="{section.anchor}">{head}{"".join(parts)}</section>\n'


def _in_grid(block: Block) -> bool:
    return isinstance(block, Figure) and not block.wide


def _block(block: Block) -> str:
    match block:
        case Prose(text, tone):
            return f'<p class="{tone}">{_text(text)}</p>\n'
        case Table():
            return _table(block)
        case Figure(title, _, svg, wide):
            size = "figure wide" if wide else "figure"
            return f'<figure class="{size}"><figcaption>{_text(title)}</figcaption>{svg}</figure>\n'
        case Beside(picture, table):
            return f'<div class="beside">{_block(picture)}{_block(table)}</div>'
        case Code(caption, text):
            summary = f"<summary>{_text(caption)}</summary>"
            return f'<details>{summary}<pre tabindex="0">{_text(text)}</pre></details>\n'
        case Sample():
            return _sample(block)


def _table(table: Table) -> str:
    head = "".join(
        f'<th scope="col"{ALIGN[side]}>{_text(name)}</th>'
        for name, side in zip(table.columns, table.align, strict=True)
    )
    rows = "".join(f"<tr>{''.join(map(_cell, row, table.align))}</tr>\n" for row in table.rows)
    caption = _text(table.caption)
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
    return f'<td class="{" ".join(classes)}">{_text(shown.text)}</td>'


def _sample(sample: Sample) -> str:
    images = "".join(map(_image, sample.images))
    note = f'<p class="muted">{_text(sample.image_note)}</p>' if sample.image_note else ""
    answers = "".join(
        f'<div class="response"><h4>{_text(one.policy)} <span class="outcome '
        f'{"good" if one.outcome == "right" else "bad"}">{_text(one.outcome)}</span></h4>'
        f"<pre>{_text(one.text) if one.text.strip() else '(blank)'}</pre></div>"
        for one in sample.responses
    )
    return (
        f'<article class="sample"><h3>{_text(sample.heading)}</h3>'
        f'<div class="question">{images}{note}<pre>{_text(sample.question)}</pre>'
        f"<p>Reference answer: <strong>{_text(sample.answer)}</strong></p></div>"
        f'<div class="responses">{answers}</div></article>\n'
    )


def _image(encoded: bytes) -> str:
    for signature, kind in SIGNATURES:
        if encoded.startswith(signature):
            data = base64.b64encode(encoded).decode("ascii")
            return f'<img alt="The image of this problem" src="data:{kind};base64,{data}">'
    return '<p class="muted">The image has a format that browsers do not show.</p>'
