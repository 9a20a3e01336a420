"""Curation by shards, against the same steps over all rows at once."""

import io
import os
import signal
import subprocess
import sys
from dataclasses import dataclass, field, replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from PIL import Image

from contracts.errors import Preempted
from infra.settings import PROJECT_ROOT
from training import tables
from training.answers import Verifier
from training.curation import row_steps
from training.curation.decontamination import BenchmarkIndex, decontaminate
from training.curation.duplicates import drop_near_duplicates
from training.curation.equal_questions import drop_duplicates
from training.curation.row_steps import RowSteps, parts
from training.curation.shard_work import ShardWork
from training.curation.shards import Rows, read_rejects, read_table, write_shards
from training.curation.sift import SourceCounts, sift, source_rows
from training.curation.step import split
from training.curation.verifiability import drop_long_prompts, keep_verifiable
from training.recipe.curation import (
    DECONTAMINATION,
    DUPLICATES,
    NEAR_DUPLICATES,
    PROMPT_LENGTH,
    STEPS,
    VERIFIABILITY,
    DecontaminationRecipe,
)
from training.recipe.recipe import CurationRecipe
from training.recipe.sources import SourceRecipe

MAX_TOKENS = 40
STORY = "A baker fills {} trays with {} rolls each. How many rolls does the {} sell in all of them?"
ASKED = "A shop sells pens at 3 coins and rulers at 5 coins each. How many coins are 4 pens there?"
TEXTS = [
    STORY.format(3, 4, "baker"),
    STORY.format(3, 4, "bakker"),
    STORY.format(3, 4, "baker").upper(),
    STORY.format(3, 5, "baker"),
    STORY.format(3, 4, "baker").replace("sell", "bake"),
    ASKED,
    ASKED.replace("A shop", "The shop"),
    ASKED.replace("4 pens", "6 pens"),
    "What is 1 + 1?",
    "Prove that 1 + 1 = 2.",
    "x " * MAX_TOKENS + "?",
    "",
]
ANSWERS = ["1", "2", "2.0", "2 cm", "2 m"]  # `2` is in either unit


def count_words(prompts):
    return [len(prompt.question.split()) for prompt in prompts]


@dataclass(frozen=True)
class Watched(RowSteps):
    """Steps that tell through which shards they have gone."""

    seen: list[str] = field(default_factory=list)

    def examine(self, shard: Path):
        self.seen.append(shard.name)
        return super().examine(shard)


@pytest.fixture(scope="module")
def new_steps(make, verifier):
    def new(kind=RowSteps, asked=ASKED):
        index = BenchmarkIndex({"exam": [make(7, id="b0", question=asked)]})
        return kind(verifier, count_words, index, MAX_TOKENS, 0.5, 0.75)

    return new


@pytest.fixture
def small_shards(monkeypatch):
    monkeypatch.setattr(tables, "MAX_GROUP_ROWS", 3)


def odd_level(*, question, answer, solution, num_images, source, family, level):
    """A step of a user's own."""
    return "an odd level" if level % 2 else None


ANY_SET = {"name": "all", "modality": "text", "num_problems": 1}
OWN = "tests.training.curation.test_sift:odd_level"


@st.composite
def orders(draw):
    left_out = draw(st.sets(st.sampled_from([NEAR_DUPLICATES, DECONTAMINATION])))
    order = [VERIFIABILITY, *draw(st.permutations([s for s in STEPS[1:] if s not in left_out]))]
    assume(NEAR_DUPLICATES not in order[: order.index(DUPLICATES)])  # as a recipe may have it
    order.insert(draw(st.integers(0, len(order))), OWN)
    return CurationRecipe.model_validate({"steps": order, "sets": [ANY_SET]}).steps


def at_once(rows, steps, number_variants):
    """Every step over all rows, the slow way."""
    rejects, variants = [], {}

    def leaks(problems):
        drops = number_variants == "reject"
        found = decontaminate(problems, steps.benchmarks, 0.5, reject_variants=drops)
        variants.update(found.variants)
        return found.result

    def own(problems):
        reasons = ["an odd level" if problem["level"] % 2 else None for problem in problems]
        return split(problems, reasons, OWN)

    over_all = {
        OWN: own,
        VERIFIABILITY: lambda problems: keep_verifiable(problems, steps.verifier),
        DUPLICATES: lambda problems: drop_duplicates(problems, steps.verifier),
        PROMPT_LENGTH: lambda problems: drop_long_prompts(problems, count_words, MAX_TOKENS),
        NEAR_DUPLICATES: lambda problems: drop_near_duplicates(problems, 0.75, steps.verifier),
        DECONTAMINATION: leaks,
    }
    for step in steps.order:
        result = over_all[step](rows)
        rows, rejects = result.kept, rejects + result.rejects
    return rows, rejects, variants


TRACES = (None, "no box", "\\boxed{2}")
drawn_row = st.tuples(*map(st.sampled_from, (TEXTS, ANSWERS, range(13), TRACES)))


@settings(max_examples=40, deadline=None)
@given(
    parts=st.lists(st.lists(drawn_row, max_size=12), min_size=1, max_size=3),
    number_variants=st.sampled_from(["keep", "reject"]),
    order=orders(),
)
def test_shards_come_out_as_all_rows_at_once(
    parts, number_variants, order, make, new_steps, sifted
):
    """Some texts are near others, some leak; ids and answers collide; some rows have a trace."""
    sources = [
        [make(n, question=text, answer=answer, level=n, solution=s) for text, answer, n, s in part]
        for part in parts
    ]
    steps = replace(new_steps(), order=order)
    expected = at_once([row for one in sources for row in one], steps, number_variants)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tables, "MAX_GROUP_ROWS", 3)
        patch.setattr(row_steps, "PART_ROWS", 2)
        assert sifted(sources, steps, number_variants=number_variants) == expected


def many(make, num=20, start=0):
    return [make(n, id=f"p{n}") for n in range(start, start + num)]


def test_without_a_search_for_near_duplicates_they_stay(make, new_steps, sifted):
    rows = [make(n, question=text, answer="12") for n, text in enumerate(TEXTS[:2])]
    assert len(sifted([rows], new_steps())[0]) == 1
    order = tuple(step for step in STEPS if step != NEAR_DUPLICATES)
    assert sifted([rows], replace(new_steps(), order=order))[0] == rows


def test_a_run_that_failed_goes_on_at_the_shards_that_are_missing(
    make, new_steps, sifted, small_shards, tmp_path
):
    class Failing(Watched):
        def examine(self, shard):
            if len(self.seen) == 3:
                raise ConnectionError("gone")
            return super().examine(shard)

    rows = [*many(make), *(make(30 + n, question=text) for n, text in enumerate(TEXTS))]
    undisturbed = sifted([rows], new_steps())
    with pytest.raises(ConnectionError):
        sifted([rows], new_steps(Failing), save=tmp_path)
    steps = new_steps(Watched)
    assert sifted([rows], steps, resume=tmp_path) == undisturbed
    assert steps.seen == [f"{n:06d}" for n in range(3, 11)]


def test_a_stop_is_heard_within_a_shard(make, new_steps, sifted, tmp_path, monkeypatch):
    monkeypatch.setattr(row_steps, "PART_ROWS", 4)
    rows, parts = many(make, 10), []

    def told_meanwhile(prompts):
        parts.append(len(prompts))
        signal.raise_signal(signal.SIGTERM)
        return count_words(prompts)

    before = signal.getsignal(signal.SIGTERM)
    steps = replace(new_steps(), count_tokens=told_meanwhile)
    with pytest.raises(Preempted, match="what was found in whole shards is saved"):
        sifted([rows], steps, save=tmp_path)
    assert parts == [4] and not list(tmp_path.glob("shard-*"))
    assert signal.getsignal(signal.SIGTERM) is before
    assert sifted([rows], new_steps(), resume=tmp_path) == sifted([rows], new_steps())


def test_a_stop_is_heard_between_the_batches_of_a_source(make, tmp_path):
    """Before any shard is full."""
    read, columns = [], {"question": "question", "answer": "answer"}
    pq.write_table(
        pa.table({name: [f"{n} + 1?" for n in range(3000)] for name in columns}),
        tmp_path / "rows.parquet",
    )
    recipe = SourceRecipe(name="s", kind="parquet", modality="text", path="/unused")

    def told() -> None:
        read.append(0)
        if len(read) == 2:
            raise Preempted("told")

    counts = SourceCounts()
    rows = source_rows([recipe], {recipe.input_name: tmp_path}, 0, counts, told)
    with pytest.raises(Preempted):
        list(write_shards(rows, tmp_path))
    assert len(read) == 2 and counts.rows["s"] == 1024


def test_parts_are_bounded_in_rows_and_in_pixels(make, make_seen, png, monkeypatch):
    monkeypatch.setattr(row_steps, "PART_ROWS", 3)
    monkeypatch.setattr(row_steps, "PART_PIXELS", 28 * 28 * 2)
    texts, seen = [make(n) for n in range(4)], [make_seen(n) for n in range(5)]

    def sizes(rows):
        return [part.stop - part.start for part in parts(rows)]

    assert sizes([]) == [] and sizes(texts) == [3, 1] and sizes(seen) == [2, 2, 1]
    several = seen[0] | {"images": seen[0]["images"] * 4}
    assert sizes([texts[0], seen[1], several, *texts]) == [3, 3, 1]
    mixed = [*seen, *texts, several]
    assert [row for part in parts(mixed) for row in mixed[part]] == mixed


def test_pictures_are_compared_by_what_was_found_in_them(
    make_seen, png, new_steps, sifted, small_shards
):
    """Thousands of rows may ask the same of other pictures: none of them are held for that."""

    @dataclass(frozen=True)
    class Seen(RowSteps):
        compared: list[pa.Table] = field(default_factory=list)

        def repeats(self, shard):
            self.compared.append(read_table(shard))
            return super().repeats(shard)

    asked = ["How many dots does it show?", "How many dots does it show here?"]
    recoded = io.BytesIO()
    Image.open(io.BytesIO(png(3))).save(recoded, "WEBP", lossless=True)
    rows = [make_seen(n, question=asked[0], answer="5") for n in range(8)]
    again = [
        make_seen(20, question=asked[1], answer="5", images=[{"bytes": one, "path": None}])
        for one in (recoded.getvalue(), png(9))
    ]
    again[1]["id"] = "p21"
    steps = new_steps(Seen)
    kept, rejects, _ = sifted([rows, again], steps)
    assert [(one.problem["id"], one.detail) for one in rejects] == [("p20", "p3")]
    assert [row["id"] for row in kept] == [*(f"p{n}" for n in range(8)), "p21"]
    (table,) = steps.compared
    assert table["id"].to_pylist() == ["p3", "p20"]
    assert table.column_names == ["id", "question", "answer", "pictures", "is_traced"]


class Killed(Watched):
    """Steps whose process is killed in the middle."""

    def examine(self, shard):
        if len(self.seen) == 3:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().examine(shard)


@pytest.mark.slow
def test_a_process_that_was_killed_is_gone_on_with(make, new_steps, sifted, small_shards, tmp_path):
    rows = many(make)
    here = f"from tests.training.curation import test_sift; test_sift.killed({str(tmp_path)!r})"
    done = subprocess.run([sys.executable, "-c", here], cwd=PROJECT_ROOT, check=False)
    assert done.returncode == -signal.SIGKILL
    steps = new_steps(Watched)
    assert sifted([rows], steps, resume=tmp_path) == sifted([rows], new_steps())
    assert steps.seen == ["000003", "000004", "000005", "000006"]


def killed(folder):
    """What the other process does: the same, until it is killed."""
    from tests.training.curation import conftest

    def own(fixture):
        return fixture.__wrapped__

    make, patch = own(conftest.make)(), pytest.MonkeyPatch()
    patch.setattr(tables, "MAX_GROUP_ROWS", 3)
    with Verifier(timeout_seconds=60, batch_seconds=600) as verifier:
        steps = own(new_steps)(make, verifier)(Killed)
        own(conftest.sifted)()([many(make)], steps, save=Path(folder))


def test_of_changed_sources_their_own_shards_alone_are_new(
    make, new_steps, sifted, small_shards, tmp_path
):
    sources = [many(make, 7), many(make, 7, start=10), many(make, 7, start=20)]
    sifted(sources, new_steps(), save=tmp_path)
    sources[1][4] = make(14, question="What is 7 * 7?", answer="49")
    steps = new_steps(Watched)
    found = sifted(sources, steps, resume=tmp_path)
    assert steps.seen == ["000004"]  # three shards a source: 3, 3 and 1 rows
    assert found == sifted(sources, new_steps())
    other = new_steps(Watched)
    sifted(sources, other, resume=tmp_path / "nothing")
    assert len(other.seen) == 9


def test_two_processes_may_save_equal_shards_at_once(
    make, new_steps, sifted, small_shards, tmp_path
):
    """The other one is about to give its file the name that this one wants, too."""
    first, second = tmp_path / "first", tmp_path / "second"
    sifted([many(make, 3)], new_steps(), save=first)
    second.mkdir()
    for path in first.glob("shard-*"):
        (second / f".{path.name}").write_bytes(path.read_bytes())
    expected = sifted([many(make, 3)], new_steps(), save=second)
    steps = new_steps(Watched)
    assert sifted([many(make, 3)], steps, resume=second) == expected
    assert steps.seen == []


def test_what_a_clock_decided_counts_for_no_later_run(
    make, new_steps, sifted, small_shards, tmp_path
):
    rows = many(make, 6)
    rows[4] |= {"answer": r"\lfloor x \rfloor, x", "solution": r"\boxed{x, \lfloor x \rfloor}"}
    with Verifier(timeout_seconds=0.001) as hasty:
        _, rejects, _ = sifted([rows], replace(new_steps(), verifier=hasty), save=tmp_path)
        assert hasty.num_timeouts == 1
    reason = "solution unverifiable: not within 0.001 s"
    assert [(one.problem["id"], one.reason) for one in rejects] == [("p4", reason)]
    steps = new_steps(Watched)
    assert sifted([rows], steps, resume=tmp_path) == sifted([rows], new_steps())
    assert steps.seen == ["000001"]  # the shard that the row is in


@pytest.mark.parametrize(
    ("change", "name", "num_new"),
    [
        ({"level": 3, "template": "other"}, "exam", 0),  # nobody looks for these
        ({"answer": "9"}, "exam", 7),
        ({"question": ASKED.replace("4 pens", "7 pens")}, "exam", 7),  # as other code reads them
        ({"id": "b1"}, "exam", 7),  # it is told with the rows
        ({"images": ["a picture"]}, "exam", 7),
        ({}, "other exam", 7),
    ],
)
def test_shards_are_looked_through_again_for_other_questions_of_benchmarks(
    change, name, num_new, make, png, new_steps, sifted, small_shards, tmp_path
):
    """However they came to be others: by the recipe, the files, or the code that reads these."""
    sifted([many(make)], new_steps(), save=tmp_path)
    if "images" in change:
        change = {"images": [{"bytes": png(), "path": None}]}
    index = BenchmarkIndex({name: [make(7, id="b0", question=ASKED) | change]})
    steps = replace(new_steps(Watched), benchmarks=index)
    sifted([many(make)], steps, resume=tmp_path)
    assert len(steps.seen) == num_new


def test_a_row_that_is_no_record_is_told_first(make, new_steps, sifted, small_shards):
    batches = [
        Rows([make(0), make(1)], [None, "`answer` that is no text"]),
        Rows([make(2), make(3), make(4, question="")], [None, "line that is no JSON", None]),
    ]
    with ShardWork() as work:
        found = sift([batches], new_steps(), DecontaminationRecipe(), work)
        rejects = list(read_rejects(found.rejects))
    assert [(one.problem["id"], one.step, one.reason) for one in rejects] == [
        ("p1", "sources", "`answer` that is no text"),
        ("p3", "sources", "line that is no JSON"),
        ("p4", "verifiability", "no question"),
    ]


def test_pass_rates_are_compared_as_they_came(make, new_steps, sifted):
    """Single precision, in which they are stored, makes 0.3 more than 0.3."""
    kept, _, _ = sifted([[make(0, pass_rate=0.3)]], new_steps())
    assert kept[0]["pass_rate"] == 0.3
