"""The language of a text, by its commonest small words; known of a few languages only.

Text in two languages, in another one, or of few words has none that is known.
"""

import re
from collections import Counter

# Small words that are common in one of these languages and in few of the others, and no words of
# English problems: no `on`, `per`, `do`, `also`, `son`.
_SMALL_WORDS = {
    "English": "the of and is are was we that this it with which if then when what how many be by "
    "have has there from each so because to at for find his she they does",
    "French": "le les des du une est sont nous que qui dans pour avec donc par ce cette il elle "
    "au aux et ou alors si combien quel quelle chaque",
    "German": "der die das und ist sind wir ein eine den dem mit für von zu nicht auf wenn dann "
    "wie viele sich es daher jede jeder",
    "Italian": "il gli della di che è sono con una dei del nel quindi si quanti quante abbiamo "
    "allora se ogni ha non le quale",
    "Portuguese": "os da é são uma em que com para não temos então se por quantos quantas cada "
    "ao na qual seu tem pelo",
    "Spanish": "el los las del es una que con por se como entonces y tenemos si en cuántos "
    "cuántas cuál cada su tiene luego",
}
_LANGUAGES = {language: frozenset(words.split()) for language, words in _SMALL_WORDS.items()}
_WORD = re.compile(r"(?<!\\)\b[^\W\d_]{2,}|\b[yèéà]\b")
# Los Angeles, El Paso, MIT: a capital that begins no sentence, and nothing but capitals.
_NAME = re.compile(r"(?<=[^.?!:¿¡\s]\s)[A-ZÀ-Þ]\w*|\b[A-ZÀ-Þ]{2,}\b")
_MIN_SHARE = 0.1  # of a text's words; of prose there are three times as many
_MARGIN = 2  # times the small words of any other language


def language_of(text: str, min_words: int) -> str | None:
    """The language of a text; None where it is not known.

    Args:
        text: Perhaps with formulas. Names and abbreviations are of no language.
        min_words: So many different small words must be of the language: an English text may speak
            of a `die` all the time.
    """
    words = Counter(word.casefold() for word in _WORD.findall(_NAME.sub(" ", text)))
    hits = {name: words.keys() & own for name, own in _LANGUAGES.items()}
    counts = Counter({name: sum(words[one] for one in own) for name, own in hits.items()})
    (language, most), (_, second) = counts.most_common(2)
    is_known = len(hits[language]) >= min_words and most >= max(
        _MIN_SHARE * words.total(), _MARGIN * second
    )
    return language if is_known else None
