"""Makes text from models, data and machines safe to print; escaping is the writers' part."""

_CONTROLS = {code: 0x2400 + code for code in range(32) if chr(code) not in "\n\t"} | {127: 0x2421}
# Reordering marks could make an answer read as something else than it is.
_BIDI = {code: f"\\u{code:04x}" for code in (*range(0x202A, 0x202F), *range(0x2066, 0x206A))}


def printable(text: str) -> str:
    """The text with control characters made visible and lone surrogates replaced."""
    whole = text.encode("utf-8", "replace").decode("utf-8")
    return whole.replace("\r\n", "\n").translate(_CONTROLS).translate(_BIDI)
