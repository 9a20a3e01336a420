"""The table over seeds, against intervals worked out by hand."""

import json
from pathlib import Path

import pytest

from contracts.errors import DataError
from report.seeds import main, seeds_table


def _folder(root: Path, name: str, values: dict[str, float]) -> Path:
    folder = root / name
    folder.mkdir()
    scores = [
        {
            "policy": policy,
            "benchmark": "pocket_text",
            "metric": "accuracy",
            "value": value,
            "num_problems": 10,
            "reading": 0.9,
            "by_level": {
                "1": {"value": 1.0, "n": 3},
                "2": {"value": 0.6, "n": 5},
                "9": {"value": 0, "n": 2},
            },
        }
        for policy, value in values.items()
    ]
    (folder / "scores.json").write_text(json.dumps({"scores": scores}))
    return folder


def test_means_and_t_intervals_over_three_seeds(tmp_path: Path) -> None:
    folders = [
        _folder(tmp_path, "1", {"base": 0.10, "cold_start": 0.50}),
        _folder(tmp_path, "2", {"base": 0.20, "cold_start": 0.70}),
        _folder(tmp_path, "3", {"base": 0.30, "cold_start": 0.60}),
    ]
    table = seeds_table(folders)
    # s = 0.1 for both policies and for the gains 40, 50, 30; t(0.975, 2) = 4.3027, so the half
    # width is 4.3027 x 10 / sqrt(3) = 24.84 points.
    assert "| pocket_text | 20.0 % ± 24.8 | 60.0 % ± 24.8 |" in table
    assert "| pocket_text | +40.0 ± 24.8 | +40.0 ± 24.8 |" in table
    assert "t-intervals over seeds" in table


def test_gains_are_paired_by_seed(tmp_path: Path) -> None:
    folders = [
        _folder(tmp_path, "1", {"base": 0.1, "cold_start": 0.3}),
        _folder(tmp_path, "2", {"base": 0.5, "cold_start": 0.7}),
    ]
    # The seeds differ by 40 points, the gain does not: 20 in both.
    assert "| pocket_text | +20.0 ± 0.0 | +20.0 ± 0.0 |" in seeds_table(folders)


def test_easy_levels_are_weighted_by_their_problems_and_reading_is_shown(tmp_path: Path) -> None:
    folders = [_folder(tmp_path, name, {"base": 0.6}) for name in "12"]
    table = seeds_table(folders)
    # (3 x 1.0 + 5 x 0.6) / 8 = 0.75; the same in both seeds, so the interval is 0 wide.
    easy = table.split("Accuracy on levels 1 and 2")[1]
    assert easy.split("| pocket_text |")[1].startswith(" 75.0 % ± 0.0 |")
    assert table.split("Reading")[1].split("| pocket_text |")[1].startswith(" 90.0 % ± 0.0 |")


def test_what_a_seed_did_not_score_in_full_is_named_and_in_no_mean(tmp_path: Path) -> None:
    folders = [_folder(tmp_path, name, {"base": 0.5, "cold_start": 0.7}) for name in "12"]
    path = folders[1] / "scores.json"
    scores = json.loads(path.read_text())
    scores["scores"][1]["failures"] = {"time-out": 4}
    path.write_text(json.dumps(scores))
    table = seeds_table(folders)
    said = "no mean: answers that did not come: cold_start of folder 2 lacks 4"
    assert f"| pocket_text | 50.0 % ± 0.0 | {said} |" in table
    assert f"| pocket_text | {said} | {said} |" in table
    assert "70.0 %" not in table and "+20.0" not in table


def test_seeds_that_were_judged_by_different_code_have_no_mean(tmp_path: Path) -> None:
    folders = [_folder(tmp_path, name, {"base": 0.5, "cold_start": 0.7}) for name in "12"]
    assert "these files do not say" in seeds_table(folders)  # of older versions
    for folder, code in zip(folders, "ab", strict=True):
        scores = json.loads((folder / "scores.json").read_text())
        for one in scores["scores"]:
            one["verdicts"] = {"code": code * 64, "rules": "d" * 64}
        (folder / "scores.json").write_text(json.dumps(scores))
    table = seeds_table(folders)
    assert "no mean: judged by other code: evaluate base of folder 1 and" in table
    assert "70.0 %" not in table and "+20.0" not in table and "do not say" not in table
    assert "| 50.0 % | 70.0 % |" in seeds_table(folders[:1])


def test_one_seed_claims_no_interval(tmp_path: Path) -> None:
    table = seeds_table([_folder(tmp_path, "1", {"base": 0.1, "cold_start": 0.3})])
    assert "| pocket_text | 10.0 % | 30.0 % |" in table
    assert "no interval" in table


def test_runs_that_differ_in_more_than_the_seed_are_refused(tmp_path: Path) -> None:
    first = _folder(tmp_path, "1", {"base": 0.1, "cold_start": 0.3})
    second = _folder(tmp_path, "2", {"base": 0.1})
    with pytest.raises(DataError, match="same benchmarks and policies"):
        seeds_table([first, second])


def test_the_command_says_which_file_is_missing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = _folder(tmp_path, "1", {"base": 0.1})
    assert main([str(folder)]) == 0
    assert "pocket_text" in capsys.readouterr().out
    assert main([str(folder), str(tmp_path / "absent")]) == 1
    assert "absent/scores.json" in capsys.readouterr().err
