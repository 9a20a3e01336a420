"""Cards and names of a data set that somebody else wrote."""

import socket

import pytest

from contracts.errors import InputError
from infra.inputs.hub_splits import split_files
from infra.inputs.wanted import Wanted

NAMES = ["a.parquet", "b/c.parquet"]
WANTED = Wanted("The source x", "sources.x", "owner/name", "parquet", split="train")
ALIASES = "".join(f"  - &a{n + 1} [{', '.join([f'*a{n}'] * 9)}]\n" for n in range(9))


def card(files: str) -> bytes:
    return f"---\nconfigs:\n- config_name: default\n{files}\n---\n".encode()


@pytest.fixture(autouse=True)
def connections(monkeypatch):
    """What is asked for: nothing may be."""
    asked = []

    def ask(*arguments, **_):
        asked.append(arguments)
        raise OSError("no network")

    monkeypatch.setattr(socket, "getaddrinfo", ask)
    monkeypatch.setattr(socket.socket, "connect", ask)
    yield
    assert asked == []


@pytest.mark.parametrize(
    "files",
    [
        "  data_files: /etc/*",
        "  data_files: '../../../../../../../etc/passwd'",
        "  data_files: [a.parquet, b/../../x]",
        "  data_files: 'http://127.0.0.1:9/x.parquet'",
        "  data_files: 'zip://x::http://127.0.0.1:9/x.zip'",
        "  data_files: 'hf://datasets/somebody/else/x.parquet'",
        "  data_files: [{split: train, path: 's3://bucket/x.parquet'}]",
        "  data_dir: '../../../../../../../etc'",
    ],
)
def test_a_card_has_nothing_asked_for_elsewhere(files):
    with pytest.raises(InputError, match=r"its card speaks of .*which is no file of it"):
        split_files(NAMES, card(files), WANTED)


@pytest.mark.parametrize(
    "content",
    [
        b"---\na: [\n---\n",
        b"---\n\xff\xfe: 1\n---\n",
        b"---\n- 1\n---\n",
        b"---\na: " + b"[" * 5000 + b"\n---\n",
        b"---\nconfigs:\n- 3\n---\n",
        b"---\nconfigs: x\n---\n",
        b"---\ndataset_info:\n  features: 3\n---\n",
        b"---\na: !!python/object/apply:os.system ['true']\n---\n",
        card("  data_files: {a: {b: c}}"),
        card(f"  data_files:\n  - &a0 [x]\n{ALIASES}"),
    ],
)
def test_a_card_that_is_none_is_one_clear_error(content):
    with pytest.raises(InputError, match="has no configuration 'default'"):
        split_files(NAMES, content, WANTED)


@pytest.mark.parametrize("names", [["a.parquet", "a.parquet/b.parquet"], ["README.md/x.parquet"]])
def test_names_that_no_folder_can_hold_are_one_clear_error(names):
    with pytest.raises(InputError, match="has no configuration"):
        split_files(names, b"# Rows", WANTED)


def test_a_card_may_name_its_own_files():
    assert split_files(NAMES, card("  data_files: 'b/*.parquet'"), WANTED) == ["b/c.parquet"]
    assert split_files(NAMES, card("  data_dir: b"), WANTED) == ["b/c.parquet"]


def test_several_splits_at_once():
    names = [f"data/sample_variant{n}-00000-of-00001.parquet" for n in (1, 2, 10)]
    both = Wanted("b", "b", "owner/name", "parquet", split="sample_variant1+sample_variant10")
    assert split_files(names, None, both) == sorted([names[0], names[2]])
    missing = Wanted("b", "b", "owner/name", "parquet", split="sample_variant1+sample_variant3")
    with pytest.raises(InputError, match="no split 'sample_variant3'"):
        split_files(names, None, missing)


def test_splits_that_a_card_names_otherwise_than_its_files():
    """As DynaMath's is."""
    names = [f"data/sample{n}-00000-of-000{n:02}.parquet" for n in (1, 2, 10)]
    splits = (f"  - split: sample_variant{n}\n    path: data/sample{n}-*" for n in (1, 2, 10))
    wanted = Wanted("b", "b", "owner/name", "parquet", split="sample_variant1+sample_variant10")
    lines = "\n".join(("  data_files:", *splits))
    assert split_files(names, card(lines), wanted) == [names[0], names[2]]


@pytest.mark.parametrize(("config", "split"), [("gpqa_diamond", "train"), ("default", "test")])
def test_a_conversion_of_one_configuration(config, split):
    names = [f"{config}/{split}/0000.parquet", "gpqa_main/train/0000.parquet"]
    wanted = Wanted("b", "b", "owner/name", "parquet", config=config, split=split)
    assert split_files(names, None, wanted) == names[:1]
