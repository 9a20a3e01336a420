"""The README's table: runs the pocket recipe once for each seed, and prints accuracy per stage.

Behind it stands the table of docs/pocket.md, reading and reasoning per family.

`python -m experiments.seeds [--seeds 0 1 2]`. Seeds that an earlier call finished, and what `make
run` made, come from the store, so a call that was cut off goes on where it was.
"""

import argparse
import subprocess
import sys
from pathlib import Path
from typing import get_args

from contracts.run_record import RunRecord
from experiments.skills import skills_table
from infra.settings import PROJECT_ROOT, load_settings
from report.seeds import seeds_table
from tasks.keys import Reuse


def newest_record(reports: Path) -> RunRecord:
    """The record of the run that ended last on this machine."""
    newest = max(reports.glob("*/run.json"), key=lambda path: path.stat().st_mtime)
    return RunRecord.model_validate_json(newest.read_text(encoding="utf-8"))


def evaluation_folder(record: RunRecord) -> Path:
    """The run's scores, fetched from the store."""
    settings = load_settings()
    stage = next(stage for stage in record.stages if stage.kind == "evaluate")
    return settings.store().fetch(stage.artifact)


def main() -> int:
    """Runs every seed, then prints the table; stops at the first run that fails."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--reuse", choices=get_args(Reuse), default="code")
    options = parser.parse_args()
    command = [sys.executable, "-m", "flows.cli", "run", "--recipe", "pocket"]
    command += ["--reuse", options.reuse]
    folders = []
    for seed in options.seeds:
        done = subprocess.run([*command, "--seed", str(seed)], cwd=PROJECT_ROOT, check=False)
        if done.returncode != 0:
            return done.returncode
        folders.append(evaluation_folder(newest_record(load_settings().reports)))
    print(seeds_table(folders))
    print(skills_table(folders))
    return 0


if __name__ == "__main__":
    sys.exit(main())
