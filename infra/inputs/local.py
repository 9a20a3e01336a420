"""Inputs on this machine, read where they lie."""

from collections.abc import Iterable, Iterator
from pathlib import Path

from contracts.errors import InputError
from contracts.formats import TITLES
from contracts.places import LocalPlace
from infra.inputs.wanted import (
    About,
    ListedFile,
    Listing,
    Wanted,
    image_files,
    unread_files,
    wanted_files,
)

RULE = "it is a file, a folder or a pattern with `*` that this user may read"


def list_files(wanted: Wanted) -> Listing:
    """The files of a folder (a model's, or its rows), of a pattern, or one file.

    A folder with rows only further below is a hub's repository that somebody has downloaded: of the
    configuration and split that are wanted, as of a hub.

    Images are those at any depth below the folder; a link that leads out of it is none of them.
    Of a folder, files at any depth that are not read are named.

    Raises:
        InputError: There are none, they cannot be read, or others look like them.
    """
    try:
        folder, found = _find(Path(wanted.path))
        named = [path.relative_to(folder).as_posix() for path in found]
        names = wanted_files(named, wanted.files)
        if wanted.files != "model" and Path(wanted.path).is_dir():
            names = names or _split_files(folder, wanted)
            named = list(_files_below(folder))
        images = image_files(_inner_files(folder), wanted) if wanted.images and names else []
        sizes = [(name, (folder / name).stat().st_size) for name in sorted({*names, *images})]
        files = {name: ListedFile(size) for name, size in sizes}
    except OSError as error:
        raise unreadable(wanted.about, error) from error
    except ValueError as error:  # of a pattern that `glob` does not know
        raise wanted.about.error(
            f"cannot be read: {error}.",
            rule=RULE,
            fix="correct the pattern: `**` stands for folders, alone between two slashes",
        ) from error
    unread = unread_files(named, files, wanted)
    if not files:
        what = "model" if wanted.files == "model" else f"{TITLES[wanted.files]} file"
        raise wanted.about.error(
            f"names no {what} on this machine.",
            rule=RULE,
            fix="correct the path; one that begins with ./ or ../ starts at the recipe's folder",
        )
    return Listing(LocalPlace(folder=str(folder)), files, unread=unread)


def paths(place: LocalPlace, names: Iterable[str], about: About) -> dict[str, Path]:
    """Where the files of a place are.

    Raises:
        InputError: One of them is missing.
    """
    found = {name: Path(place.folder) / name for name in names}
    for path in found.values():
        if not path.is_file():
            raise about.error(
                f"has lost its file {path.name}.",
                rule="a local input stays where it was when the run resolved it, on this machine",
                fix=f"put {path} back, or start the run again; other machines read from s3:// or "
                "a hub",
            )
    return found


def unreadable(about: About, error: OSError) -> InputError:
    """The error about a file that the system does not let us read."""
    return about.error(
        f"cannot be read: {error.strerror or error}.",
        rule=RULE,
        fix=f"correct the permissions or the disk of {error.filename or 'the file'}",
    )


def _inner_files(folder: Path) -> Iterator[str]:
    """The files at any depth whose bytes lie in the folder, too."""
    return (
        name for name in _files_below(folder) if (folder / name).resolve().is_relative_to(folder)
    )


def _files_below(folder: Path) -> Iterator[str]:
    """The files at any depth, links to files among them."""
    return (one.relative_to(folder).as_posix() for one in folder.rglob("*") if one.is_file())


def _split_files(folder: Path, wanted: Wanted) -> list[str]:
    """The files of the split, where a folder is laid out as a repository; none if it has no rows.

    Raises:
        InputError: It has no such configuration or split.
    """
    from infra.inputs.hub_splits import CARD, split_files

    # Rows may be links that lead out, as at the top: a hub's cache keeps its bytes elsewhere.
    if not (names := wanted_files(_files_below(folder), wanted.files)):
        return []
    card = folder / CARD
    return split_files(names, card.read_bytes() if card.is_file() else None, wanted)


def _find(path: Path) -> tuple[Path, list[Path]]:
    """A folder, and the files below it that the path names."""
    patterns = [index for index, part in enumerate(path.parts) if "*" in part]
    if patterns:
        first = patterns[0]
        folder = Path(*path.parts[:first]).resolve()
        found = list(folder.glob(str(Path(*path.parts[first:]))))
    elif path.is_dir():
        folder = path.resolve()
        found = list(folder.iterdir())
    else:
        folder, found = path.parent.resolve(), [path.parent.resolve() / path.name]
    return folder, [one for one in found if one.is_file()]
