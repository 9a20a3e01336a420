r"""How a question is read when it is compared with others: its words, and what decides its answer.

Two questions are read alike where only dressing differs: case, spaces, punctuation, LaTeX, Unicode
and Markdown (`training.curation.dressing`). Numbers, operators, primes, brackets that decide
(`_tokens`) and the words that turn a problem around (`words.DECIDING`) are kept in their order as
its key: problems that differ there are different problems, however much text they share.
"""

import re
from dataclasses import dataclass
from difflib import SequenceMatcher
from functools import cached_property, lru_cache
from itertools import accumulate

from training.curation.dressing import SIGN_OF_WORD, undressed
from training.curation.latex_groups import OPERATORS
from training.curation.ngrams import NGRAM_TOKENS
from training.curation.words import ASKING, DECIDING, FILLING, FUNCTIONS, OWN
from training.records import IMAGE_MARK

# What a product in brackets is one with: `(2x)^2` is not `2x^2`, and `1/(2x)` not `1/2x`.
# `]` is of a root's degree: `sqrt[3](2x)`.
_BIND_BEFORE, _BIND_BEHIND = frozenset({"^", "sqrt", "]"}), frozenset({"^", "!", "′"})
# `f(3)^2` is not `f(3^2)`; what stands behind `sqrt` binds as it is.
_APPLIED = FUNCTIONS - {"sqrt"} | {")", "′"}
_BRACKETS, _BINARY = frozenset("()[]"), frozenset(OPERATORS) - {"^"}
_SQUEEZED = re.compile(r"(?<!\d) | (?!\d)| (?=\d{3}(?!\d))")
_SENTENCE = re.compile(r"(?<=[.?!])\s+(?=\S)")
# What a prompt puts behind a problem.
_PROMPT = re.compile(
    r"(?:please )?(?:lets )?(?:think|reason|work|solve)(?: this| it)? step by step"
    r"(?:,? and (?:put|give|write) your final answer (?:within|in)\b.{0,20})? ?[.!:]?"
    r"|(?:please )?answer with (?:a|an|the|one) (?:single |whole |correct )?"
    r"(?:number|integer|word|fraction|decimal)(?: only)? ?[.!]?"
)
# "Give your answer as a fraction." says how, not what.
_HOW_TO_ANSWER = re.compile(r"^(?:give|write|express|put|state|enter|provide)\b.*\banswer\b")
_TOKEN = re.compile(
    # A Greek letter is a sign by itself; `!` behind a word of three letters ends a sentence.
    r"\\[a-z]+|\d+(?:\.\d+)?|(?<![\d\w])\.\d+|[^\W\d_α-ω]+|[α-ω]"
    r"|!(?<=[\w)]!)(?<![^\W\d_]{3}!)|:(?<=\d:)(?=\d)"
    # Signs such as a sum's or a union's; of brackets, those that may decide.
    r"|[^\w\s.,;:?!{}\\\"“”„«»‹›。、¿¡&~—]"
)
_NUMBER = re.compile(r"\.?\d")

_MIN_TYPO_LENGTH = 5  # in shorter words one letter makes another word
# Of deciding words those are known when misspelt that have few neighbours: `there` is no `three`.
_LONG_DECIDING = sorted(word for word in DECIDING if len(word) > _MIN_TYPO_LENGTH)


@dataclass(frozen=True)
class Wording:
    """A question as it is compared.

    Fields:
        tokens: Words, numbers, operators and LaTeX commands in their order, in lower case.
        plain: The text without what only dresses.
    """

    tokens: tuple[str, ...]
    plain: str

    @cached_property
    def asked(self) -> tuple[str, ...]:
        """The words of the sentence that asks: the last one that ends in `?`, else the last."""
        words = _tokens(_sentence_that_asks(self.plain))
        return tuple(word for word in words if word not in ASKING)

    @cached_property
    def key(self) -> tuple[str, ...]:
        """What may not differ between two wordings of one problem, in order."""
        return _key(self.tokens)

    @cached_property
    def signs(self) -> frozenset[str]:
        """What the key is made of."""
        return frozenset(self.key)

    @cached_property
    def numbers(self) -> tuple[str, ...]:
        """The numbers in digits, in order."""
        return tuple(filter(is_number, self.tokens))

    @property
    def is_long(self) -> bool:
        """Whether it has a whole n-gram: a shorter one may well be that of many problems."""
        return len(self.tokens) >= NGRAM_TOKENS

    @property
    def text(self) -> str:
        """The tokens with a space between them."""
        return " ".join(self.tokens)

    @property
    def squeezed(self) -> str:
        """The tokens without spaces: no way to set them makes a difference, but 1, 23 is no 12, 3.

        Before three digits there may be none: 12, 345 may be twelve thousand or two numbers.
        """
        return _SQUEEZED.sub("", self.text)


def read(question: str) -> Wording:
    """Reads a question; the same question in other dressing is read the same.

    Where its images stand among its words is dressing, too.
    """
    plain = undressed(question.replace(IMAGE_MARK, " "))
    said = (one for one in _SENTENCE.split(plain) if not _says_nothing(one))
    return Wording(_tokens(" ".join(said)), plain)


@lru_cache(maxsize=2**16)
def is_number(token: str) -> bool:
    """Whether a token is a number in digits."""
    return _NUMBER.match(token) is not None


def same_problem(left: Wording, right: Wording) -> bool:
    """Whether two questions of much the same text ask the same thing, edits apart.

    Their keys are equal; what is asked differs in typing errors at most; and no word of the
    problem was put in another one's place. An edit may bring in words, take some away, or misspell
    them.
    """
    if left.key != right.key or not _same_words(left.asked, right.asked):
        return False
    return not _moved_words(left.tokens, right.tokens)


def _sentence_that_asks(plain: str) -> str:
    sentences = [one.strip() for one in _SENTENCE.split(plain) if _TOKEN.search(one)]
    asks = [one for one in sentences if not _HOW_TO_ANSWER.search(one)]
    asks = [one for one in asks if not _PROMPT.fullmatch(one)]
    questions = [one for one in asks if one.endswith("?")]
    return [*sentences, *asks, *questions][-1] if sentences else ""


def _says_nothing(sentence: str) -> bool:
    """Whether it only says how to answer, and no rule that changes the answer."""
    if _PROMPT.fullmatch(sentence.strip()):
        return True
    return bool(_HOW_TO_ANSWER.search(sentence)) and not _key(_tokens(sentence))


def _tokens(text: str) -> tuple[str, ...]:
    """Without the brackets that decide nothing.

    Round ones stay where they hold an operator, `(a+b)c` is not `a+bc`, or a product that binds,
    and between a name and a power, `f(3)^2` is not `f(3^2)`;
    square ones where they hold no prose: `[1, 30]` is neither `(1, 30)` nor `[1, 30)`. Of two
    pairs around one thing the inner one stays, and `x^(-1)` is `x^-1`.
    """
    tokens = list(map(_canonical, _TOKEN.findall(text)))
    if _BRACKETS.isdisjoint(tokens):
        return tuple(tokens)
    before, behind = ["", *tokens], [*tokens[1:], ""]
    operators = list(accumulate(one in _BINARY for one in tokens))
    powers = list(accumulate(one == "^" for one in tokens))
    products = list(accumulate(map(_is_in_product, tokens, behind)))
    prose = list(accumulate(map(_is_prose, tokens)))
    kept, open_, closed = [True] * len(tokens), list[int](), (0, 0)
    for place, sign in enumerate(tokens):
        if sign in ("(", "["):
            open_.append(place)
        elif sign in (")", "]"):
            start = open_.pop() if open_ else place
            if sign == "]" or tokens[start] == "[":
                stays = place > start + 1 and prose[place] == prose[start]
            else:
                is_signed = before[start] == "^" and behind[start] in ("-", "+")
                binds = before[start] in _BIND_BEFORE or behind[place] in _BIND_BEHIND
                is_product = products[place - 1] > products[start]
                is_double = closed == (start + 1, place - 1)
                stays = not is_double and (
                    operators[place] > operators[start + is_signed]
                    or (binds and (is_product or powers[place] > powers[start]))
                    or (before[start] == "/" and is_product)
                    or (behind[place] == "^" and _is_name(before, start))
                )
                closed = (start, place) if stays or is_double else closed
            kept[start] = kept[place] = stays
    for place in open_:
        kept[place] = False
    return tuple(token for token, keep in zip(tokens, kept, strict=True) if keep)


@lru_cache(maxsize=2**16)
def _is_applied(token: str) -> bool:
    return token in _APPLIED or (len(token) == 1 and token.isalpha())


def _is_name(before: list[str], start: int) -> bool:
    """Whether a name stands before a bracket, perhaps with an index: `log_2(8)`."""
    name = before[start - is_number(before[start])]
    return _is_applied(name) and name != "a"


@lru_cache(maxsize=2**16)
def _is_in_product(token: str, behind: str) -> bool:
    """Whether a token and the next one are multiplied, `2x` and `2(x)`, or it is one: `xy`."""
    if is_number(token):
        return behind.isalpha() or behind.startswith(("\\", "("))
    return token.isalpha() and (len(token) > 1 or behind.isalpha())


@lru_cache(maxsize=2**16)
def _is_prose(token: str) -> bool:
    return len(token) > 2 and token.isalpha() and token not in DECIDING


@lru_cache(maxsize=2**16)
def _canonical(token: str) -> str:
    """A number without zeros that say nothing; `theta` as θ, `percent` as %."""
    if not _NUMBER.match(token):
        return SIGN_OF_WORD.get(token, token)
    whole, point, part = token.partition(".")
    part = part.rstrip("0")
    return (whole.lstrip("0") or "0") + (point + part if part else "")


def _key(tokens: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(word for word in map(_deciding, tokens) if word is not None)


@lru_cache(maxsize=2**16)
def _deciding(word: str) -> str | None:
    """The word as `_spelt`, if it decides."""
    meant = _spelt(word)
    return meant if _decides(meant) else None


@lru_cache(maxsize=2**16)
def _spelt(word: str) -> str:
    """The deciding word that a word misspells, or the word itself."""
    if word in DECIDING or word in OWN or len(word) < _MIN_TYPO_LENGTH or not word.isascii():
        return word
    meant = (one for one in _LONG_DECIDING if abs(len(one) - len(word)) <= 1)
    return next((one for one in meant if _one_slip(word, one)), word)


def _decides(word: str) -> bool:
    if len(word) == 1:
        return word != "a"  # a variable, a choice or a sign; `a` is an article as well
    return word in DECIDING or not word.isascii() or not word.isalpha()


def _same_words(left: tuple[str, ...], right: tuple[str, ...]) -> bool:
    return len(left) == len(right) and all(map(_same_or_typo, left, right))


def _same_or_typo(left: str, right: str) -> bool:
    if _spelt(left) == _spelt(right):
        return True
    if min(len(left), len(right)) < _MIN_TYPO_LENGTH or _decides(left) or _decides(right):
        return False
    return _one_slip(left, right)


def _one_slip(left: str, right: str) -> bool:
    """Whether one letter too many, too few, wrong, or two exchanged, make one of the other."""
    start = next((i for i, (a, b) in enumerate(zip(left, right, strict=False)) if a != b), None)
    if start is None:
        return abs(len(left) - len(right)) <= 1
    a, b = left[start:], right[start:]
    return a[1:] == b[1:] or a[1:] == b or a == b[1:] or (a[:2] == b[1::-1] and a[2:] == b[2:])


def holds(row: Wording, question: Wording) -> bool:
    """Whether a row's wording has a question in it, edits apart.

    It stands there word for word; or, from the first word that they share to the last one, the
    keys are equal, and no word stands in another one's place.
    """
    if not question.signs <= row.signs:  # cheap, and true of most rows of a shared template
        return False
    if f" {question.text} " in f" {row.text} ":
        return True
    matcher = SequenceMatcher(None, question.tokens, row.tokens, autojunk=False)
    blocks = [block for block in matcher.get_matching_blocks() if block.size]
    if not blocks:
        return False
    first, last = blocks[0], blocks[-1]
    start, stop = first.b, last.b + last.size
    behind = len(question.tokens) - (last.a + last.size)
    # The question's own ends may be misspelt: then they lie just outside.
    parts = row.tokens[start:stop], row.tokens[max(0, start - first.a) : stop + behind]
    return any(
        question.key == _key(part) and not _moved_words(question.tokens, part) for part in parts
    )


def _moved_words(left: tuple[str, ...], right: tuple[str, ...]) -> bool:
    """Whether words that both use stand in another order, or one in another's place.

    Words may come, or go, with an edit: one order then lies within the other.
    """
    spelt = list[str]()
    for _, i, j, k, m in SequenceMatcher(None, left, right, autojunk=False).get_opcodes():
        spelt += left[i:j] if _same_words(left[i:j], right[k:m]) else right[k:m]
    both = (set(left) & set(spelt)) - FILLING
    shorter, longer = sorted(
        ([each for each in words if each in both] for words in (left, spelt)), key=len
    )
    rest = iter(longer)
    return not all(each in rest for each in shorter)
