r"""A question's text without what only dresses it: LaTeX, Markdown and Unicode that say the same.

Signs and Greek letters become one Unicode character, whichever way they are written; LaTeX's
fractions and binomials become `/` and `binom`, its wrappers and displays go, and its groups become
brackets where they hold an operator or a product (`training.curation.latex_groups`).
"""

import re
import unicodedata
from html.entities import html5

from contracts.texts import UNSEEN, is_blank
from training.curation.latex_groups import opened
from training.curation.words import DECIDING, FILLING, FUNCTIONS

_ALIKE = {
    **dict.fromkeys("×·⋅∗", "*"),
    **dict.fromkeys("÷⁄∕", "/"),
    **dict.fromkeys("−–‐‒", "-"),
    **dict.fromkeys("—―", "—"),
    **dict.fromkeys("≤⩽≦", "≤"),
    **dict.fromkeys("≥⩾≧", "≥"),
    **dict.fromkeys("∣‖", "|"),
    **dict.fromkeys("→⟶↦⟼", "→"),
    **dict.fromkeys("∪⋃", "∪"),
    **dict.fromkeys("∩⋂", "∩"),
    **dict.fromkeys("∧⋀", "∧"),
    **dict.fromkeys("∨⋁", "∨"),
    **dict.fromkeys("∠∡", " angle "),
    **dict.fromkeys("△▵", " triangle "),
    **dict.fromkeys("⋯⋮⋱", " ... "),
    **{"√": " sqrt ", "∛": " sqrt[3] ", "∜": " sqrt[4] ", "∞": " infinity ", "∆": "δ", "∶": ":"},
}
_DROPPED: dict[str, str | None] = {"'": None, "’": None, "`": None, "$": None}
_SIGNS = str.maketrans({**_ALIKE, **_DROPPED, "_": " "})  # 10_2 is no 102
_DEGREES = str.maketrans("º˚", "°°")  # NFKC would read 30º as 30o
# A prime, as in f'(2) and A'B'C', is no apostrophe: it stands behind a sign, or a letter by itself
# that no quotation begins with, and no word goes on behind it.
_PRIMES = re.compile(
    r"((?<![^\W\d_])(?<!(?<![^\W\d_])['’‘])[^\W\d_]|_\w|[)\]}])(['’]+)(?![^\W\d_](?!['’]))"
)
_PRIME = r"(?:\\prime(?![a-z])|['’′])"
_RAISED_PRIMES = re.compile(rf"\^\s*+(?:{_PRIME}|\{{\s*+(?:{_PRIME}\s*+)+\}})")
_ONE_PRIME = re.compile(_PRIME)
# NFKC would read x² as x2, 10₂ as 102, and 2½ as 21/2.
_RAISED, _LOWERED = re.compile(r"([²³¹⁰-ⁿ]+)"), re.compile(r"([₀-ₜ]+)")
_VULGAR = re.compile(r"[¼-¾⅐-⅞↉]")
_COMPARED = {"<=": "≤", ">=": "≥", "->": "→"}
_UNEQUAL = re.compile(r"(?<![\w)])!=")  # `n!=120` is a factorial's value
# A comma that no space follows, LaTeX's `{,}`, `,\!` and `\,`, and spaces that break no line.
_THOUSANDS = re.compile(r"(?<=\d)(?:,(?:\\!)?|\{,\}|\\,|[\u00a0\u2009\u202f])(?=\d{3}(?!\d))")
# `*x*` behind a number or a letter is a product.
_EMPHASIS = re.compile(
    r"(?<![^\s(\[\"“‘,;:—-])(?:(\*{2,3})(?=[^\s*])"
    r"|(\*)(?=[^\W\d_]{2})|(?<![\d)] )(?<!\W[^\W\d_] )(\*)(?=[^\W\d_]\*))"
    r"([^*\n]*[^\s*])(?(1)\1|\*)(?![^\s)\].,;:?!\"”’—-])"
)
_MARKS = re.compile(
    r"^[ \t]*(?:#{1,6}|[*•]|-(?=[ \t]+[^\W\d_]{2}))[ \t]+", re.MULTILINE
)  # of headings and lists
# A quoted paragraph; `>` in the middle of one is a sign, and so is one before an operand.
_QUOTED = re.compile(
    r"(?:\A|\n[ \t]*\n)(?![ \t]*>[ \t>]*+-?(?:[\d=]|\\(?!text|[(\[])))"
    r"(?:[ \t]*>[^\n]*(?:\n|\Z))+"
)
_QUOTE = re.compile(r"^[ \t]*(?:>[ \t]?)+", re.MULTILINE)
_BREAK = re.compile(r"<br ?/?>")
# `{x : x > 0}`, but neither a command's group, as in `\text{Given:}`, nor a ratio `{a : b}`.
_SUCH_THAT = re.compile(
    r"(?:\\[a-z]+|[}\]_^])\s*\{"
    r"|(\\?\{[ \t]*[a-z(](?:[^{}|:\n]|\{[^{}|:\n]{0,40}\}){0,40}?):(?!=|\s*\w+\s*(?:\\?\}|:))"
)
# `3x3`, `2 x 3 x 4` and `$3$ x $4$`; `0x10`, `x1x2` and `x_1 x 2` are none.
_SIZE = re.compile(
    r"(?<![a-zα-ω\d_])(?<!_[\s{])(?!0x)\d++(?:(?:\$?x\$?|\$?[^\S\n]+x[^\S\n]+\\?\$?)\d++)+"
)
_POWER = re.compile(r"(?<=[\w)]) ?\*\* ?(?=[\w(])")
_ELLIPSIS = re.compile(r"\.(?: ?\.)++ ?")
_BESIDE_BEFORE = re.compile(r"[,;+*/<=≤>≥-] ?\Z")
_BESIDE_BEHIND = re.compile(r"[,;+*/<=≤>≥-]")
_RATIO = re.compile(r"(?<=\d) ?: ?(?=\d)")
_DEGREE = re.compile(r"\^\s*\{\s*[∘°]\s*\}|\^\s*[∘°]|(?<=\d) ?∘")
_RAISED_O = re.compile(r"(?<=[\w)]) ?\^ ?o(?!\w)")
_ORDINAL = re.compile(r"\^ ?\(? ?(st|nd|rd|th)(?: ?\))?(?!\w)")
_NAMED = re.compile(r"(?:(?<![^\W\d_])[^\W\d_]|\)) ?\Z")
# `nth` and `n-th`, and `10-th`; `th(x)` is a function.
_GLUED_TH = re.compile(r"th(?<=(?<![^\W\d_])[a-z]th)(?!\w)")
_HYPHEN_TH = re.compile(r"-th(?<=[a-z\d)]-th)(?<![^\W\d_]{2}-th)(?![\w(]| ?[-+*/^=<>])")
_MINUS_TH = re.compile(r"-th(?=\$|\\[)\]])")  # a formula's end: variables
_COUNTED = {"st": re.compile(r"(?<!1)1 ?\Z"), "nd": re.compile(r"(?<!1)2 ?\Z")}
_COUNTED |= {"rd": re.compile(r"(?<!1)3 ?\Z"), "th": re.compile(r"\d ?\Z")}
# A cross product is no dot product.
_CROSS = re.compile(
    r"(?:\\times(?![a-z])|×)(?=\s*\\(?:vec|overrightarrow|mathbf|boldsymbol|bm)\s*\{?\s*[a-z])"
)
_SPACES = re.compile(r"\s+")
_DASH = re.compile(r" ?(?:-{2,}|—)[-—]* ?")
_HYPHEN = re.compile(r"( ?)-( ?)(?=([^\W\d_]{2,}))")
_PROSE = FILLING | {"but", "or", "how", "not", "he", "she", "all", "each", "both", "no"}
_NO_OPERANDS = _PROSE | {"", ".", ",", ":", ";", "?", "!"}
_LAST_WORD = re.compile(r"[^\W\d_]{2,}\Z")
_LONGEST_NAME = 12
_OPERAND_BEFORE = re.compile(r"(?:[\d)\]!′°]|(?<![^\W\d_])[^\W\d_])\Z")
_OPERAND_BEHIND = re.compile(r"[\d(\[\\]|[^\W\d_](?![^\W\d_])")
# What a prompt puts before a problem.
_LABEL = re.compile(
    r"^(?: ?(?:(?:problem|question|exercise|example|task|q)(?: ?\d+ ?[.:)]| ?:)"
    r"|(?:please )?(?:solve|answer) (?:this|the following) (?:maths? )?(?:problem|question) ?[.:])"
    r"(?: |$))+"
)

_COMMAND = re.compile(r"\\([a-z]+)")
# No space parts `\( xy \)-plane` or `$ xy $-plane`, as none parts `$xy$-plane`.
_BEFORE_HYPHEN = re.compile(
    r"(?:(\$\s[^$]{1,40}?)\s{1,9}\$\$?|\s{0,9}(?<!\\)\\[)\]])(?=-(?:[^\W\d_]{3}|th(?!\w)))"
)
# `\,` and `\ `; `\(` and `\[` open formulas, and so does `\\[` that was escaped twice.
_SPACING = re.compile(r"\\\\\[\d[\d.]*(?:pt|em|ex|[cm]m)\]|\\(?:\\?[\[\]]|[,;:! \\()]|\n)|~")
_ROWS = re.compile(r"\\(begin|end)\{\w{0,5}matrix\}|\\\\(?!\s*\\end\{\w{0,5}matrix)")
_NEGATED = re.compile("\u0338\\s*(\\S)")
_SPELT = {
    **dict.fromkeys(("dfrac", "tfrac", "cfrac"), r"\frac"),
    **dict.fromkeys(("dbinom", "tbinom"), r"\binom"),
    **dict.fromkeys(("times", "cdot", "ast"), " * "),
    **dict.fromkeys(("lvert", "rvert"), " | "),
    **dict.fromkeys(("to", "longmapsto", "mapsto"), " → "),
    **dict.fromkeys(("neg", "lnot"), " ¬ "),
    "bmod": " mod ",
    **dict.fromkeys(("ldots", "dots", "cdots", "dotsc", "dotsb", "dotsm", "hdots"), " ... "),
    **dict.fromkeys(("quad", "qquad", "hfill", "newline", "hline", "par", "noindent"), " "),
    **dict.fromkeys(("rm", "bf", "it", "mathstrut", "textstyle", "displaystyle"), " "),
    **dict.fromkeys(("limits", "nolimits", "left", "right", "middle"), ""),
    **{big + side: "" for big in ("big", "bigg") for side in ("", "l", "r", "m")},
    **{"div": " / ", "neq": " ≠ ", "exists": " ∃ ", "partial": " ∂ ", "infty": " infinity "},
    **{
        "land": " ∧ ",
        "lor": " ∨ ",
        "implies": " ⇒ ",
        "surd": " sqrt ",
        "ell": " l ",
        "backslash": " ∖ ",
        "angle": " angle ",
    },
    **{"bar": r"\overline "} | {name * n: name for name in "rnzqc" for n in (1, 2)},
    **{"triangle": " triangle ", "circ": " ∘ ", "degree": " ° ", "colon": " : ", "not": "\u0338"},
    **{name: f" {name} " for name in FUNCTIONS},
}


def _signs() -> dict[str, str]:
    """Of LaTeX's commands for signs and Greek letters the character.

    HTML's names are used: like LaTeX's they come from ISO 8879 and 9573-13.
    """
    found = dict[str, str]()
    for entity, character in html5.items():
        sign = unicodedata.normalize("NFKC", character)
        name = entity.removesuffix(";")
        if (
            len(sign) == 1
            and name.islower()
            and (unicodedata.category(sign) in ("Sm", "So", "Ps", "Pe") or "α" <= sign <= "ω")
        ):
            found[name] = sign.translate(_SIGNS)
    return found


_SIGN_OF = _signs()
_GREEK = {name: sign for name, sign in _SIGN_OF.items() if "α" <= sign <= "ω"}
SIGN_OF_WORD = _GREEK | {"degree": "°", "degrees": "°", "percent": "%"}
_SAME_COMMAND = {name: f" {sign} " for name, sign in _SIGN_OF.items()} | _SPELT
_NAMES = FUNCTIONS | frozenset(_GREEK)


def undressed(question: str) -> str:
    """A question's text, in lower case, without what only dresses.

    What a text has no sign of is not looked for: most texts are plain.
    """
    text = question
    if not (text.isascii() and text.isprintable()):
        text = _THOUSANDS.sub("", text)
        text = UNSEEN.sub(lambda found: " " if is_blank(found[0]) else "", text)
        text = _VULGAR.sub(r" \g<0>", text.translate(_DEGREES))
        text = _LOWERED.sub(r"_\1", _RAISED.sub(_raised, text))
        text = unicodedata.normalize("NFKC", text)
    text = _unmarked(text.casefold())
    if "'" in text or "’" in text or "prime" in text:
        text = _RAISED_PRIMES.sub(lambda found: "′" * len(_ONE_PRIME.findall(found[0])), text)
        text = _PRIMES.sub(lambda found: found[1] + "′" * len(found[2]), text)
    if "," in text:
        text = _THOUSANDS.sub("", text)
    text = _with_signs(text)
    if "$-" in text or "\\)-" in text or "\\]-" in text:
        text = _BEFORE_HYPHEN.sub(r"\1", text)
    if "\\" in text or "~" in text:
        if "matrix}" in text:
            text = _with_rows(text)
        text = _SPACING.sub(" ", text.replace("\\$", "").replace("\\%", "%").replace("\\{", "{"))
        text = text.replace("\\}", "}")
    if "\\" in text:  # before dollars go: `\circ$C` has the command `\circ`
        text = _CROSS.sub(" ⨯ ", text)
        text = _COMMAND.sub(lambda found: _SAME_COMMAND.get(found[1], f"{found[0]} "), text)
    text = _compared(text.translate(_SIGNS))
    if "∘" in text or "°" in text:
        text = _DEGREE.sub("°", text)
    if "\\" in text or "{" in text:
        text = opened(text)
    if "\u0338" in text:
        negated = _NEGATED.sub("\\1\u0338", text)
        text = unicodedata.normalize("NFC", negated)
    return _punctuated(_LABEL.sub("", _SPACES.sub(" ", text)))


def _unmarked(text: str) -> str:
    """Without the marks of Markdown, and HTML's breaks."""
    if "<br" in text:
        text = _BREAK.sub(" ", text)
    if ">" in text:
        text = _QUOTED.sub(lambda found: _QUOTE.sub("", found[0]), text)
    if "#" in text or "*" in text or "•" in text or ("-" in text and "\n" in text):
        text = _MARKS.sub("", text)
    if "*" in text:
        text = _POWER.sub("^", _EMPHASIS.sub(r"\4", text))
    return text


def _with_signs(text: str) -> str:
    """With signs for what only braces, underscores, dollars and lines' ends, which go, tell."""
    if ":" in text and "{" in text:
        text = _SUCH_THAT.sub(lambda found: f"{found[1]} | " if found[1] else found[0], text)
    if "-th" in text:
        text = _MINUS_TH.sub("- th", text)
    if "x" in text:
        text = _SIZE.sub(lambda found: found[0].replace("x", " * "), text)
    return text


def _compared(text: str) -> str:
    for sign, character in _COMPARED.items():
        text = text.replace(sign, character)
    return _UNEQUAL.sub("≠", text) if "!=" in text else text


def _with_rows(text: str) -> str:
    r"""With a sign between the rows of matrices, which `\\` is nowhere else."""
    depth = 0

    def written(found: re.Match[str]) -> str:
        nonlocal depth
        depth = max(depth + (found[1] == "begin") - (found[1] == "end"), 0)
        return " ↵ " if depth and not found[1] else found[0]

    return _ROWS.sub(written, text)


def _raised(found: re.Match[str]) -> str:
    return f"^{found[0]}" if len(found[0]) == 1 else f"^{{{found[0]}}}"


def _punctuated(text: str) -> str:
    """Without dots, dashes and hyphens that are no operators; of single spaces."""
    if ".." in text or ". ." in text:
        text = _ELLIPSIS.sub(_ellipsis, text)
    if ":" in text:
        text = _RATIO.sub(":", text)
    if "^" in text:
        text = _RAISED_O.sub("°", _ORDINAL.sub(_ordinal, text))
    text = _GLUED_TH.sub(" th", text)
    if "-th" in text:
        text = _HYPHEN_TH.sub(" th", text)
    if "!" in text:
        text = text.replace(" !", "!")
    if "—" in text or "--" in text:
        text = _DASH.sub(_dash, text)
    if "-" in text:
        text = _HYPHEN.sub(_hyphen, text)
    return text


def _ordinal(found: re.Match[str]) -> str:
    """`th` behind a letter or a bracket, or a number that is counted so: `2^{st}` is a power."""
    start = found.start()
    is_counted = _COUNTED[found[1]].search(found.string, max(0, start - 3), start)
    if not is_counted and found[1] == "th":
        is_counted = _NAMED.search(found.string, max(0, start - 3), start)
    return found[1] if is_counted else found[0]


def _ellipsis(found: re.Match[str]) -> str:
    """A sign where it leaves members of a list or a sum out: beside a comma, or two operands."""
    start, end = found.span()
    text, first = found.string, max(0, start - 2)
    is_beside = _BESIDE_BEFORE.search(text, first, start) or _BESIDE_BEHIND.match(text, end)
    before = start - (text[start - 1 : start] == " ")
    is_between = _OPERAND_BEFORE.search(text, max(0, before - 2), before) and (
        _OPERAND_BEHIND.match(text, end)
    )
    return " … " if is_beside or is_between else " "


def _dash(found: re.Match[str]) -> str:
    """A minus between two operands, else nothing."""
    start, end = found.span()
    before = _OPERAND_BEFORE.search(found.string, max(0, start - 2), start)
    behind = _OPERAND_BEHIND.match(found.string, end)
    return " - " if before and behind else " "


def _hyphen(found: re.Match[str]) -> str:
    r"""A minus, or nothing where it joins two words, or stands before one that is no operand.

    With a space before, it joins no word to another: it is a minus unless it is a dash in prose,
    beside words such as `and`. Behind a sign, as in `\mathit{x}-axis`, a formula leaves the space.
    """
    gap, space, behind = found.groups()
    start = found.start()
    word = _LAST_WORD.search(found.string, max(0, start - _LONGEST_NAME), start)
    before = word[0] if word else found.string[start - 1 : start]
    if gap and space:
        is_minus = before not in _NO_OPERANDS and behind not in _PROSE
    elif gap and (word or not _OPERAND_BEFORE.search(before)):
        is_minus = behind not in _PROSE
    elif word:
        is_minus = before in _NAMES or behind in _NAMES
    else:
        is_minus = len(behind) < 3 or behind in DECIDING or behind in _NAMES
    return found[0] if is_minus else " "
