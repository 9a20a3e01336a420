"""Makes text from models, data and machines safe to print; escaping is the writers' part."""

from contracts.texts import marked


def printable(text: str) -> str:
    """The text with marks in place of what nobody sees or what would reorder it."""
    return marked(text.replace("\r\n", "\n").replace("\r", "\\r"))


def ends(text: str, limit: int) -> tuple[str, str]:
    """The beginning and the end of a text, `limit` characters together; nothing is lost of a
    shorter one.

    Two thirds are its end: there stands what an answer came to.
    """
    head = limit // 3
    return text[:head], text[max(head, len(text) - (limit - head)) :]


def cut(text: str, limit: int, length: int | None = None) -> str:
    """The `ends` of a longer text, and between them how much is not there.

    Args:
        text: The text.
        limit: How many characters are left of it.
        length: How long it was, where it is itself the `ends` of one, of at least this limit.
    """
    whole = len(text) if length is None else length
    if whole <= limit:
        return text
    head, tail = ends(text, limit)
    return f"{head}\n[… {whole - limit} characters are not shown …]\n{tail}"
