"""What a recipe asks for, and what is said when it cannot be had."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Literal

from contracts.errors import InputError
from contracts.formats import IMAGE_SUFFIXES, ROW_SUFFIXES, TITLES, UNREAD_SUFFIXES, FileKind
from contracts.paths import MAX_PART_BYTES, MAX_PATH_BYTES, is_file_of_artifact
from contracts.places import Place, PlaceKind, place_kind

Files = Literal["model"] | FileKind
_ABOUT_THE_PLACE = ("README", "LICENSE", "LICENCE")  # how files begin that nobody misses
# What `datasets` and hubs write beside rows.
_ABOUT_THE_ROWS = ("dataset_dict.json", "dataset_info.json", "dataset_infos.json", "state.json")
MAX_SHOWN_FILES = 10
# Weights are safetensors; nothing that would have to be unpickled or run is fetched.
_MODEL_SUFFIXES = (".json", ".safetensors", ".txt", ".jinja", ".model")


@dataclass(frozen=True)
class About:
    """What an error is about.

    Attributes:
        name: What cannot be had, such as `source mmrl`.
        where: Where a person corrects it.
    """

    name: str
    where: str

    def error(self, what: str, *, rule: str, fix: str) -> InputError:
        """An error about it; `what` goes on after its name."""
        return InputError(f"{self.name} {what}", where=self.where, rule=rule, fix=fix)


@dataclass(frozen=True)
class Wanted:
    """One source, benchmark or model of a recipe.

    Attributes:
        name: What it is called in messages, such as `The source mmrl`.
        field: Its section in the recipe, such as `sources.mmrl`.
        path: Where it lies, as the recipe has it.
        files: Which files of that place are read.
        revision: Branch, tag or commit of a hub's repository.
        config: Configuration of a hub's data set; None for its default.
        split: Split of a hub's data set, or several with a plus sign between them.
        images: Whether the files of images below the rows' folder are read, too.
    """

    name: str
    field: str
    path: str
    files: Files
    revision: str = "main"
    config: str | None = None
    split: str = "train"
    images: bool = False

    @property
    def kind(self) -> PlaceKind:
        """Which kind of place it lies in."""
        return place_kind(self.path)

    @property
    def about(self) -> About:
        """For errors."""
        return About(self.name, f"recipe, {self.field}.path = {self.path!r}")


@dataclass(frozen=True)
class ListedFile:
    """One file of a place, before its bytes are read.

    Attributes:
        size: In bytes.
        sha256: Its digest, where the place vouches for one.
        git_sha1: Its digest as a git blob, where the place vouches for that instead.
    """

    size: int
    sha256: str | None = None
    git_sha1: str | None = None


@dataclass(frozen=True)
class Listing:
    """What a place holds of what was wanted.

    Attributes:
        place: Where it lies.
        files: By name, relative to the place.
        state: What changes whenever a file changes; None where only the bytes tell.
        unread: Names of other files that are there.
    """

    place: Place
    files: dict[str, ListedFile]
    state: str | None = None
    unread: tuple[str, ...] = ()

    @property
    def num_bytes(self) -> int:
        """Size of all files."""
        return sum(file.size for file in self.files.values())


def image_files(names: Iterable[str], wanted: Wanted) -> list[str]:
    """Those of a place's files that are images, if images are wanted; of usable names, sorted."""
    if not wanted.images:
        return []
    return sorted(
        name
        for name in names
        if is_inner_name(name) and PurePosixPath(name).suffix.lower() in IMAGE_SUFFIXES
    )


def wanted_files(names: Iterable[str], files: Files) -> list[str]:
    """Those of a place's files that are read, sorted.

    Args:
        names: Relative to the place. Hidden ones and those that lead out of it are left out;
            `require_storable` refuses the rest of those that an artifact cannot list.
        files: What is read: a model's own files, which lie at the top, or rows of one format.
    """
    return sorted(name for name in names if is_inner_name(name) and _is_wanted(name, files))


def unread_files(names: Iterable[str], files: Collection[str], wanted: Wanted) -> tuple[str, ...]:
    """Those of a place's files that are not read, sorted; hidden ones, a README and such aside.

    Args:
        names: Relative to the place, as far as its path names them.
        files: Those that are read.
        wanted: What is read of the place; beside a model lies much that is not.

    Raises:
        InputError: One beside the rows looks like rows of the same kind.
    """
    if wanted.files == "model":
        return ()
    unread = sorted(name for name in names if name not in files and not _is_aside(name))
    ends, folders = UNREAD_SUFFIXES[wanted.files], {_folder(name) for name in files or [""]}
    beside = [one for one in unread if one.lower().endswith(ends) and _folder(one) in folders]
    if beside:
        raise wanted.about.error(
            f"has files that look like rows and are not read: {_shown(beside)}.",
            rule=f"{TITLES[wanted.files]} files end in {' or '.join(ROW_SUFFIXES[wanted.files])}, "
            "and nothing is unpacked",
            fix="unpack or convert them, or let the path name the others: `*.jsonl`, say",
        )
    return tuple(unread)


def unread_remark(wanted: Wanted, listing: Listing) -> str | None:
    """What a person should know of files that nobody reads."""
    if not listing.unread:
        return None
    return f"{wanted.name} does not read {len(listing.unread)} file(s): {_shown(listing.unread)}"


def _shown(names: Sequence[str]) -> str:
    more = f" and {len(names) - MAX_SHOWN_FILES} more" if names[MAX_SHOWN_FILES:] else ""
    return ", ".join(ascii(name[:200]) for name in names[:MAX_SHOWN_FILES]) + more


def _folder(name: str) -> str:
    return name.rpartition("/")[0]


def _is_aside(name: str) -> bool:
    parts = name.split("/")
    is_hidden = any(part == "" or part[0] == "." for part in parts)
    is_about = parts[-1] in _ABOUT_THE_ROWS or parts[-1].upper().startswith(_ABOUT_THE_PLACE)
    return is_hidden or is_about


def is_inner_name(name: str) -> bool:
    """Whether a name, which somebody else may have chosen, leads down and is not hidden."""
    return name.isprintable() and not any(p in ("", "..") or p[0] == "." for p in name.split("/"))


def require_storable(names: Iterable[str], about: About) -> None:
    """Checks that an artifact may list every file by its name; none is left out in silence.

    Raises:
        InputError: One has a wildcard in its name, or more bytes than a file system or S3 takes.
    """
    for name in names:
        if not is_file_of_artifact(name):
            raise about.error(
                f"has a file whose name cannot be used: {name[:200]!r}.",
                rule="a file's name is printable, without * ? [ ], each part of at most "
                f"{MAX_PART_BYTES} bytes and all of at most {MAX_PATH_BYTES}",
                fix="rename it, or let the path, or a hub's `config` and `split`, name other files",
            )


def _is_wanted(name: str, files: Files) -> bool:
    path = PurePosixPath(name)
    if files == "model":
        return path.suffix in _MODEL_SUFFIXES and path.name == name
    return path.suffix.lower() in ROW_SUFFIXES[files]
