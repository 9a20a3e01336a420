"""Makes text from models, data and machines safe to print; escaping is the writers' part."""

from contracts.texts import marked


def printable(text: str) -> str:
    """The text with marks in place of what nobody sees or what would reorder it."""
    return marked(text.replace("\r\n", "\n").replace("\r", "\\r"))
