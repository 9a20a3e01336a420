"""Bad input at the command line: one clear message, exit code 1, and nothing is started."""

import json
import shutil
import socket
import tomllib
from pathlib import Path

import pytest

from flows.cli import main

POCKET_BASE = Path(__file__).parents[2] / "infra" / "models" / "pocket-base"


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch, free_port):
    """Everything the command writes lands here."""
    home = tmp_path / "home"
    monkeypatch.setenv("REVISUAL_HOME", str(home))
    monkeypatch.setenv("REVISUAL_PORT", str(free_port))
    monkeypatch.delenv("REVISUAL_STORE", raising=False)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    return home


def refused(capsys, home, *arguments: str) -> str:
    """The one message of a command that must fail before it starts a service."""
    assert main(list(arguments)) == 1
    assert not (home / "services" / "server.json").exists()
    message = capsys.readouterr().err
    assert [line.split(":")[0].strip() for line in message.splitlines()[1:4]] == [
        "where",
        "rule",
        "fix",
    ]
    return message


def edited(recipes, tmp_path, old: str, new: str) -> str:
    text = (recipes / "tiny.toml").read_text()
    assert old in text
    path = tmp_path / "edited.toml"
    path.write_text(text.replace(old, new))
    return str(path)


def test_a_valid_recipe_is_said_to_be_valid(capsys):
    assert main(["validate", "pocket"]) == 0
    assert "curate -> cold_start -> multimodal_rl -> text_rl -> evaluate" in capsys.readouterr().out


def test_show_prints_every_default_filled_in(capsys, recipes):
    assert main(["show", str(recipes / "tiny.toml")]) == 0
    shown = json.loads(capsys.readouterr().out)
    given = tomllib.loads((recipes / "tiny.toml").read_text())
    assert shown["name"] == given["name"]
    assert shown["stages"][1]["pad"]["strategy"] == "pad"  # a default


@pytest.mark.parametrize("command", ["run", "validate", "show"])
def test_an_unknown_recipe(capsys, home, command):
    arguments = ["run", "--recipe", "nowhere"] if command == "run" else [command, "nowhere"]
    assert "There is no recipe nowhere." in refused(capsys, home, *arguments)


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("epochs = 1", "epoch = 1", "epoch: unknown key"),
        ("epochs = 1", 'epochs = "one"', "epochs"),
        ("group_size = 2", "group_size = 1", "greater than or equal to 2"),
        ('data = "rl"', 'data = "nothing"', "which is none of curation.sets"),
        ('kind = "sft"', 'kind = "sft', "is not valid TOML"),
    ],
)
def test_a_recipe_that_breaks_a_rule(capsys, home, recipes, tmp_path, old, new, told):
    path = edited(recipes, tmp_path, old, new)
    assert told in refused(capsys, home, "run", "--recipe", path)


def test_a_seed_out_of_range(capsys, home):
    assert "seed" in refused(capsys, home, "run", "--seed", "-1")


def test_an_unknown_benchmark(capsys, home, recipes, tmp_path):
    path = edited(recipes, tmp_path, '"pocket_text"', '"pocket_txt"')
    assert "There is no benchmark 'pocket_txt'." in refused(capsys, home, "run", "--recipe", path)


def test_a_model_that_is_not_there(capsys, home, recipes, tmp_path):
    path = edited(recipes, tmp_path, str(POCKET_BASE), str(tmp_path / "nothing"))
    assert "model.path" in refused(capsys, home, "run", "--recipe", path)


def test_a_source_that_is_not_there(capsys, home, recipes, tmp_path):
    gone = f'kind = "parquet", path = "{tmp_path}/gone.parquet", modality = "text", num_problems'
    path = edited(recipes, tmp_path, 'kind = "pocket", modality = "text", num_problems', gone)
    assert "The source words names no Parquet file" in refused(
        capsys, home, "run", "--recipe", path
    )


def test_a_model_that_cannot_see(capsys, home, recipes, tmp_path):
    blind = tmp_path / "blind"
    shutil.copytree(POCKET_BASE, blind)
    config = json.loads((blind / "config.json").read_text())
    (blind / "config.json").write_text(json.dumps(config | {"model_type": "gpt2"}))
    path = edited(recipes, tmp_path, str(POCKET_BASE), str(blind))
    assert "'gpt2'" in refused(capsys, home, "run", "--recipe", path)


def test_a_store_that_cannot_be_written(capsys, home, recipes, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("REVISUAL_STORE", str(tmp_path / "file" / "store"))
    message = refused(capsys, home, "run", "--recipe", str(recipes / "tiny.toml"))
    assert "Not a directory" in message


def test_a_port_that_is_taken(capsys, home, recipes, monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as other:
        monkeypatch.setenv("REVISUAL_PORT", str(other.getsockname()[1]))
        message = refused(capsys, home, "run", "--recipe", str(recipes / "tiny.toml"))
    assert "is taken by another program" in message


def test_a_report_of_no_run(capsys, home):
    assert "There is no finished run 'latest'." in refused(capsys, home, "report", "latest")
