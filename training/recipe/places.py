"""Where a source, a benchmark or a model lies: the rule that their sections share."""

from contracts.places import place_kind


def check_place(path: str, **of_hubs: str | None) -> None:
    """Checks that a path names a place, and that only a hub's has what belongs to a hub.

    Raises:
        ValueError: The rule that it breaks.
    """
    given = sorted(name for name, value in of_hubs.items() if value is not None)
    if place_kind(path) != "hub" and given:
        raise ValueError(f"{given} belong to a hub's repository `owner/name`; {path!r} is none")
