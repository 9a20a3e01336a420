"""Which code a stage's key depends on, against what Python really imports."""

import ast
import gc
import shutil
import subprocess
import sys
from functools import cache

import pytest

from infra.settings import PROJECT_ROOT
from tasks.closure import (
    ENTRIES,
    PACKAGES,
    SCHEMA,
    answering_modules,
    module_closure,
    prompt_modules,
    stage_modules,
    syntax_digest,
    verdict_modules,
    written_modules,
)
from training.evaluation.parts import Questions
from training.evaluation.requests import requests_of

INSIDE = {
    "curate": "training.curation.selection",
    "sft": "training.model.forward",
    "rl": "training.rl.pad",
    "evaluate": "training.evaluation.scores",
}
OUTSIDE = {
    "curate": "training.rl.pad",
    "sft": "training.rl.losses",
    "rl": "training.evaluation.scores",
    "evaluate": "training.learner.learner",
}


@pytest.fixture
def copy(tmp_path):
    for package in PACKAGES:
        shutil.copytree(PROJECT_ROOT / package, tmp_path / package)
    return tmp_path


def append(root, module: str, text: str) -> None:
    path = root.joinpath(*module.split(".")).with_suffix(".py")
    path.write_text(path.read_text() + text)


@pytest.mark.parametrize("kind", ENTRIES)
def test_a_stage_depends_on_the_modules_that_it_imports_and_on_no_other(copy, tmp_path, kind):
    before = stage_modules(kind, "transformers")
    assert INSIDE[kind] in before
    assert OUTSIDE[kind] not in before
    append(copy, INSIDE[kind], "\n# A comment.\n")
    append(copy, OUTSIDE[kind], "\nCHANGED = 1\n")
    assert stage_modules(kind, "transformers", copy) == before


@pytest.mark.parametrize("kind", ENTRIES)
def test_another_line_of_code_inside_changes_that_modules_digest_alone(copy, kind):
    append(copy, INSIDE[kind], "\nCHANGED = 1\n")
    before, after = stage_modules(kind, "transformers"), stage_modules(kind, "transformers", copy)
    assert {name for name in before if before[name] != after[name]} == {INSIDE[kind]}


@pytest.mark.parametrize("engine", ["transformers", "vllm", None])
def test_no_rule_is_among_what_decides_an_answer(engine):
    found = answering_modules(engine)
    rules = ("training.answers", "training.evaluation", "training.sampling.verdicts")
    assert not [name for name in found if name.startswith(rules)]
    asks = "http_engine" if engine is None else f"{engine}_engine"
    assert {"training.rollout.draw", f"training.rollout.{asks}"} <= found.keys()
    assert "training.evaluation.official.aime24" in prompt_modules()


@pytest.mark.parametrize("function", [requests_of, Questions])
def test_what_makes_prompts_and_finds_their_answers_is_among_what_decides_them(function, copy):
    append(copy, function.__module__, "\nCHANGED = 1\n")
    assert prompt_modules(copy) != prompt_modules()


def test_what_judges_answers_is_in_the_digest_of_verdicts_and_what_sums_them_up_is_not():
    found = verdict_modules()
    own = {f"training.evaluation.{name}" for name in ("verdicts", "choices", "phrases", "judge")}
    assert own <= found.keys() and "training.evaluation.quantities" in found
    assert [name for name in found if name.startswith("training.answers.")]
    summed_up = ("scores", "metrics", "intervals", "paired", "summary")
    assert not found.keys() & {f"training.evaluation.{name}" for name in summed_up}
    # Whatever of it is edited makes an evaluation anew.
    assert found.items() <= stage_modules("evaluate", "transformers").items()


def test_how_answers_and_replies_are_written_down_is_in_their_keys(copy):
    ((path, text),) = [
        (path, text)
        for path in (copy / "training").rglob("*.py")
        if "PART_SCHEMA = " in (text := path.read_text())
    ]
    path.write_text(text.replace('"repeat"', '"number"'))
    assert written_modules(copy) != written_modules()
    for engine in ("transformers", None):
        assert answering_modules(engine, copy) != answering_modules(engine)


def test_code_that_is_edited_in_the_life_of_a_process_is_noticed(copy, monkeypatch):
    """A flow process computes the keys of all its stages; each stage imports the files anew."""
    append(copy, INSIDE["rl"], "\nCHANGED = 1\n")
    before = stage_modules("rl", "transformers", copy)
    path = copy / "training/rl/pad.py"
    path.write_text(path.read_text().replace("CHANGED = 1", "CHANGED = 2"))  # of the same size
    edited = stage_modules("rl", "transformers", copy)
    assert {name for name in before if before[name] != edited[name]} == {INSIDE["rl"]}

    append(copy, INSIDE["rl"], "\nimport training.rl.later\n")
    assert "training.rl.later" not in stage_modules("rl", "transformers", copy)
    (copy / "training/rl/later.py").write_text("")
    after = stage_modules("rl", "transformers", copy)
    assert "training.rl.later" in after

    monkeypatch.setattr(ast, "parse", None)  # what did not change is not parsed again
    assert stage_modules("rl", "transformers", copy) == after


@pytest.mark.slow
@pytest.mark.parametrize("kind", ENTRIES)
def test_whatever_python_imports_for_a_stage_is_in_its_closure(kind):
    found = set(stage_modules(kind, "transformers"))
    only_the_schemas = loaded()[f"{SCHEMA}.recipe"] - found
    imported = loaded()[ENTRIES[kind]]
    assert ENTRIES[kind] in imported
    assert imported - only_the_schemas <= found


def test_an_engine_counts_where_the_recipe_chooses_it(copy):
    append(copy, "training.rollout.vllm_engine", "\nCHANGED = 1\n")
    plain, fast = (stage_modules("rl", engine) for engine in ("transformers", "vllm"))
    assert stage_modules("rl", "transformers", copy) == plain
    edited = stage_modules("rl", "vllm", copy)
    changed = {name for name in fast if fast[name] != edited[name]}
    assert changed == {"training.rollout.vllm_engine"}


IMPORTED_ALONE = """
import os, sys
import datasets, sympy, torch, transformers  # slow to load, and no code of ours
for module in sys.argv[1:]:
    if not os.fork():
        __import__(module)
        print(module, *sys.modules, flush=True)
        os._exit(0)
    assert os.wait()[1] == 0
"""


@cache
def loaded() -> dict[str, set[str]]:
    """Our modules that Python holds after an import of one, the recipe's schema left out."""
    done = subprocess.run(
        [sys.executable, "-c", IMPORTED_ALONE, f"{SCHEMA}.recipe", *ENTRIES.values()],
        cwd=PROJECT_ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return {
        line.split()[0]: {
            name
            for name in line.split()[1:]
            if name.split(".")[0] in PACKAGES and not f"{name}.".startswith(f"{SCHEMA}.")
        }
        for line in done.stdout.splitlines()
    }


def test_imports_are_found_however_they_are_written(tmp_path):
    package = tmp_path / "training"
    (package / "inner").mkdir(parents=True)
    for name in ("__init__", "a", "b", "c", "d", "e", "f", "inner/__init__", "inner/g"):
        (package / f"{name}.py").write_text("")
    (package / "inner" / "g.py").write_text("from . import missing\nfrom ..b import anything\n")
    (package / "a.py").write_text(
        "import training.inner.g as g\n"
        "def late():\n    from training import c\n    from training.d import x\n"
        "command = ['-m', 'training.e']\n"
    )
    found = module_closure(["training.a"], tmp_path)
    names = {"", ".a", ".b", ".c", ".d", ".e", ".inner", ".inner.g"}
    assert set(found) == {f"training{name}" for name in names}


def test_comments_docstrings_and_formatting_do_not_count():
    plain = "def f(x):\n    return x + 1\n"
    dressed = (
        '"""Module."""\n\n\ndef f( x ):  # why\n    """Adds."""\n    return (x\n        + 1)\n'
    )
    assert syntax_digest(plain) == syntax_digest(dressed)
    assert syntax_digest(plain) != syntax_digest(plain.replace("1", "2"))
    assert syntax_digest("def f():\n    '''Doc.'''\n") == syntax_digest("def f():\n    pass\n")


def test_what_is_parsed_beside_a_module_does_not_disturb_it():
    """Python 3.11 counts one depth for all trees; a collection runs code, and other threads."""

    def parse_below(frames: int) -> ast.AST:
        return parse_below(frames - 1) if frames else ast.parse("x = 1")

    def collected(phase: str, _: dict[str, int]) -> None:
        if phase == "start":
            parse_below(40)

    source = (PROJECT_ROOT / "tasks/closure.py").read_text()
    expected, thresholds = syntax_digest(source), gc.get_threshold()
    gc.callbacks.append(collected)
    gc.set_threshold(50)
    try:
        assert syntax_digest(source) == expected
    finally:
        gc.set_threshold(*thresholds)
        gc.callbacks.remove(collected)
    assert gc.isenabled()
