r"""How a question is read when it is compared with others: its words, and what decides its answer.

Two questions are read alike where only dressing differs: case, spaces, punctuation, `$...$`,
`\text{}`, `\left(`, `\dfrac` for `\frac`, `\times` for `*`. Numbers, operators and the words that
turn a problem around are kept in their order as its key: problems that differ there are different
problems, however much text they share.
"""

import re
import unicodedata
from dataclasses import dataclass
from difflib import SequenceMatcher
from functools import cached_property, lru_cache
from itertools import accumulate

from contracts.texts import UNSEEN, is_blank

_SIGNS = str.maketrans(
    {"×": "*", "·": "*", "⋅": "*", "∗": "*", "÷": "/", "⁄": "/", "∕": "/", "−": "-", "–": "-"}
    | {"—": "-", "≤": r"\le ", "≥": r"\ge ", "≠": r"\ne ", "±": r"\pm ", "√": r"\sqrt "}
    | {"π": r"\pi ", "∠": r"\angle ", "△": r"\triangle ", "°": r"\circ ", "∞": r"\infty "}
    | {"'": None, "’": None, "`": None, "$": None, "_": None}
)
_COMPARED = {"<=": r"\le ", ">=": r"\ge ", "!=": r"\ne "}
_RAISED = re.compile(r"([⁰¹²³⁴-⁹]+)")  # NFKC would read x² as x2
_SAME_COMMAND = {
    **dict.fromkeys(("dfrac", "tfrac", "cfrac"), r"\frac "),
    **dict.fromkeys(("times", "cdot", "ast"), " * "),
    **dict.fromkeys(("leq", "leqslant"), r"\le "),
    **dict.fromkeys(("geq", "geqslant"), r"\ge "),
    **dict.fromkeys(("dbinom", "tbinom"), r"\binom "),
    "neq": r"\ne ",
    "div": " / ",
    "lt": " < ",
    "gt": " > ",
    **dict.fromkeys(("left", "right", "big", "bigg", "middle", "limits", "displaystyle"), ""),
    **dict.fromkeys(("quad", "qquad", "textstyle", "rm", "bf", "it", "mathstrut"), " "),
}
_COMMAND = re.compile(r"\\([a-z]+)")
_SPACING = re.compile(r"\\(?:[,;:! \\()\[\]]|\n)|~")  # `\,` and `\ `; `\(` and `\[` open formulas
_WRAPPERS = (
    r"\\(?:text|textbf|textit|textrm|mathrm|mathbf|mathit|mathsf|emph|operatorname|mbox|boxed"
    r"|underline)"
)
_WRAPPED = re.compile(_WRAPPERS + r"\s*\{([^{}]*)\}")
_WRAPPER = re.compile(_WRAPPERS + r"\b")
_MAX_DEPTH = 16  # of groups in groups; each takes a pass over the text
_FRACTION = re.compile(r"\\frac\s*(?:\{([^{}]*)\}\s*\{([^{}]*)\}|(\d)\s*(\d))")
_CHOOSE = re.compile(r"\{([^{}\\]*)\\choose ([^{}]*)\}|([a-z]|\d+) ?\\choose +([a-z]|\d+)")
_GROUP = re.compile(r"\{([^{}]*)\}")
_OPERATOR = re.compile(r"[-+*/^=<>|]|\\(?:le|ge|ne|pm)")
_BETWEEN = re.compile(rf"\S\s*(?:{_OPERATOR.pattern})\s*\S")
_THOUSANDS = re.compile(r"(?<=\d)(?:,|\{,\})(?=\d{3}(?!\d))")
_HYPHEN = re.compile(r"(?<=[^\W\d_]{2}) ?- ?(?=[^\W\d_]{2})")
_SPACES = re.compile(r"\s+")
_SENTENCE = re.compile(r"(?<=[.?!])\s+(?=\S)")
# What a prompt puts before a problem, and behind it.
_LABEL = re.compile(
    r"^(?: ?(?:(?:problem|question|exercise|example|task|q)(?: ?\d+ ?[.:)]| ?:)"
    r"|(?:please )?(?:solve|answer) (?:this|the following) (?:maths? )?(?:problem|question) ?[.:])"
    r"(?: |$))+"
)
_PROMPT = re.compile(
    r"(?:please )?(?:lets )?(?:think|reason|work|solve)(?: this| it)? step by step"
    r"(?:,? and (?:put|give|write) your final answer (?:within|in)\b.{0,20})? ?[.!:]?"
    r"|(?:please )?answer with (?:a|an|the|one) (?:single |whole |correct )?"
    r"(?:number|integer|word|fraction|decimal)(?: only)? ?[.!]?"
)
# "Give your answer as a fraction." says how, not what.
_HOW_TO_ANSWER = re.compile(r"^(?:give|write|express|put|state|enter|provide)\b.*\banswer\b")
_TOKEN = re.compile(
    r"\\[a-z]+|\d+(?:\.\d+)?|(?<![\d\w])\.\d+|[^\W\d_]+|(?<=[\w)])!"
    # Signs such as a sum's or a union's; of brackets, only those that may hold an operator.
    r"|[^\w\s.,;:?!\[\]{}\\\"“”„«»‹›…。、¿¡&~]"
)
_NUMBER = re.compile(r"\.?\d")

# Words that change what is asked, and words for numbers and operations.
_DECIDING_WORDS = (
    "not no never none neither nor without cannot isnt arent dont doesnt didnt wasnt cant except "
    "largest smallest greatest least biggest most fewest highest lowest longest shortest "
    "maximum minimum max min maximal minimal maximize minimize maximise minimise larger smaller "
    "greater bigger less lesser more fewer higher lower longer shorter above below over under "
    "before after earlier later first last next previous even odd prime composite positive "
    "negative increase increases increased decrease decreases decreased rise rises fall falls gain "
    "gains lose loses lost wins won true false inside outside interior exterior left right up down "
    "clockwise counterclockwise north south east west add adds added subtract subtracts subtracted "
    "plus minus times divided multiplied sum difference product quotient remainder ratio square "
    "cube squared cubed root half quarter third thirds quarters halves double triple twice thrice "
    "dozen zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen "
    "fifteen sixteen seventeen eighteen nineteen twenty thirty forty fifty sixty seventy eighty "
    "ninety hundred thousand million billion second fourth fifth sixth seventh eighth ninth tenth "
    "sin cos tan cot sec csc arcsin arccos arctan log ln exp area perimeter volume circumference "
    "diameter radius mean median mode range convex concave horizontal vertical width height length "
    "any all some every each only exactly both either or different distinct inclusive exclusive "
    "buys sells bought sold gives takes gave took off"
)
# Words in which two ways to ask the same may differ.
_ASKING_WORDS = (
    "a an the of is are be was were what which whats find determine compute calculate evaluate "
    "please give solve state work value answer result question problem following here now then so "
    "to for and that this these your its it as do does can could you me us tell need know want "
    "let have has we there if will would"
)
_DECIDING = frozenset(_DECIDING_WORDS.split())
_FILLING_WORDS = "on in at by with from into towards and while when who her his their they"
ASKING = frozenset(_ASKING_WORDS.split())
_FILLING = ASKING | frozenset(_FILLING_WORDS.split())  # may come and go in any text
_MIN_TYPO_LENGTH = 5  # in shorter words one letter makes another word
_LONG_DECIDING = sorted(word for word in _DECIDING if len(word) >= _MIN_TYPO_LENGTH)


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
    def text(self) -> str:
        """The tokens with a space between them."""
        return " ".join(self.tokens)

    @property
    def squeezed(self) -> str:
        """The tokens without spaces: no way to set spaces makes a difference."""
        return "".join(self.tokens)


def read(question: str) -> Wording:
    """Reads a question; the same question in other dressing is read the same."""
    plain = _undressed(question)
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


def _undressed(question: str) -> str:
    """Without what only dresses; LaTeX's groups become brackets where they hold an operator.

    What a text has no sign of is not looked for: most texts are plain.
    """
    text = question
    if not (text.isascii() and text.isprintable()):
        text = UNSEEN.sub(lambda found: " " if is_blank(found[0]) else "", text)
        text = _RAISED.sub(r"^\1", text)
        text = unicodedata.normalize("NFKC", text)
    text = text.casefold().translate(_SIGNS)
    if "\\" in text or "~" in text:
        text = _SPACING.sub(" ", text.replace("\\$", "").replace("\\%", "%").replace("\\{", "{"))
        text = text.replace("\\}", "}")
    for sign, command in _COMPARED.items():
        text = text.replace(sign, command)
    if "\\" in text:
        text = _COMMAND.sub(lambda found: _SAME_COMMAND.get(found[1], f"{found[0]} "), text)
    if "," in text:
        text = _THOUSANDS.sub("", text)
    if "\\" in text or "{" in text:
        text = _opened(text)
    return _HYPHEN.sub(" ", _LABEL.sub("", _SPACES.sub(" ", text)))


def _opened(text: str) -> str:
    """Without LaTeX's wrappers, fractions and groups."""
    for _ in range(_MAX_DEPTH):
        opened = _WRAPPED.sub(r" \1 ", text)
        opened = _CHOOSE.sub(_binomial, opened)
        opened = _FRACTION.sub(_divided, opened)
        opened = _GROUP.sub(lambda found: _bracketed(found[1]), opened)
        if opened == text:
            break
        text = opened
    return _WRAPPER.sub(" ", text)


def _binomial(found: re.Match[str]) -> str:
    above, below = (found[1], found[2]) if found[3] is None else (found[3], found[4])
    return f" \\binom {_bracketed(above)} {_bracketed(below)} "


def _divided(found: re.Match[str]) -> str:
    above, below = (found[1], found[2]) if found[3] is None else (found[3], found[4])
    return f" {_bracketed(above)}/{_bracketed(below)} "


def _bracketed(content: str) -> str:
    return f" ({content}) " if _BETWEEN.search(content) else f" {content} "


def _tokens(text: str) -> tuple[str, ...]:
    """Brackets stay where they hold an operator: `(a+b)c` is not `a+bc`."""
    tokens = list(map(_canonical, _TOKEN.findall(text)))
    if "(" not in tokens and ")" not in tokens:
        return tuple(tokens)
    num_operators = list(accumulate(bool(_OPERATOR.fullmatch(one)) for one in tokens))
    kept, open_ = [True] * len(tokens), list[int]()
    for place, sign in enumerate(tokens):
        if sign == "(":
            open_.append(place)
        elif sign == ")":
            start = open_.pop() if open_ else place
            kept[start] = kept[place] = num_operators[place] > num_operators[start]
    for place in open_:
        kept[place] = False
    return tuple(token for token, keep in zip(tokens, kept, strict=True) if keep)


@lru_cache(maxsize=2**16)
def _canonical(token: str) -> str:
    """A number without zeros that say nothing; anything else as it is."""
    if not _NUMBER.match(token):
        return token
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
    if word in _DECIDING or len(word) < _MIN_TYPO_LENGTH or not word.isascii():
        return word
    meant = (one for one in _LONG_DECIDING if abs(len(one) - len(word)) <= 1)
    return next((one for one in meant if _one_slip(word, one)), word)


def _decides(word: str) -> bool:
    if len(word) == 1:
        return word != "a"  # a variable, a choice or a sign; `a` is an article as well
    return word in _DECIDING or not word.isascii() or not word.isalpha()


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
    both = (set(left) & set(spelt)) - _FILLING
    shorter, longer = sorted(
        ([each for each in words if each in both] for words in (left, spelt)), key=len
    )
    rest = iter(longer)
    return not all(each in rest for each in shorter)
