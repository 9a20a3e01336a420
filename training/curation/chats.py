"""A conversation as a problem: the user's turn asks, the assistant's turn solves.

Turns are structs of `role` and `content` (OpenAI's form) or of `from` and `value` (ShareGPT's).
"""

from dataclasses import dataclass

from training.curation.refused import Refused
from training.records import IMAGE_MARK

_ROLES = {
    "system": "system",
    "developer": "system",
    "user": "user",
    "human": "user",
    "assistant": "assistant",
    "gpt": "assistant",
}
_FORMS = (("role", "content"), ("from", "value"))
NO_CHAT = "chat that is no list of turns"
SEVERAL_TURNS = "chat with several turns"


@dataclass(frozen=True)
class Chat:
    """One question and what was said to it.

    Attributes:
        question: The user's turn.
        solution: The assistant's turn; None where there is none.
        num_system_turns: Turns that were left out.
    """

    question: str
    solution: str | None
    num_system_turns: int


def read_chat(value: object) -> Chat:
    """Reads a conversation of one question.

    Raises:
        Refused: It has another form, no question, several turns, or turns of others.
    """
    if not isinstance(value, list):
        raise Refused(NO_CHAT)
    turns = [_turn(one) for one in value]
    said = [(role, text) for role, text in turns if role != "system"]
    roles = [role for role, _ in said]
    if "user" not in roles:
        raise Refused("chat without a question")
    if roles not in (["user"], ["user", "assistant"]):
        raise Refused(SEVERAL_TURNS)
    return Chat(
        question=said[0][1],
        solution=said[1][1] if len(said) > 1 else None,
        num_system_turns=len(turns) - len(said),
    )


def check_turns(value: object) -> None:
    """Checks that a list of which single turns are taken is no conversation of several questions.

    Raises:
        Refused: It has more turns than a question and its answer.
    """
    if not isinstance(value, list):
        return
    forms = (
        (turn, form)
        for turn in value
        for form in _FORMS
        if isinstance(turn, dict) and turn.keys() >= set(form)
    )
    names = (turn[form[0]] for turn, form in forms)
    said = [one for one in names if _ROLES.get(str(one).casefold()) != "system"]
    if len(said) > 2:
        raise Refused(SEVERAL_TURNS)


def _turn(value: object) -> tuple[str, str]:
    """Role and text of one turn."""
    form = isinstance(value, dict) and next((f for f in _FORMS if value.keys() >= set(f)), None)
    if not isinstance(value, dict) or not form:
        raise Refused(NO_CHAT)
    name, content = value[form[0]], value[form[1]]
    role = _ROLES.get(name.casefold()) if isinstance(name, str) else None
    if role is None:
        raise Refused("chat with turns of others than system, user and assistant")
    return role, _content(content)


def _content(content: object) -> str:
    """A turn's text; of a list of parts, the texts, and a mark where an image stands."""
    if content is None:
        return ""
    if isinstance(content, str):
        return content
    if isinstance(content, list) and all(isinstance(part, dict) for part in content):
        return "".join(_part(part) for part in content)
    raise Refused(NO_CHAT)


def _part(part: dict[str, object]) -> str:
    kind, text = part.get("type"), part.get("text")
    if kind in ("image", "image_url"):
        return IMAGE_MARK
    if kind == "text" and isinstance(text, str):
        return text
    raise Refused("chat with parts that are neither text nor image")
