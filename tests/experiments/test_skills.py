"""Reading and reasoning per family, against shares counted by hand."""

import pandas as pd

from experiments.skills import skills_table


def test_shares_of_all_seeds_together(tmp_path):
    # bars: 2 of 4 right, 3 read, 2 of these right; clock: 0 of 1 right, none read.
    answers = [
        [("bars", "right", True), ("bars", "right", True), ("bars", "wrong", True)],
        [("bars", "unparseable", None), ("clock", "wrong", False)],
    ]
    folders = []
    for number, seed in enumerate(answers):
        folders.append(tmp_path / str(number))
        folders[-1].mkdir()
        table = pd.DataFrame(seed, columns=["family", "outcome", "reading_right"])
        table = table.assign(benchmark="pocket_multimodal", policy="text_rl")
        table.to_parquet(folders[-1] / "predictions.parquet")
    told = skills_table(folders)
    assert "| pocket_multimodal | all | 40.0 % (60.0 %, 66.7 %) |" in told
    assert "| pocket_multimodal | bars | 50.0 % (75.0 %, 66.7 %) |" in told
    assert "| pocket_multimodal | clock | 0.0 % (0.0 %, none) |" in told
