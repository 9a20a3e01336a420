"""Which files of a hub's data set belong to a configuration and split, by the library's rules."""

import tempfile
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path

from contracts.errors import InputError
from contracts.formats import TITLES
from contracts.places import place_kind
from infra.inputs.wanted import Wanted

CARD = "README.md"
CONVERTED = "refs/convert/parquet"
MAX_CARD_PARTS = 10**5


def split_files(names: Sequence[str], card: bytes | None, wanted: Wanted) -> list[str]:
    """Picks the files of one configuration's split.

    `datasets` decides from a repository's names and its card alone. So it is shown a folder of
    empty files with these names, before any of them is downloaded.

    Args:
        names: The repository's files of the format that is wanted.
        card: Its README.md.
        wanted: Configuration and split; for errors, the rest.

    Raises:
        InputError: There is no such configuration or split, or there are no such files; or the
            card speaks of files elsewhere.
    """
    if not names:
        raise wanted.about.error(
            f"has no {_title(wanted)} files: {wanted.path} at {wanted.revision}.",
            rule=f"this source is read from {_title(wanted)} files",
            fix=f'set revision = "{CONVERTED}", where a hub keeps its conversion to Parquet, or '
            "`kind` to a format that the repository has",
        )
    with tempfile.TemporaryDirectory() as temporary:
        root = Path(temporary).resolve() / "repository"
        try:
            splits = _splits(root, names, card, wanted.config)
        except Exception as error:  # of a stranger's card and names
            raise _no_such(wanted, "configuration", wanted.config or "default", error) from error
    parts = wanted.split.split("+")
    for part in parts:
        if part not in splits:
            raise _no_such(wanted, "split", part, f"it has {sorted(splits)}")
    return sorted({name for part in parts for name in splits[part]})


def _title(wanted: Wanted) -> str:
    assert wanted.files != "model"  # which has no splits
    return TITLES[wanted.files]


def _splits(
    root: Path, names: Sequence[str], card: bytes | None, config: str | None
) -> dict[str, list[str]]:
    """The repository's names by split, as `datasets` sees it."""
    from datasets import load_dataset_builder

    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    if card is not None:
        (root / CARD).write_bytes(card)
        _require_own_files(root / CARD)
    # A conversion has no card: its folders are called by configuration and split.
    below = root / config if card is None and config else root
    builder = load_dataset_builder(
        str(below if below.is_dir() else root),
        name=None if below.is_dir() and below != root else config,
        cache_dir=str(root.with_name("cache")),
    )
    return {
        str(split): [Path(str(path)).relative_to(root).as_posix() for path in files]
        for split, files in (builder.config.data_files or {}).items()
    }


def _require_own_files(card: Path) -> None:
    """Refuses a card that has addresses asked for, or folders of this machine looked into.

    Raises:
        ValueError: It does, or it unfolds without an end.
    """
    from huggingface_hub import DatasetCard

    data = DatasetCard.load(card).data.to_dict()
    # Aliases of aliases: a line of YAML that fills all memory where somebody prints it.
    if len(list(islice(_parts(data), MAX_CARD_PARTS))) == MAX_CARD_PARTS:
        raise ValueError(f"its card has more than {MAX_CARD_PARTS} parts")
    for pattern in _parts(data.get("configs")):
        if isinstance(pattern, str) and not _is_own(pattern):
            raise ValueError(f"its card speaks of {pattern[:100]!r}, which is no file of it")


def _parts(value: object) -> Iterator[object]:
    """A value of JSON and all that it holds."""
    waiting = [value]
    while waiting:
        yield (part := waiting.pop())
        if isinstance(part, dict):
            waiting += part.values()
        elif isinstance(part, list):
            waiting += part


def _is_own(pattern: str) -> bool:
    return ":" not in pattern and not pattern.startswith("/") and ".." not in pattern.split("/")


def _no_such(wanted: Wanted, what: str, name: str, why: object) -> InputError:
    reason = " ".join(str(why).split())
    setting = "config" if what == "configuration" else "split"
    is_local = place_kind(wanted.path) == "local"
    return wanted.about.error(
        f"has no {what} {name!r} in {_title(wanted)} files: {reason[:300].rstrip('.')}.",
        rule="`config` and `split` are those of the data set's card, or of its folders' names",
        fix="name the files by a pattern with `*`" if is_local else f"correct `{setting}`",
    )
