"""What the names in a store look like; whatever looks otherwise is not the store's to touch.

Names come out of manifests, key entries and listings, which somebody else may have written.
"""

import re

from contracts.errors import DamagedError, StoreError
from contracts.paths import is_inner_path

_PART = r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}"
_LOCATION = re.compile(rf"artifacts/{_PART}/{_PART}")
_KEY = re.compile(rf"{_PART}(/step-[0-9]{{8}}|/chunks)?")
# As `entry_name` writes them: no two names have one number.
_ENTRY = re.compile(r"([0-9]{6}|[1-9][0-9]{6,11})\.json")
MAX_ENTRY_NUMBER = 10**12 - 1
_STEP_ENTRY = re.compile(rf"step-([0-9]{{8}})/(?:{_ENTRY.pattern})")


def is_location(name: str) -> bool:
    """Whether an artifact may lie there: `artifacts/<kind>/<unique id>`."""
    return _LOCATION.fullmatch(name) is not None


def is_key(name: str) -> bool:
    """Whether something may be found by it: a stage's key, or that of a step or of its chunks."""
    return _KEY.fullmatch(name) is not None


def is_entry(name: str) -> bool:
    """Whether it is an entry's name below its key."""
    return _ENTRY.fullmatch(name) is not None


def entry_name(number: int) -> str:
    """What the entry of that number is called below its key."""
    return f"{number:06d}.json"


def number_of_entry(name: str) -> int:
    """The number of an entry; it grows with every one that is made under its key."""
    return int(name.partition(".")[0])


def step_of_entry(name: str) -> int | None:
    """The step that an entry below a stage's key belongs to; None if to none."""
    found = _STEP_ENTRY.fullmatch(name)
    return int(found[1]) if found else None


def inner(name: str, root: str) -> str:
    """The name itself.

    Raises:
        StoreError: It is empty, or might lead out of the store.
    """
    if not is_inner_path(name):
        raise outside(name, root)
    return name


def outside(name: str, root: str) -> StoreError:
    """What is said about a name that leads out of the store, or to the store as a whole."""
    return StoreError(
        f"{name!r} is no name in the store {root}.",
        where=root,
        rule="a name is a relative path, goes down, and passes no symbolic link",
        fix="somebody else wrote this into the store: find out who, and remove it",
    )


def step_key(key: str, step: int) -> str:
    """The key of a step checkpoint of the stage that has `key`."""
    return f"{key}/step-{step:08d}"


def chunks_key(key: str) -> str:
    """The key of the responses that the stage that has `key` has collected."""
    return f"{key}/chunks"


def location_of(uri: str, root: str) -> str:
    """An artifact's name relative to the store's root.

    Raises:
        StoreError: It lies in another store.
        DamagedError: It is no artifact's address.
    """
    location = uri.removeprefix(f"{root}/")
    if location == uri:
        raise StoreError(
            f"{uri} lies in another store.",
            where=uri,
            rule=f"a reference lies in the store it is read from, {root}",
            fix="set REVISUAL_STORE to the store it was written to",
        )
    if not is_location(location):
        raise broken(uri, "its address is not artifacts/<kind>/<unique id>")
    return location


def broken(uri: str, why: str) -> DamagedError:
    """What is said about an artifact that is not what its reference promises."""
    return DamagedError(
        f"The artifact {uri} cannot be trusted: {why}.",
        where=uri,
        rule="an artifact has a manifest, and its files have the digests that are listed there",
        fix="run again: a stage whose artifact is damaged is run anew",
    )
