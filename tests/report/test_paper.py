"""The paper's table: its own averages come out, and only a whole benchmark of ours is in it."""

import re

import pytest

from contracts.scores import Score
from report.evidence import gather
from report.paper import HEADINGS, SAMPLES, beside_paper
from report.render import render
from tasks.run import recipe_path
from training.evaluation.metrics import METRICS
from training.evaluation.registry import BENCHMARKS
from training.recipe.known_benchmarks import ITEMS
from training.recipe.recipe import load_recipe


def score(name, **changes):
    metric = METRICS[BENCHMARKS[name].METRIC].name
    fields = {"policy": "p", "benchmark": name, "metric": metric, "value": 0.25}
    asked = {"num_problems": ITEMS[name], "samples_per_problem": SAMPLES.get(name, 1)}
    return Score(**{**fields, **asked, "kind": "shipped", **changes})


def row(scores):
    (table, _) = beside_paper({"ours": scores}).blocks
    return [getattr(cell, "text", cell) for cell in table.rows[-1]]


def test_the_papers_averages_are_those_that_it_states():
    table = beside_paper({}).blocks[0]
    assert [(name, average) for name, average, *_ in table.rows] == [
        ("paper, base", "32.4"),
        ("paper, 3B", "46.5"),
        ("paper, 7B", "53.1"),
    ]
    assert len(HEADINGS) == len(table.rows[0]) - 2 == 10


def test_all_ten_in_full_have_an_average():
    scores = [score(name) for name in HEADINGS]
    scores[6] = score("aime24", value=0.75, metric="mean@32")
    assert row(scores) == ["ours", "30.0", *["25.0"] * 6, "75.0", *["25.0"] * 3]
    assert row(scores[1:])[1:3] == ["not run", "not run"]


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"num_problems": 30}, "not in full: 30 of 3940 items"),
        ({"failures": {"time-out": 2}}, "not in full: 2 answer(s) did not come"),
        ({"findings": {"failed": 1}}, "not in full: 1 answer(s) did not come"),
        ({"metric": "accuracy"}, "another metric: accuracy"),
        ({"kind": "file"}, "not the benchmark: of kind file"),
        ({"kind": None}, "not the benchmark: of kind unknown"),
        ({"samples_per_problem": 4}, "another k: 4, the paper’s is 1"),
    ],
)
def test_a_part_of_a_benchmark_is_no_result_and_in_no_average(changes, told):
    cells = row([score(name, **(changes if name == "mathverse" else {})) for name in HEADINGS])
    assert cells[1:3] == ["not run", told]


def test_aime_is_the_papers_with_32_answers_to_each_problem():
    scores = [score(name) for name in HEADINGS]
    scores[6] = score("aime24", metric="mean@8", samples_per_problem=8)
    cells = row(scores)
    assert (cells[1], cells[8]) == ("not run", "another k: 8, the paper’s is 32")


def test_the_shipped_recipes_ask_as_often_as_the_paper():
    for name in ("revisual-3b", "revisual-7b"):
        evaluation = load_recipe(recipe_path(name)).evaluation
        asked = {one.name: evaluation.samples_of(one) for one in evaluation.benchmarks}
        assert asked == {name: SAMPLES.get(name, 1) for name in HEADINGS}


def test_a_run_without_the_ten_says_not_run(made_up_run):
    markdown = render(made_up_run.run, gather(*made_up_run)).markdown
    assert re.search(r"\| ours, text_rl (\| not run ){11}\|", markdown)
    assert "| paper, 7B | 53.1 | 53.6 | 48.8 |" in markdown
