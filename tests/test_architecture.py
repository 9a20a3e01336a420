"""The house rules that a machine can hold."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]

ALGORITHMS = (
    "training.rl.advantages",
    "training.rl.pad",
    "training.rl.losses",
    "training.rl.schedules",
    "training.rl.rewards",
    "training.answers",
    "training.rollout.engine",  # loads vLLM when a recipe asks for it, and not before
)
HEAVY = ("prefect", "vllm", "deepspeed", "s3fs")


def test_importing_an_algorithm_loads_no_orchestrator_engine_or_store():
    """One after the other, in one process: each says what is loaded by then."""
    program = f"""
import importlib, sys
for module in {ALGORITHMS}:
    importlib.import_module(module)
    print(module, *[name for name in {HEAVY} if name in sys.modules])
"""
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines() == list(ALGORITHMS)


def test_flows_load_no_torch():
    """It takes seconds, of every run that finds all it needs in the store, too."""
    program = "import sys, flows.full, flows.cli; print('torch' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["False"]


def python_files():
    listed = subprocess.run(
        ["git", "ls-files", "*.py"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return [ROOT / line for line in listed.stdout.splitlines() if (ROOT / line).exists()]


def test_no_file_is_called_utils_and_none_outgrows_a_reader():
    for path in python_files():
        assert path.name != "utils.py"
        assert len(path.read_text().splitlines()) <= 400, path


def test_flow_files_neither_shadow_a_package_nor_postpone_annotations():
    for path in (ROOT / "flows").glob("*.py"):
        # Prefect puts a path entrypoint's folder first on sys.path, and evaluates annotations.
        assert path.stem not in {"tasks", "training", "infra", "data_checks", "report", "contracts"}
        assert "from __future__ import annotations" not in path.read_text(), path


def test_no_registry_address_is_committed():
    hosts = ("pypi" + ".org", "python" + "hosted", "registry." + "npmjs", "deb" + ".debian")
    listed = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    for name in listed.stdout.splitlines():
        path = ROOT / name
        if path.suffix in {".safetensors", ".png"} or not path.is_file():
            continue
        text = path.read_text(encoding="utf-8", errors="replace")
        assert not [host for host in hosts if host in text], name
