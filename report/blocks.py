"""The document between the facts and the two formats: sections made of blocks of plain text.

Everything here is unescaped; only the two writers (`write_html.py`, `write_markdown.py`) escape,
each in one place. A figure's SVG is the one exception: `svg.py` builds it from escaped parts.
"""

from dataclasses import dataclass
from typing import Literal

Tone = Literal["plain", "good", "bad", "muted"]


@dataclass(frozen=True, slots=True)
class Cell:
    """A table cell whose tone carries meaning that its text says too."""

    text: str
    tone: Tone = "plain"


@dataclass(frozen=True, slots=True)
class Prose:
    """A paragraph."""

    text: str
    tone: Tone = "plain"


@dataclass(frozen=True, slots=True)
class Link:
    """A file of ours beside the page."""

    text: str
    file: str


@dataclass(frozen=True, slots=True)
class Table:
    """A table; `align` holds one of `l` and `r` for each column; `folded` opens on demand."""

    caption: str
    columns: tuple[str, ...]
    align: str
    rows: tuple[tuple[str | Cell, ...], ...]
    folded: bool = False


@dataclass(frozen=True, slots=True)
class Figure:
    """A picture for the page; the Markdown twin shows its title and description."""

    title: str
    description: str
    svg: str
    wide: bool = True


@dataclass(frozen=True, slots=True)
class Beside:
    """A picture and the table with its numbers, side by side where there is room."""

    figure: Figure
    table: Table


@dataclass(frozen=True, slots=True)
class Code:
    """Preformatted text, folded away until it is asked for."""

    caption: str
    text: str


@dataclass(frozen=True, slots=True)
class Response:
    """What one policy answered; `note` says what was read in it."""

    policy: str
    outcome: str
    note: str
    text: str


@dataclass(frozen=True, slots=True)
class Sample:
    """One problem and every policy's answer to it; `images` are encoded bytes."""

    heading: str
    question: str
    answer: str
    images: tuple[bytes, ...]
    image_note: str
    responses: tuple[Response, ...]


Block = Prose | Link | Table | Figure | Beside | Code | Sample


@dataclass(frozen=True, slots=True)
class Section:
    """A titled part of the report."""

    title: str
    anchor: str
    blocks: tuple[Block, ...]


@dataclass(frozen=True, slots=True)
class Document:
    """The whole report."""

    title: str
    subtitle: str
    sections: tuple[Section, ...]
