"""LaTeX's groups, and the commands that take some, written in one line."""

import re
from collections.abc import Iterable

OPERATORS = "-+*/^=<>|≤≥≠±∪∩∧∨∖∘"
_BETWEEN = re.compile(rf"\S\s*[{OPERATORS}]\s*\S")
_PRODUCT = re.compile(r"\d\s*(?:[^\W\d_]|\\[a-z]|\()|[^\W\d_]\s*(?:[^\W\d_]|\\[a-z])")
_PIECE = re.compile(r"\\[a-z]+|[{}]|[^\\{}]+|\\")
_MAX_DEPTH = 16  # of groups in groups; what lies deeper is of no group
_CHOOSE = re.compile(r"([^\W\d_]|\d+) *\\choose +([^\W\d_]|\d+)")
_TWO_LETTERS = re.compile(r"\s*(?:[^\W\d_]\s*[′\d]?\s*){2}")
_WRAPPING = (
    "text textbf textit textrm textsf texttt textsc textup textnormal emph mathrm mathbf mathit "
    "mathsf mathtt mathbb mathcal mathfrak mathscr boldsymbol bm operatorname mathop mbox hbox "
    "fbox boxed underline"
)
_WRAPPERS = frozenset(rf"\{name}" for name in _WRAPPING.split())
# Commands with an argument that is not read.
_LAYOUT = frozenset({r"\hspace", r"\vspace", r"\label", r"\phantom", r"\hphantom", r"\color"})
_DISPLAYING = (
    "align aligned alignat alignedat equation eqnarray gather gathered split multline flalign "
    "displaymath math center cases array tabular"
)
_DISPLAYS = frozenset(_DISPLAYING.split())
_WITH_COLUMNS = frozenset({"alignat", "alignedat", "array", "tabular"})


class _Group(str):
    """What stood between braces."""


def opened(text: str) -> str:
    """Without LaTeX's groups and the commands that take some."""
    frames, num_skipped = [list[str]()], 0
    for piece in _PIECE.findall(text):
        if piece == "{" and len(frames) <= _MAX_DEPTH:
            frames.append([])
        elif piece == "{":
            num_skipped += 1
        elif piece == "}" and num_skipped:
            num_skipped -= 1
        elif piece == "}":
            if len(frames) > 1:
                content = frames.pop()
                frames[-1] += _grouped(content)
        else:
            frames[-1].append(piece)
    return _CHOOSE.sub(r" binom \1 \2 ", _written(piece for frame in frames for piece in frame))


def _grouped(pieces: list[str]) -> list[str]:
    r"""A group; `{n \choose k}` and `{a \over b}` are commands with two of them."""
    for infix, command in ((r"\choose", r"\binom"), (r"\over", r"\frac")):
        if infix in pieces:
            place = pieces.index(infix)
            sides = (pieces[:place], pieces[place + 1 :])
            return [command, *(_Group(_written(side)) for side in sides)]
    return [_Group(_written(pieces))]


def _written(pieces: Iterable[str]) -> str:
    """Text, groups and commands in one line."""
    rest, out = [*pieces][::-1], list[str]()
    while rest:
        piece = rest.pop()
        if isinstance(piece, _Group):
            out.append(_bracketed(piece))
        elif not piece.startswith("\\"):
            out.append(piece)
        elif piece == r"\frac":
            fraction = f" {_bracketed(_argument(rest))}/{_bracketed(_argument(rest))} "
            is_power = bool(out) and out[-1].rstrip().endswith("^")
            out.append(f"({fraction})" if is_power else fraction)
        elif piece == r"\binom":
            out.append(f" binom {_bracketed(_argument(rest))} {_bracketed(_argument(rest))} ")
        elif piece == r"\pmod":
            out.append(f" (mod {_argument(rest)}) ")
        elif piece in _WRAPPERS:
            out.append(f" {_group(rest)} ")
        elif piece in _LAYOUT:
            _group(rest)
        elif piece in (r"\begin", r"\end"):
            name = _group(rest)
            is_display = name.rstrip("*") in _DISPLAYS
            if piece == r"\begin" and name.rstrip("*") in _WITH_COLUMNS:
                _group(rest)
            out.append(" " if is_display else f" {piece} {name} ")
        elif piece == r"\overline":
            group = _group(rest)
            is_segment = _TWO_LETTERS.fullmatch(group)
            out.append(f" {group} " if is_segment else f" {piece} {_bracketed(group)} ")
        else:
            out.append(f" {piece} ")
    return "".join(out)


def _argument(rest: list[str]) -> str:
    """Takes a command's next argument off what follows, in reverse: a group or one character."""
    while rest:
        piece = rest.pop()
        if isinstance(piece, _Group) or piece.startswith("\\"):
            return piece
        if shown := piece.lstrip():
            rest.append(shown[1:])
            return shown[0]
    return ""


def _group(rest: list[str]) -> str:
    """Takes the next group off what follows, in reverse; nothing where none comes next."""
    if len(rest) > 1 and rest[-1].isspace() and isinstance(rest[-2], _Group):
        rest.pop()
    return rest.pop() if rest and isinstance(rest[-1], _Group) else ""


def _bracketed(content: str) -> str:
    if len(content) == 1 or content.isdigit():  # most are
        return f" {content} "
    holds = _BETWEEN.search(content) or _PRODUCT.search(content)
    return f" ({content}) " if holds else f" {content} "
