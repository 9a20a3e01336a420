"""Inputs in a repository of a model hub, at one commit, through the hub's own client.

The client answers from its cache when the hub refuses or is away, and says so in a log line at
most. So the repository is always asked for its files first, and each file is compared with the
digest that the hub lists for it. HF_ENDPOINT names the hub; HF_TOKEN opens what is private.
"""

import hashlib
import os
from collections.abc import Collection, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from contracts.errors import InputError
from contracts.places import HubPlace, RepoType
from infra.digests import FileEntry
from infra.inputs.known_digests import KnownDigests
from infra.inputs.wanted import (
    About,
    ListedFile,
    Listing,
    Wanted,
    image_files,
    wanted_files,
)

ANSWER_SECONDS = 30.0
DOWNLOAD_THREADS = 4


class UnreachableHub(InputError):
    """The hub does not answer, is in trouble, or may not be asked by this process."""


def list_files(wanted: Wanted, revision: str, cache: Path) -> Listing:
    """The files of a repository, at the commit that a branch or tag names now.

    Args:
        wanted: What is asked for; of a data set, the files of its configuration and split.
        revision: Branch, tag or commit.
        cache: The client's cache folder.

    Raises:
        InputError: There is no such repository, revision, configuration or split, or it is not ours
            to read.
        UnreachableHub: The hub does not answer.
    """
    from huggingface_hub import HfApi

    kind = repo_type(wanted)
    with _clear_errors(wanted.about, wanted.path, revision):
        hub = HfApi(endpoint=_endpoint())
        ask = hub.model_info if kind == "model" else hub.dataset_info
        info = ask(wanted.path, revision=revision, files_metadata=True, timeout=ANSWER_SECONDS)
    place = HubPlace(
        repo=wanted.path, repo_type=kind, commit=str(info.sha), revision=wanted.revision
    )
    listed = {
        one.rfilename: ListedFile(
            one.size or 0,
            sha256=one.lfs.sha256 if one.lfs else None,
            git_sha1=None if one.lfs else one.blob_id,
        )
        for one in info.siblings or []
    }
    names = wanted_files(listed, wanted.files)
    if wanted.files != "model":
        from infra.inputs.hub_splits import CARD, split_files

        card = None
        if CARD in listed:
            (path,) = _download(place, [CARD], cache, wanted.about).values()
            card = path.read_bytes()
        names = sorted({*split_files(names, card, wanted), *image_files(listed, wanted)})
    elif not names:
        raise wanted.about.error(
            f"holds no model: {place} has no safetensors and JSON files.",
            rule="weights are safetensors; others would have to be unpickled",
            fix="choose a repository, or a revision, that holds safetensors",
        )
    return Listing(place, {name: listed[name] for name in names}, state=place.commit)


def repo_type(wanted: Wanted) -> RepoType:
    """Which kind of repository is asked for."""
    return "model" if wanted.files == "model" else "dataset"


def download(
    place: HubPlace,
    files: Mapping[str, ListedFile],
    cache: Path,
    known: KnownDigests,
    about: About,
) -> dict[str, Path]:
    """Where files lie in the client's cache; those that are not there are downloaded.

    What is damaged is removed and downloaded once more.

    Raises:
        InputError: A file cannot be downloaded, or arrives damaged again.
    """
    for attempt in (1, 2):
        paths = _download(place, files, cache, about)
        digests = {entry.path: entry.sha256 for entry in known.entries(paths)}
        damaged = [n for n in paths if not _is_whole(paths[n], digests[n], files[n])]
        if not damaged:
            for folder in {cache / path.relative_to(cache).parts[0] for path in paths.values()}:
                os.utime(folder)  # the age that `revisual gc` goes by counts from here
            return paths
        for name in damaged:
            Path(os.path.realpath(paths[name])).unlink()  # the blob behind the link
            paths[name].unlink(missing_ok=True)
        if attempt == 2:
            raise about.error(
                f"arrives damaged from {place}: {', '.join(damaged)}.",
                rule="a file has the size and the digest that the hub lists for it",
                fix="start the run again later; a proxy or a mirror in between may be at fault",
            )
    raise AssertionError("the second attempt returns or raises")


def expected(files: Iterable[FileEntry]) -> dict[str, ListedFile]:
    """What an artifact's files have to be when they arrive."""
    return {file.path: ListedFile(file.size, sha256=file.sha256) for file in files}


def missing_bytes(place: HubPlace, files: Mapping[str, ListedFile], cache: Path) -> int:
    """Bytes of the files that are not in the client's cache."""
    from huggingface_hub import try_to_load_from_cache

    def has(name: str) -> bool:
        found = try_to_load_from_cache(
            place.repo, name, cache_dir=cache, revision=place.commit, repo_type=place.repo_type
        )
        return isinstance(found, str)

    return sum(file.size for name, file in files.items() if not has(name))


def _download(
    place: HubPlace, names: Collection[str], cache: Path, about: About
) -> dict[str, Path]:
    from huggingface_hub import hf_hub_download

    def fetch(name: str) -> Path:
        # By a whole commit: a file that is in the cache is not asked for again.
        with _clear_errors(about, place.repo, place.commit):
            return Path(
                hf_hub_download(
                    place.repo,
                    name,
                    repo_type=place.repo_type,
                    revision=place.commit,
                    cache_dir=cache,
                    endpoint=_endpoint(),
                )
            )

    with ThreadPoolExecutor(DOWNLOAD_THREADS) as threads:
        return dict(zip(names, threads.map(fetch, names), strict=True))


def _is_whole(path: Path, sha256: str, file: ListedFile) -> bool:
    if file.sha256 is not None:
        return sha256 == file.sha256
    data = path.read_bytes()  # small: whatever is large has a SHA-256
    blob = hashlib.sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False)
    return blob.hexdigest() == file.git_sha1


def _endpoint() -> str | None:
    return os.environ.get("HF_ENDPOINT") or None


@contextmanager
def _clear_errors(about: About, repo: str, revision: str) -> Iterator[None]:
    """Turns the client's errors into ours: what, where, rule, fix."""
    import httpx2
    from huggingface_hub import errors

    try:
        yield
    except errors.RevisionNotFoundError as error:
        raise about.error(
            f"cannot be resolved: {repo} has no revision {revision!r}.",
            rule="a revision is a branch, a tag or a whole commit of the repository",
            fix="correct `revision`, or leave it out for `main`",
        ) from error
    except errors.HfHubHTTPError as error:
        raise _refused(about, repo, error) from error
    except (errors.OfflineModeIsEnabled, errors.LocalEntryNotFoundError) as error:
        cause = error.__cause__
        if isinstance(cause, errors.HfHubHTTPError):
            raise _refused(about, repo, cause) from error
        raise _unreachable(about, repo, cause or error) from error
    except (httpx2.HTTPError, OSError, ValueError) as error:
        raise _unreachable(about, repo, error) from error


def _refused(about: About, repo: str, error: Exception) -> InputError:
    """The hub answered, and the answer is no."""
    from huggingface_hub import errors, get_token

    token = "with this token (HF_TOKEN)" if get_token() else "without a token (HF_TOKEN)"
    status = getattr(getattr(error, "response", None), "status_code", 0)
    if isinstance(error, errors.GatedRepoError):
        return about.error(
            f"is gated: {repo} may not be read {token}.",
            rule="a gated repository is read by those who accepted its terms",
            fix="accept its terms on its page, and set HF_TOKEN to a token of that account",
        )
    if isinstance(error, errors.RepositoryNotFoundError) or status in (401, 403):
        return about.error(
            f"cannot be read: {repo} does not exist, or is private: {status} {token}.",
            rule="a hub's repository is `owner/name`; a private one needs a token that may read it",
            fix="correct the id (a local folder begins with ./), or set HF_TOKEN",
        )
    return _unreachable(about, repo, f"it answers {status}")


def _unreachable(about: About, repo: str, error: BaseException | str) -> InputError:
    text = error if isinstance(error, str) else f"{type(error).__name__}: {error}"
    reason = " ".join(text.split())
    return UnreachableHub(
        f"{about.name} cannot be read: {repo} did not arrive from "
        f"{_endpoint() or 'the hub'}: {reason[:300].rstrip('.')}.",
        where=about.where,
        rule="a hub's repository is downloaded when a run resolves its inputs",
        fix="check the network, HF_ENDPOINT and HF_HUB_OFFLINE, and start the run again: what has "
        "arrived is kept; or copy the files to a folder or s3:// and name that",
    )
