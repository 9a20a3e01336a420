"""What an answer names, and which side of `12 + 7 = 19` is the answer."""

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeGuard

from training.answers import numeric
from training.answers.canonical import canonical
from training.answers.expressions import read_expression
from training.answers.normal import normalize, split_name
from training.answers.numbers import Number
from training.answers.reading import num_parts, parse
from training.answers.tree import Node, variables
from training.answers.values import Expression, Items, Relation, Value

_EQUALS = re.compile(r"\s*(?:(?<![<>!~:])=|≈)\s*")
_ASKED = re.compile(
    r"\b(?:solve|find|determine|compute|calculate|evaluate|what is|value of)(?: for)?"
    r"(?: the)?(?: values?)?(?: of)?\s+(?:\$|\\\()?\s*"
    r"([a-zA-Z](?:_\{?\w{1,4}\}?)?|(?-i:[A-Z]{2}))"
    r"(?=\s*(?:[.;:?]|,(?!\s*\$?[a-zA-Z]\b)|\$(?!\s*(?:and|,))|\\\)|$"
    r"|(?:in|if|such|so|when|where|for|from|given) ))",
    re.IGNORECASE,
)


_IN_WORDS = (
    re.compile(r"\bwhat does (?:\$|\\\()?\s*([a-zA-Z])\s*(?:\$|\\\))? equal\b", re.IGNORECASE),
    re.compile(
        r"\b(?:[Ff]ind|[Ww]hat is|[Dd]etermine|[Cc]ompute)\s+(?:the (?:measure|size|value) of\s+)?"
        r"(?:\$|\\\()?\s*m?\s*\\(angle\s*(?:[A-Z]{1,3}|\d))\b"
    ),
    re.compile(
        r"\b(?:[Ff]ind|[Ww]hat is|[Dd]etermine|[Cc]ompute)\s+(?:the (?:measure|size|value) of\s+)?"
        r"(angle\s*(?:\$|\\\()?\s*(?:[A-Z]{1,3}|\d))\b"
    ),
    re.compile(r"\b[Ff]or (?:which|what)(?: real)?(?: values?| numbers?)?(?: of)? \$?([a-z])\b\$?"),
    re.compile(
        r"\blength of (?:the )?(?:line segment |segment |side |line )?(?:\$|\\\()?\s*"
        r"(?:\\overline\s*\{)?([A-Z]{2})\b"
    ),
    re.compile(
        r"\b(?:[Ff]ind|[Ww]hat is|[Dd]etermine|[Cc]ompute)\s+(?:the \w+ (?:pair|triple)s? )?"
        r"(?:\$|\\\()?\s*(\([a-zA-Z](?:\s*,\s*[a-zA-Z])+\))"
    ),
    re.compile(r"\b([xyz])-(?:coordinate|intercept|component|value)\b"),
    re.compile(r"\bvalue of (?:\$|\\\()([^$]*[a-z][^$]*?)(?:\$|\\\))"),
    re.compile(
        r"\b(?:find|what is|determine|compute|calculate)\s+(?:the |its |their )?(?:total )?"
        r"((?:surface )?area|perimeter|volume|length|width|height|mean|median|mode|range)\b"
        r"(?! and)",
        re.IGNORECASE,
    ),
)


# An expression right behind the verb: `Find $2x + 1$ if`.
_EXPRESSION = re.compile(
    r"\b(?:find|what is|determine|compute|calculate|evaluate|value of)\s+(?:the value of\s+)?"
    r"(?:\$|\\\()([^$=]{1,60}?)(?:\$|\\\))(?!\s*(?:and\b|or\b|,))",
    re.IGNORECASE,
)
_ARGUMENT = re.compile(r"\d+|\b[A-Z]\b")
_FUNCTION = re.compile(r"[a-zA-Z]'*\s*\(")  # no product, whose factors may change their places
_SIGNS = {"sum": "+", "difference": "-", "product": "*"}
_OF_TWO = re.compile(
    r"\b(?P<what>sum|difference|product) of \$?(?P<first>[a-z])\$? and \$?(?P<second>[a-z])\b",
    re.IGNORECASE,
)
_FUNCTIONS = (
    (re.compile(r"lcm\s*\([\d,\s]+\)"), re.compile(r"\blcm\b|least common multiple", re.I)),
    (
        re.compile(r"\\?(?:gcd|gcf|hcf)\s*\([\d,\s]+\)", re.I),
        re.compile(r"\b(?:gcd|gcf|hcf)\b|(?:greatest|highest) common (?:divisor|factor)", re.I),
    ),
    (re.compile(r"\\?det ?\(? ?[A-Z] ?\)?|\| ?[A-Z] ?\|"), re.compile(r"\bdeterminant\b", re.I)),
    (re.compile(r"\\bar ?\{? ?[a-z] ?\}?"), re.compile(r"\bmean\b|\baverage\b", re.I)),
)


@dataclass(frozen=True)
class Named:
    """A value, and what it is said to be the value of.

    Attributes:
        name: See `split_name`; None if nothing is named.
        text: The value as it is written.
        value: The value; None if it can't be read.
        equation: The whole as an equation or inequality between variables, `y = 2x + 1`.
    """

    name: str | None
    text: str
    value: Value | None
    equation: Relation | None = None


def read(text: str, like: Named | None = None) -> Named:
    """Reads a normalised answer or reference.

    Args:
        text: Such as `x = 3`, `12 + 7 = 19` or `3`.
        like: The reference that an answer is compared with: only if that is an equation, too, may
            the answer be one.
    """
    if num_parts(text) > 1:
        value = parse(text)
        return Named(value.name or None if isinstance(value, Items) else None, text, value)
    whole = parse(text)
    if isinstance(whole, Items) and whole.name:
        return Named(whole.name, text, whole)
    name, rest = split_name(text)
    value = whole if name is None else parse(rest)
    if like is None:
        return Named(name, rest, value, whole if _is_formula(whole, value) else None)
    is_equation = isinstance(whole, Relation) and like.equation is not None
    if is_equation and (name is None or isinstance(like.value, Relation)):
        return Named(None, text, whole)
    if value is None or isinstance(value, Relation):
        rest, value = _last_side(name, rest)
    return Named(name, rest, value)


def _is_formula(whole: Value | None, value: Value | None) -> TypeGuard[Relation]:
    """Whether a relation is between variables: `x = 3` is none."""
    if not isinstance(whole, Relation):
        return False
    return isinstance(value, Relation) or (
        isinstance(value, Expression) and bool(variables(value.tree))
    )


@lru_cache(maxsize=4096)
def asked_variable(question: str) -> str | None:
    """What a question asks for, as in "Solve for x." or "Find $a_3$."; None if it is not clear.

    It may be an expression, `x + 1`, an angle, a segment or a quantity such as `area`, too.
    """
    text = question[-2000:].replace("∠", r"\angle ")
    asked = {re.sub(r"[{}]", "", match[1]) for match in _ASKED.finditer(text)} - {"a", "A", "I"}
    if asked:
        return asked.pop() if len(asked) == 1 else None
    for pattern in _IN_WORDS:
        named = {re.sub(r"[\s{}$]|\\\(", "", found) for found in pattern.findall(text)}
        if named:
            return named.pop() if len(named) == 1 else None
    return None


@lru_cache(maxsize=4096)
def asked_expression(question: str) -> str | None:
    """The one expression with variables that a question asks for; None if there is none.

    It may be a function's value, `f^{-1}(x)` or `f'(2)`; spaces and braces are dropped.
    """
    found = {name for text in _EXPRESSION.findall(question[-2000:]) if (name := _name_of(text))}
    for match in _OF_TWO.finditer(question[-2000:]):
        found.add(f"{match['first']}{_SIGNS[match['what'].lower()]}{match['second']}")
    return found.pop() if len(found) == 1 else None


def _name_of(text: str) -> str | None:
    """What a formula of a question is called; None for one without variables."""
    if (name := split_name(f"{text} =")[0]) is not None:
        return name
    tree = read_expression(normalize(text))
    return re.sub(r"[\s{}]", "", text) if isinstance(tree, Node) and variables(tree) else None


def without_asked(text: str, asked: str | None, question: str) -> str:
    """`2x + 1 = 11` as `11` if just `2x + 1` is asked for; `lcm(4, 6) = 12` alike.

    Args:
        text: The answer, normalised.
        asked: See `asked_expression`.
        question: As it was asked.
    """
    left, sign, right = (part.strip() for part in text.partition("="))
    if not sign or split_name(text)[0] is not None:
        return text
    for label, said in _FUNCTIONS:
        if label.fullmatch(left) and said.search(question):
            named, asked_of = (set(_ARGUMENT.findall(each)) for each in (left, question))
            return right if named <= asked_of else text
    formulas = {_squashed(normalize(each)) for each in _EXPRESSION.findall(question[-2000:])}
    if formulas == {_squashed(left)}:
        return right  # `\int_0^1 x dx = 1/2`
    if asked is None:
        return text
    mine, theirs = read_expression(left), read_expression(normalize(asked))
    if _squashed(left) == asked:
        return right
    if isinstance(mine, str) or isinstance(theirs, str) or _FUNCTION.search(left):
        return text
    return right if canonical(mine) == canonical(theirs) else text


def _squashed(text: str) -> str:
    return re.sub(r"[\s{}]", "", text)


def _last_side(name: str | None, text: str) -> tuple[str, Value | None]:
    """The last side of an equation whose other sides are the same: `12 + 7 = 19` is 19.

    With a name in front, they may be formulas of other variables: `A = ab = 12`.
    """
    *sides, last = _EQUALS.split(text)
    value = parse(last)
    if not sides or not isinstance(value, Number | Expression):
        return text, None
    for side in sides:
        tree = read_expression(side)
        if not isinstance(tree, Node):
            return text, None
        unknown = variables(tree)
        if name and unknown and name not in unknown:
            continue
        if not _is_value(tree, value):
            return text, None
    return last, value


def _is_value(tree: Node, value: Number | Expression) -> bool:
    if isinstance(value, Expression):
        return numeric.equal(tree, value.tree)
    found = numeric.value(tree)
    if found is None:
        return False
    half = 0 if value.decimals is None else 0.5 * 10**-value.decimals
    return found == value.value or abs(found - value.value) <= half
