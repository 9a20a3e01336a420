"""The base: a shortened training runs and learns; the shipped one is what its figures say."""

import json
import re
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from experiments.pocket_base import SHIPPED, BaseSettings, Phase, curriculum, measure, train_base
from training.model.policy import load_policy
from training.pocket.lessons import draw_lessons, reading_problems
from training.pocket.problems import generate
from training.recipe.model import ModelRecipe

FOLDER = Path(__file__).parents[2] / "infra" / "models" / "pocket-base"
KEYS = tuple(SHIPPED.num_lessons)
SHORT = BaseSettings(
    num_lessons=dict.fromkeys(KEYS, 60),
    phases=(
        Phase(12, {("text", "short"): 0.5, ("text", "glance"): 0.5}),
        Phase(12, dict.fromkeys(KEYS, 0.2)),
    ),
    batch_size=16,
    learning_rate=2e-3,
    num_problems=12,
    warmup_steps=5,
)


def test_glances_show_no_step():
    lessons = draw_lessons("text", "glance", 200, np.random.default_rng(0))
    assert len(lessons) == 200
    for lesson in lessons:
        thought = lesson.response.split("<think>Given: ")[1].split("</think>")[0]
        assert thought.endswith(".")
        assert ". " not in thought


def test_short_lessons_show_two_steps_at_most():
    lessons = draw_lessons("text", "short", 200, np.random.default_rng(0))
    numbers = [
        len(re.findall(r"=| yes| no", lesson.response.split(". ", 1)[1])) for lesson in lessons
    ]
    assert max(numbers) == 2
    assert min(numbers) <= 1


def test_drills_are_single_sums_that_hold():
    for lesson in draw_lessons("text", "drill", 100, np.random.default_rng(0)):
        hours = lesson.question.startswith("Find each hour")
        for equation in lesson.response.split("\\boxed{")[1].removesuffix("}").split(", "):
            start, move, result = re.fullmatch(r"(\d+) [a-h]([+-]\d+)=(\d+)", equation).groups()
            assert (int(start) + int(move) - int(result)) % (12 if hours else 1000) == 0


def test_phases_draw_the_lessons_they_name():
    sequences = {key: [SimpleNamespace(num_tokens=1, key=key)] for key in KEYS}
    batches = list(curriculum(sequences, SHORT))
    assert [len(batch) for batch in batches] == [16] * 24
    assert {s.key for batch in batches[:12] for s in batch} == set(SHORT.phases[0].shares)
    assert {s.key for batch in batches[12:] for s in batch} == set(KEYS)


def test_a_shortened_training_learns_and_writes_its_figures(tmp_path):
    train_base(SHORT, tmp_path)
    figures = json.loads((tmp_path / "training.json").read_text())
    assert figures["num_parameters"] <= 4_000_000
    first, *_, last = figures["losses"]
    assert last < 0.75 * first
    for modality in ("text", "multimodal"):
        scores = figures["held_out"][modality]
        assert 0 <= scores["accuracy_levels_1_2"] <= 1
        assert set(scores["reading_by_level"]) <= {str(level) for level in range(1, 11)}
    policy = load_policy(tmp_path, ModelRecipe(path=str(tmp_path)), system_prompt="Think.")
    assert measure(policy, generate("multimodal", "test", 4, 1))["accuracy"] <= 1


@pytest.mark.slow
def test_the_shipped_base_is_competent_at_short_problems_in_both_modalities():
    assert sum(f.stat().st_size for f in FOLDER.iterdir()) <= 10_000_000
    figures = json.loads((FOLDER / "training.json").read_text())
    policy = load_policy(
        FOLDER, ModelRecipe(path=str(FOLDER)), system_prompt=figures["system_prompt"]
    )
    for modality in ("text", "multimodal"):
        stated = figures["held_out"][modality]
        assert stated["accuracy_levels_1_2"] >= 0.6
        short = [p for p in generate(modality, "test", 300, 11) if p["level"] in (1, 2)]
        measured = measure(policy, short)
        assert measured["accuracy"] == pytest.approx(stated["accuracy_levels_1_2"], abs=0.17)
        assert measured["accuracy"] >= 0.55
        reading = figures["asked_to_read"][modality]
        assert min(reading["reading_by_level"].values()) >= 0.4
        asked = reading_problems(modality, "test", 200, np.random.default_rng(12))
        assert measure(policy, asked)["reading"] == pytest.approx(reading["reading"], abs=0.1)
