"""Which files of a hub's data set belong to a configuration and split, by the library's rules."""

import tempfile
from collections.abc import Sequence
from pathlib import Path

from infra.inputs.wanted import Wanted

CONVERTED = "refs/convert/parquet"


def split_files(names: Sequence[str], card: bytes | None, wanted: Wanted) -> list[str]:
    """Picks the Parquet files of one configuration's split.

    `datasets` decides from a repository's names and its card alone. So it is shown a folder of
    empty files with these names, before any of them is downloaded.

    Args:
        names: The repository's Parquet files.
        card: Its README.md.
        wanted: Configuration and split; for errors, the rest.

    Raises:
        InputError: There is no such configuration or split, or there are no Parquet files.
    """
    from datasets import load_dataset_builder
    from datasets.exceptions import DataFilesNotFoundError

    if not names:
        raise wanted.about.error(
            f"has no Parquet files: {wanted.path} at {wanted.revision}.",
            rule="a source is read from Parquet files",
            fix=f'set revision = "{CONVERTED}", where a hub keeps its conversion',
        )
    with tempfile.TemporaryDirectory() as temporary:
        root = Path(temporary).resolve() / "repository"
        for name in names:
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).touch()
        if card is not None:
            (root / "README.md").write_bytes(card)
        # A conversion has no card: its folders are called by configuration and split.
        below = root / wanted.config if card is None and wanted.config else root
        try:
            builder = load_dataset_builder(
                str(below if below.is_dir() else root),
                name=None if below.is_dir() and below != root else wanted.config,
                cache_dir=str(Path(temporary) / "cache"),
            )
        except (DataFilesNotFoundError, FileNotFoundError, ValueError) as error:
            raise _no_such(wanted, "configuration", wanted.config or "default", error) from error
        splits = {str(name): files for name, files in (builder.config.data_files or {}).items()}
        if wanted.split not in splits:
            raise _no_such(wanted, "split", wanted.split, f"it has {sorted(splits)}")
        found = [Path(str(path)).relative_to(root).as_posix() for path in splits[wanted.split]]
    return sorted(found)


def _no_such(wanted: Wanted, what: str, name: str, why: object) -> Exception:
    reason = " ".join(str(why).split())
    return wanted.about.error(
        f"has no {what} {name!r} in Parquet files: {reason[:300].rstrip('.')}.",
        rule="`config` and `split` are those of the data set's card, or of its folders' names",
        fix=f"correct `{'config' if what == 'configuration' else 'split'}`",
    )
