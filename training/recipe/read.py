"""Reading a recipe's file, which may come from anybody: small, shallow, and of plain text."""

import tomllib
from pathlib import Path
from typing import Any

from pydantic_core import ErrorDetails

from contracts.errors import RecipeError

MAX_RECIPE_BYTES = 2**20
MAX_BITS = 64  # of a whole number, as TOML has it
MAX_SHOWN_CHARACTERS = 200
MAX_DEPTH = 16  # tables and lists inside one another; the deepest recipe has 6
_ALLOWED_CONTROLS = "\n\r\t"
# Keys of older recipes, and what has taken their place.
_REPLACED = dict.fromkeys(("curation.rules", "curation.duplicates.near"), "curation.steps")


def read_toml(path: Path) -> dict[str, Any]:
    """The values of a TOML file.

    Raises:
        RecipeError: The file is missing, cannot be read, or is no TOML that a recipe may be.
    """
    try:
        if not path.is_file():
            raise _unusable(path, "There is no recipe", "", missing=True)
        with path.open("rb") as file:
            data = file.read(MAX_RECIPE_BYTES + 1)
        if len(data) > MAX_RECIPE_BYTES:
            raise _unusable(path, "is not valid TOML", f"it has more than {MAX_RECIPE_BYTES} bytes")
        values = tomllib.loads(data.decode("utf-8"))
    except OSError as error:
        raise _unusable(path, "cannot be read", str(error.strerror)) from error
    except RecursionError as error:
        raise _unusable(path, "is not valid TOML", "it is nested too deeply") from error
    except ValueError as error:  # of the decoder, of `tomllib`, and of a path with a NUL
        raise _unusable(path, "is not valid TOML", str(error)) from error
    check_texts(values, where=str(path))
    return values


def check_texts(values: object, *, where: str) -> None:
    """Checks depth, texts and size of a recipe's values; only what may be printed is shown later.

    Raises:
        RecipeError: They are nested too deeply, or hold a control character or half a character, or
            a whole number that no field could hold.
    """
    waiting: list[tuple[object, tuple[str, ...]]] = [(values, ())]
    while waiting:
        value, field = waiting.pop()
        if len(field) > MAX_DEPTH:
            raise _odd(where, field, f"is nested more than {MAX_DEPTH} levels deep")
        if isinstance(value, dict):
            waiting += [(key, (*field, "key")) for key in value]
            waiting += [(inner, (*field, ascii(key)[1:-1])) for key, inner in value.items()]
        elif isinstance(value, list | tuple):
            waiting += [(inner, (*field, str(index))) for index, inner in enumerate(value)]
        elif isinstance(value, int) and value.bit_length() > MAX_BITS:
            # No message could quote it: Python writes out no more than 4,300 digits.
            raise _odd(where, field, f"is a whole number of more than {MAX_BITS} bits")
        elif isinstance(value, str) and any(map(_is_odd, value)):
            raise _odd(where, field, f"holds a character that is no text: {ascii(value)[:200]}")


def described(fault: ErrorDetails) -> str:
    """One fault as `field: message (got value)`, without the discriminator tags pydantic adds."""
    field = ".".join(str(part) for part in fault["loc"]) or "recipe"
    if fault["type"] == "extra_forbidden":
        hint = f"; {_REPLACED[field]} takes its place" if field in _REPLACED else ""
        return f"{field}: unknown key{hint}"
    given = fault.get("input")
    shown = f" (got {_shown(given)})" if isinstance(given, str | int | float | bool) else ""
    return f"{field}: {fault['msg']}{shown}"


def _shown(given: object) -> str:
    """A value as an error may quote it."""
    text = repr(given)
    return text if len(text) <= MAX_SHOWN_CHARACTERS else f"{text[:MAX_SHOWN_CHARACTERS]}..."


def _is_odd(character: str) -> bool:
    code = ord(character)
    control = code < 32 or 127 <= code < 160
    return (control and character not in _ALLOWED_CONTROLS) or 0xD800 <= code < 0xE000


def _odd(where: str, field: tuple[str, ...], what: str) -> RecipeError:
    name = ".".join(field[:MAX_DEPTH])
    return RecipeError(
        "The recipe breaks 1 rule(s).",
        where=where,
        rule=f"{name}: a recipe's value {what}",
        fix="correct the field named above; `revisual show pocket` prints a complete recipe",
    )


def _unusable(path: Path, what: str, why: str, *, missing: bool = False) -> RecipeError:
    name = ascii(str(path))[1:-1] if not str(path).isprintable() else str(path)
    return RecipeError(
        f"{what} {name}." if missing else f"{name} {what}: {why.rstrip('.')}.",
        where=name,
        rule=f"a recipe is a TOML file of at most {MAX_RECIPE_BYTES} bytes",
        fix="name a shipped recipe (pocket, revisual-3b, revisual-7b) or the path of your own"
        if missing
        else "correct the line that the message names",
    )
