"""Runs the tests that are marked as faults, and counts them."""

import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

from drills.fault_table import Row
from infra.settings import PROJECT_ROOT

BAD = ("failure", "error", "skipped")


def tested(folder: Path, *, processes: int = 2) -> list[Row]:
    """Runs them all; a test that did not pass, for whatever reason, is a failure.

    Args:
        folder: For pytest's report.
        processes: Tests that run at once.
    """
    report = folder / "tests.xml"
    options = [
        *("-q", "-m", "fault", "-n", str(processes), "--dist", "loadfile"),
        # Not among pytest's usual folders: it removes all but the last three sessions'.
        *(f"--basetemp={folder / 'tests'}", f"--junitxml={report}"),
    ]
    # What it prints goes past the table, to standard error.
    subprocess.run(
        [sys.executable, "-m", "pytest", *options],
        cwd=PROJECT_ROOT,
        stdout=sys.stderr,
        check=False,
    )
    return rows(ElementTree.parse(report).getroot())


def rows(report: ElementTree.Element) -> list[Row]:
    """One row for every fault in a JUnit report, sorted."""
    cases: dict[tuple[str, str], list[ElementTree.Element]] = {}
    for case in report.iter("testcase"):
        faults, outcomes = _values(case, "fault"), _values(case, "outcome")
        for fault, outcome in zip(faults, outcomes, strict=True):
            cases.setdefault((fault, outcome), []).append(case)
    return [_row(*marks, tests) for marks, tests in sorted(cases.items())]


def _values(case: ElementTree.Element, name: str) -> list[str]:
    """A test's properties of this name; one that makes several faults has several."""
    return [str(one.get("value")) for one in case.iter("property") if one.get("name") == name]


def _row(fault: str, outcome: str, tests: list[ElementTree.Element]) -> Row:
    failed = [case for case in tests if any(case.find(x) is not None for x in BAD)]
    files = sorted({_file(str(case.get("classname"))) for case in tests})
    return Row(
        fault,
        str(len(tests)),
        f"{len(failed)} of {len(tests)} did not pass" if failed else outcome,
        ", ".join(f"`{file}`" for file in files),
        not failed,
    )


def _file(classname: str) -> str:
    """JUnit's dotted name of a test module as a path."""
    return f"{classname.replace('.', '/')}.py"
