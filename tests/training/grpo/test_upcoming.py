"""Prompts that are read a step ahead."""

import json
import threading

from tests.training.grpo.test_train import new_stage
from training.grpo import train as grpo
from training.model import encoding


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
