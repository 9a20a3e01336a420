"""Prompts that are read a step ahead."""

import json
import threading
from dataclasses import replace

import pytest
from datasets import Dataset

from tests.training.grpo.test_train import new_stage
from training.grpo import train as grpo
from training.grpo.upcoming import Upcoming, prompt_of
from training.model import encoding
from training.model.encoding import encode_prompt, image_inputs
from training.model.memory import Memory, Newest


def test_a_step_reads_each_image_once_and_the_steps_after_the_first_ahead(
    tiny_model_folder, tiny_recipe, problem_sets, tmp_path, monkeypatch
):
    """Sampler, reference, old pass and two updates; four prompts a step, one picture each."""
    decode, read = encoding.decode_image, []

    def noted(image):
        read.append((image["bytes"], threading.current_thread().name.partition("_")[0]))
        return decode(image)

    opened = grpo.open_engine

    def probed(*arguments, **options):
        engine = opened(*arguments, **options)
        read.clear()  # the probe's
        return engine

    monkeypatch.setattr(grpo, "NUM_SHOWN_SAMPLES", 0)
    monkeypatch.setattr(grpo, "open_engine", probed)
    monkeypatch.setattr(encoding, "decode_image", noted)
    stage = new_stage(data="multimodal", kl={"coefficient": 0.05}, updates_per_step=2, num_steps=2)
    grpo.train(tiny_recipe, stage, tiny_model_folder, problem_sets, tmp_path)
    assert json.loads((tmp_path / "summary.json").read_text())["num_skipped_updates"] == 0
    assert [where for _, where in read] == ["MainThread"] * 4 + ["ahead"] * 4
    assert len({shown for shown, _ in read}) == 8


@pytest.fixture
def problems(images) -> Dataset:
    rows = [{"question": "What is it?", "images": [image]} for image in images[:4]]
    return Dataset.from_list(rows)


def test_reading_ends_with_the_prompt_that_it_is_at(tiny_policy, problems, monkeypatch):
    """The first one is held up until the stage has failed."""
    decode, is_reading, read = encoding.decode_image, threading.Event(), []
    policy = replace(tiny_policy)  # remembers nothing
    upcoming = Upcoming(policy, problems, 0, "rl")

    def held_up(image):
        read.append(image["bytes"])
        is_reading.set()
        assert upcoming._has_left.wait(60)
        return decode(image)

    monkeypatch.setattr(encoding, "decode_image", held_up)
    with pytest.raises(KeyError), upcoming:
        upcoming.read(0, 4)
        assert is_reading.wait(60)
        raise KeyError
    assert len(read) == 1


def test_what_is_read_ahead_takes_no_room_from_the_step(tiny_policy, problems, monkeypatch):
    """Two steps of two pictures, and room for those of the first."""
    decode, read = encoding.decode_image, []

    def noted(image):
        read.append(image["bytes"])
        return decode(image)

    def asked(problems):
        return [encode_prompt(policy, prompt_of(one)) for one in problems]

    policy = replace(tiny_policy)  # remembers nothing
    size = sum(
        values.nbytes
        for prompt in asked(Upcoming(policy, problems, 0, "rl").take(0, 2))
        for values in image_inputs(policy, [prompt], 1000).pixels.values()
    )
    vars(policy)["memory"] = Memory(policy.memory.processor, pixels=Newest(size))
    monkeypatch.setattr(encoding, "decode_image", noted)
    with Upcoming(policy, problems, 0, "rl") as upcoming:
        first = asked(upcoming.take(0, 2))
        upcoming.read(2, 2)
        upcoming._reading.result()
        assert len(read) == 4
        image_inputs(policy, first, 1000)
        assert len(read) == 4
        # Of the second step the tokens are there; its pixels take the place of the first step's.
        second = asked(upcoming.take(2, 2))[:1]
        for _ in range(2):
            image_inputs(policy, second, 1000)
        assert len(read) == 5
