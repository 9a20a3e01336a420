"""Bad input at the command line: one clear message, exit code 1, and nothing is started."""

import json
import shutil
import socket
import tomllib
from pathlib import Path

import pytest

from contracts.errors import RecipeError
from contracts.provenance import Provenance
from contracts.run_record import recipe_digest
from flows.cli import main
from infra.settings import load_settings
from tasks.prepare import read_recipe
from tasks.run import absolute_name
from tests.flows.planted import (
    HUB_TOKEN,
    IN_ENVIRONMENT,
    PLANTED,
    SECRETIVE_FIELDS,
    planted,
    secretive,
)
from training.recipe.recipe import load_recipe, resolved_toml_values

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


def run_command(*arguments: str) -> int:
    """The exit code of one command."""
    with pytest.raises(SystemExit) as ended:
        main(arguments or None)
    return int(ended.value.code or 0)


def refused(capsys, home, *arguments: str) -> str:
    """The one message of a command that must fail before it starts a service."""
    assert run_command(*arguments) == 1
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
    assert run_command("validate", "pocket") == 0
    told = capsys.readouterr().out
    assert "curate -> cold_start -> multimodal_rl -> text_rl -> evaluate" in told
    assert "pocket-base: files, configuration and chat template are in order" in told


def test_what_was_not_checked_is_said(capsys):
    assert run_command("validate", "revisual-7b") == 0
    assert "Qwen/Qwen2.5-VL-7B-Instruct: not checked" in capsys.readouterr().out


def test_a_valid_recipe_with_a_bad_model_is_not_valid(capsys, recipes, tmp_path):
    text = (recipes / "tiny.toml").read_text()
    path = tomllib.loads(text)["model"]["path"]
    for bad in (tmp_path / "nowhere", tmp_path):
        (tmp_path / "bad.toml").write_text(text.replace(f'"{path}"', f'"{bad}"'))
        assert run_command("validate", str(tmp_path / "bad.toml")) == 1
        assert "ModelError" in capsys.readouterr().err


def test_show_prints_every_default_filled_in(capsys, recipes):
    assert run_command("show", str(recipes / "tiny.toml")) == 0
    shown = json.loads(capsys.readouterr().out)
    given = tomllib.loads((recipes / "tiny.toml").read_text())
    assert shown["name"] == given["name"]
    assert shown["stages"][1]["pad"]["strategy"] == "pad"  # a default


@pytest.mark.parametrize("command", ["run", "validate", "show", "status"])
def test_a_recipe_whose_name_no_disk_can_hold(capsys, home, command):
    name = "a" * 300
    arguments = ["run", "--recipe", name] if command == "run" else [command, name]
    assert "cannot be read: File name too long" in refused(capsys, home, *arguments)


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
    path = edited(recipes, tmp_path, "pocket_multimodal", "pocket_none")
    assert "There is no benchmark 'pocket_none'." in refused(capsys, home, "run", "--recipe", path)


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


def test_a_foreign_model_is_not_asked_by_the_pockets_recipe(capsys, home):
    message = refused(capsys, home, "evaluate", "owner/Name-7B", "--benchmark", "mathvista")
    assert "No recipe is named" in message
    assert "--recipe" in message
    assert "pocket, revisual-3b, revisual-3b-1gpu, revisual-3b-24gb, revisual-7b" in message


def test_a_report_of_no_run(capsys, home):
    assert "There is no finished run 'latest'." in refused(capsys, home, "report", "latest")


@pytest.mark.parametrize("runs", [["latest", "popular-mayfly"], ["nobody"]])
def test_a_comparison_of_no_run(capsys, home, runs):
    assert f"There is no finished run '{runs[0]}'." in refused(capsys, home, "compare", *runs)


@pytest.mark.parametrize("command", ["run", "validate", "show"])
def test_a_recipe_that_holds_secrets(capsys, home, recipes, tmp_path, monkeypatch, command):
    for name, value in IN_ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    path = secretive(recipes, tmp_path)
    arguments = ["run", "--recipe", path] if command == "run" else [command, path]
    message = refused(capsys, home, *arguments)
    assert all(field in message for field in SECRETIVE_FIELDS)
    assert not [name for name in PLANTED if planted(name) in message]
    assert HUB_TOKEN not in message


def test_a_store_whose_address_holds_a_secret(capsys, home, monkeypatch):
    monkeypatch.setenv("REVISUAL_STORE", f"s3://me:{planted('in_url')}@bucket/prefix")
    message = refused(capsys, home, "run")
    assert "REVISUAL_STORE holds a password" in message
    assert planted("in_url") not in message


def test_the_recipe_that_is_run_is_the_one_that_was_checked(recipes, monkeypatch):
    monkeypatch.chdir(recipes)
    assert absolute_name("pocket") == "pocket"
    assert absolute_name("tiny.toml") == str(recipes / "tiny.toml")

    checked = recipe_digest(resolved_toml_values(load_recipe(recipes / "tiny.toml", seed=3)))
    path = str(recipes / "tiny.toml")
    assert read_recipe(path, 3, checked).seed == read_recipe(path, 3, None).seed == 3
    with pytest.raises(RecipeError, match="not the one that was checked"):
        read_recipe(path, 4, checked)
    with pytest.raises(RecipeError, match="not the one that was checked"):
        read_recipe(str(recipes / "endless.toml"), 3, checked)


def test_a_shell_completes_commands_and_shipped_recipes(monkeypatch, capsys):
    monkeypatch.setenv("_REVISUAL_COMPLETE", "complete_bash")
    for words, position, completed in (
        ("revisual li", "1", "lineage"),
        ("revisual show poc", "2", "pocket"),
    ):
        monkeypatch.setenv("COMP_WORDS", words)
        monkeypatch.setenv("COMP_CWORD", position)
        monkeypatch.setattr("sys.argv", ["revisual"])
        run_command()
        assert capsys.readouterr().out.split() == [completed]


def test_help_lists_every_command_and_shows_examples(capsys):
    assert run_command("--help") == 0
    told = capsys.readouterr().out
    for name in (
        "run",
        "evaluate",
        "plan",
        "status",
        "validate",
        "show",
        "report",
        "compare",
        "decide",
        "lineage",
        "gc",
        "up",
        "down",
    ):
        assert f"\n  {name} " in told
    assert run_command("run", "--help") == 0
    assert "Example: revisual run" in capsys.readouterr().out
    assert run_command("run", "--reuse", "maybe") == 2
    assert "'code', 'recipe', 'none'" in capsys.readouterr().err


def test_a_plan_is_given_shared_memory(capsys):
    """What several processes exchange through: 1 GiB is wanted, and Docker gives 64 MiB."""
    assert run_command("plan", "revisual-7b", "--shared-memory", "1") == 0
    assert run_command("plan", "revisual-7b", "--shared-memory", "0.0625") == 1
    assert "1.0 GiB of shared memory (/dev/shm), and there are 0.1 GiB" in capsys.readouterr().err


def test_gc_of_scratch_leaves_the_store_alone(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("REVISUAL_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("REVISUAL_STORE", raising=False)
    for folder in ("model", "home/work/killed-0123/text_rl"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "model/weights").write_text("those of a run that is not finished")
    store = load_settings().store()
    artifact = store.publish(tmp_path / "model", "model", Provenance())
    assert run_command("gc", "--scratch", "--age", "0") == 0
    assert "0 artifact(s), 1 local folder(s)" in capsys.readouterr().out
    assert store.manifest(artifact) and not list((tmp_path / "home/work").iterdir())
    assert run_command("gc", "--age", "0", "--dry-run") == 0
    assert "1 artifact(s), 0 local folder(s)" in capsys.readouterr().out
