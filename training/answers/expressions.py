r"""Reading an expression, such as `\frac{1+\sqrt{5}}{2}` or `2x^2 - 1`, into a tree.

The grammar is ours and small on purpose: what it does not know is no answer. Integrals, sums,
limits, determinants, remainders and the like have no place in it.
"""

import re
from fractions import Fraction
from functools import lru_cache

from training.answers.tree import CONSTANTS, Node

MAX_TOKENS = 150
MAX_DEPTH = 12
MAX_DIGITS = 40

_COMMANDS_OF_FUNCTIONS = (
    *("sin", "cos", "tan", "cot", "sec", "csc", "arcsin", "arccos", "arctan"),
    *("sinh", "cosh", "tanh", "ln", "log", "exp"),
)
GREEK = (
    *("alpha", "beta", "gamma", "delta", "epsilon", "varepsilon", "zeta", "eta", "theta", "kappa"),
    *("lambda", "mu", "nu", "xi", "rho", "sigma", "tau", "phi", "varphi", "chi", "psi", "omega"),
    *("Gamma", "Delta", "Theta", "Lambda", "Xi", "Sigma", "Phi", "Psi", "Omega"),
)
_TOKEN = re.compile(
    r"\s*(?:(?P<number>\d+(?:\.\d+)?|\.\d+)|\\(?P<command>[a-zA-Z]+)|(?P<letters>[a-zA-Z]+)"
    r"|(?P<sign>[-+*/^_!|(){}\[\]]|[π√]))",
    re.ASCII,
)
_LONGEST_PRODUCT = 3  # letters in a row that are variables; more are a word
_END = ("end", "")
_MINUS_ONE = Node("negative", (Node("number", value=Fraction(1)),))
_ATOMS = ("number", "letter", "function", "constant", "command")


class UnreadableError(ValueError):
    """The text is no expression that this grammar knows; says why."""


class TooLargeError(UnreadableError):
    """Reading or computing it would take too long; says what is too large."""

    def __init__(self, what: str) -> None:
        super().__init__(f"unverifiable: {what}")


@lru_cache(maxsize=4096)
def read_expression(text: str) -> Node | str:
    """The tree of a normalised text, or the reason why there is none."""
    try:
        return _Reader(_tokens(text)).whole()
    except UnreadableError as error:
        return str(error)


def _tokens(text: str) -> list[tuple[str, str]]:
    tokens: list[tuple[str, str]] = []
    position = 0
    text = text.rstrip()
    while position < len(text):
        match = _TOKEN.match(text, position)
        if match is None:
            raise UnreadableError("it cannot be read")
        position = match.end()
        if len(tokens) > MAX_TOKENS:
            raise TooLargeError(f"it has more than {MAX_TOKENS} signs")
        if match["number"]:
            if len(match["number"]) > MAX_DIGITS:
                raise TooLargeError(f"a number has more than {MAX_DIGITS} digits")
            tokens.append(("number", match["number"]))
        elif match["sign"]:
            tokens.append(_sign(match["sign"]))
        else:
            tokens += _word(match["command"] or "", match["letters"] or "")
    return tokens


def _sign(sign: str) -> tuple[str, str]:
    if sign == "π":
        return "constant", "pi"
    return ("command", "sqrt") if sign == "√" else ("sign", sign)


def _word(command: str, letters: str) -> list[tuple[str, str]]:
    name = command or letters
    if name in _COMMANDS_OF_FUNCTIONS:
        return [("function", name)]
    if name in CONSTANTS and len(name) > 1:
        return [("constant", name)]
    if name in ("sqrt", "frac", "binom") and (command or name == "sqrt"):
        return [("command", name)]
    if command in GREEK:
        return [("letter", command)]
    if command or len(letters) > _LONGEST_PRODUCT:
        raise UnreadableError(f"`{name[:20]}` is no part of a finished result")
    return [("constant" if one in CONSTANTS else "letter", one) for one in letters]


class _Reader:
    """Recursive descent over tokens."""

    def __init__(self, tokens: list[tuple[str, str]]) -> None:
        self._tokens = tokens
        self._position = 0
        self._depth = 0

    def whole(self) -> Node:
        tree = self._sum()
        if self._next != _END:
            raise UnreadableError("it cannot be read")
        return tree

    @property
    def _next(self) -> tuple[str, str]:
        return self._tokens[self._position] if self._position < len(self._tokens) else _END

    def _take(self, sign: str | None = None) -> tuple[str, str]:
        token = self._next
        if token == _END or (sign is not None and token != ("sign", sign)):
            raise UnreadableError("it cannot be read")
        self._position += 1
        return token

    def _is(self, *signs: str) -> bool:
        return self._next[0] == "sign" and self._next[1] in signs

    def _sum(self) -> Node:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise TooLargeError(f"it is nested deeper than {MAX_DEPTH}")
        terms: list[Node] = []
        while not terms or self._is("+", "-"):
            sign = self._take()[1] if self._is("+", "-") else "+"
            term = self._product()
            terms.append(Node("negative", (term,)) if sign == "-" else term)
        self._depth -= 1
        return terms[0] if len(terms) == 1 else Node("sum", tuple(terms))

    def _product(self) -> Node:
        factors = [self._power()]
        while True:
            if self._is("*"):
                self._take()
                factors.append(self._power())
            elif self._is("/"):
                self._take()
                factors = [Node("quotient", (_multiplied(factors), self._power()))]
            elif self._next[0] in _ATOMS or self._is("(", "{", "["):
                if self._next[0] == "number":
                    raise UnreadableError("a number follows a factor")
                factors = self._joined(factors)
            else:
                return _multiplied(factors)

    def _joined(self, factors: list[Node]) -> list[Node]:
        """The factors with one more that stands beside them; `2` before a fraction is mixed."""
        before, is_fraction = factors[-1], self._next == ("command", "frac")
        factor = self._power()
        if before.kind == "number" and is_fraction and factor.kind == "quotient":
            top, bottom = factor.parts
            if top.kind == bottom.kind == "number":
                if before.value.denominator != 1 or not 0 < top.value < bottom.value:
                    raise UnreadableError("a number stands beside a fraction")
                mixed = before.value + top.value / bottom.value
                return [*factors[:-1], Node("number", value=mixed)]
        return [*factors, factor]

    def _power(self) -> Node:
        base = self._atom()
        while self._is("!"):
            self._take()
            base = Node("factorial", (base,))
        if self._is("^"):
            self._take()
            base = Node("power", (base, self._argument()))
            if self._is("^", "!"):
                raise UnreadableError("it cannot be read")
        return base

    def _argument(self) -> Node:
        r"""What belongs to `^`, `\frac` or `\sqrt`: a group or a single sign."""
        if self._is("{", "("):
            return self._group()
        if self._is("-"):
            self._take()
            return Node("negative", (self._atom(),))
        return self._atom()

    def _group(self) -> Node:
        closing = {"{": "}", "(": ")", "[": "]"}[self._take()[1]]
        tree = self._sum()
        self._take(closing)
        return tree

    def _atom(self) -> Node:
        kind, text = self._next
        if kind == "sign" and text in "({[":
            return self._group()
        if kind == "sign" and text == "|":
            self._take()
            tree = self._sum()
            self._take("|")
            return Node("abs", (tree,))
        kind, text = self._take()
        if kind == "number":
            return Node("number", value=Fraction(text))
        if kind == "constant":
            return Node("constant", name=text)
        if kind == "letter":
            return Node("variable", name=text + self._subscript())
        if kind == "function":
            return self._function(text)
        if kind == "command":
            return self._root() if text == "sqrt" else self._two(text)
        raise UnreadableError("it cannot be read")

    def _subscript(self) -> str:
        if not self._is("_"):
            return ""
        self._take()
        if not self._is("{"):
            return f"_{self._take()[1]}"
        self._take()
        text = ""
        while not self._is("}"):
            text += self._take()[1]
        self._take()
        return f"_{text}"

    def _root(self) -> Node:
        index = Node("number", value=Fraction(2))
        if self._is("["):
            index = self._group()
            if index.kind != "number" or index.value not in range(2, MAX_DIGITS + 1):
                raise TooLargeError("a root of that index")
        return Node("root", (self._argument(), index))

    def _two(self, name: str) -> Node:
        first = self._digit_or_argument()
        second = self._digit_or_argument()
        return Node("quotient" if name == "frac" else "binom", (first, second))

    def _digit_or_argument(self) -> Node:
        r"""`\frac12` is one half: without braces an argument is a single digit."""
        kind, text = self._next
        if kind == "number" and len(text) > 1 and text.isdigit():
            self._tokens[self._position] = ("number", text[1:])
            return Node("number", value=Fraction(text[0]))
        return self._argument()

    def _function(self, name: str) -> Node:
        base: tuple[Node, ...] = ()
        if name == "log" and self._is("_"):
            self._take()
            base = (self._digit_or_argument(),)
        exponent = None
        if self._is("^"):
            self._take()
            exponent = self._argument()
            if exponent == _MINUS_ONE and name in ("sin", "cos", "tan"):
                return Node(f"arc{name}", (self._function_argument(),))
            if exponent.kind != "number":
                raise UnreadableError("a function to that power")
        applied = Node(name, (self._function_argument(), *base))
        return applied if exponent is None else Node("power", (applied, exponent))

    def _function_argument(self) -> Node:
        r"""A group, or the factors that follow: `\sin 2x`."""
        if self._is("(", "{", "[", "|"):
            return self._atom()
        factors = [self._power()]
        while self._next[0] in ("letter", "constant"):
            factors.append(self._power())
        return _multiplied(factors)


def _multiplied(factors: list[Node]) -> Node:
    return factors[0] if len(factors) == 1 else Node("product", tuple(factors))
