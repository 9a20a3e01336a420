"""Run by torchrun in test_vllm_engine.py: two processes share vLLM's weights, and ZeRO-3's.

Then they curate: each samples from a base of its own, and both from one grader.
"""

import gc
import importlib.util
import json
import sys
import weakref
from pathlib import Path
from unittest.mock import patch

import torch

from contracts.errors import Preempted
from training.curation.curate import curate
from training.learner.learner import Learner
from training.model.forward import ForwardSettings
from training.model.policy import load_policy
from training.recipe.model import VllmRollout
from training.recipe.recipe import HardwareRecipe, parse_recipe
from training.recipe.stages import OptimizerRecipe
from training.rollout.engine import open_engine
from training.rollout.protocol import Prompt, Request, SamplingSettings
from training.rollout.transformers_engine import TransformersEngine
from training.runtime import device
from training.sampling.chunks import read_chunks
from training.sft.train import token_mean_loss


def load_module(path):
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def curated(output, base, values):
    """Grades six sums, with the base as the grader, and says how that was loaded and answered."""
    source = {"name": "sums", "kind": "jsonl", "modality": "text", "path": str(output / "rows")}
    columns = {"columns": {"question": "question", "answer": "answer"}}
    vllm = {"engine": "vllm", "max_length_tokens": 256}
    together = {"samples_per_problem": 2, "rollout": vllm | {"tensor_parallel": 2}}
    sets = [*values["curation"]["sets"], {"name": "rest", "modality": "text", "num_problems": 6}]
    asked = {"samples_per_problem": 2, "max_prompt_tokens": 128, "max_response_tokens": 16}
    grader = {"grader": together | {"model": {"path": "./grader"}}}
    benchmarks = {"benchmarks": [{"name": "pocket_text", "num_problems": 4}]}
    changes = {"rollout": vllm, "sources": [source | columns]}
    changes["curation"] = asked | grader | {"sets": sets}
    changes["evaluation"] = values["evaluation"] | benchmarks
    recipe = parse_recipe(values | changes, where="this test")
    if device.rank() == 0:
        (output / "rows").mkdir()
        rows = [{"question": f"{n}+{n + 1}?", "answer": str(2 * n + 1)} for n in range(2, 8)]
        lines = "\n".join(json.dumps(row) for row in rows)
        (output / "rows/sums.jsonl").write_text(lines)
        (output / "curated").mkdir()
    device.barrier()
    loaded = []

    def recorded(*args, **settings):
        loaded.append(load_policy(*args, **settings))
        return loaded[-1]

    inputs = {"policy": base, "model:grader": base, "source:sums": output / "rows"}
    with patch("training.rollout.engine.load_policy", recorded):
        curate(recipe, inputs, output / "curated", save=output / "saved")
    device.barrier()
    return {
        "grader_weights": [policy.device.type for policy in loaded],
        "texts": [[row["text"] for row in rows] for rows in read_chunks([output / "saved"])],
    }


def left_off(engine, prompts):
    """How sampling ends: when the second process is told to stop, and the first takes no more."""
    ends, asked = [], []

    def is_told():
        asked.append(True)
        return device.rank() == 1 and len(asked) == 3

    try:
        engine.generate(prompts, SamplingSettings(64), torch.Generator(), is_told)
        ends.append("answered")
    except Preempted:
        ends.append(f"stopped in step {len(asked)}")

    def lot(number, max_tokens):
        settings = SamplingSettings(max_tokens)
        return [Request(str(number), Prompt(f"{number}+1?"), settings, "", "")]

    end = "answered"
    try:
        for _ in engine.stream(iter([lot(0, 2), *(lot(n, 96) for n in range(1, 4))]), 0):
            end = "left"
            break
    except Preempted:
        end = "stopped"
    return [*ends, end]


def main(output):
    device.start(1)
    here = Path(__file__).parent
    tests, fixtures = (
        load_module(here / "test_vllm_engine.py"),
        load_module(here.parent / "conftest.py"),
    )
    images = fixtures.five_images()
    # The processes bring different prompts, and not as many.
    prompts = [[Prompt("2+3?"), Prompt("Two.", images[1:3])], [Prompt("7-4?")]][device.rank()]
    policy, whole = tests.new_policy(), tests.new_policy()
    rollout = VllmRollout(engine="vllm", tensor_parallel=2, max_length_tokens=256)
    engine = open_engine(rollout, policy)
    learner = Learner(
        policy,
        optimizer=OptimizerRecipe(learning_rate=1e-3),
        hardware=HardwareRecipe(num_processes=2, zero_stage=3),
        num_updates=1,
        tokens_per_micro_batch=10**6,
    )
    first = tests.sample(engine, prompts, seed=device.rank())
    again = tests.sample(engine, prompts, seed=device.rank())
    gaps = [tests.largest_gap(whole, prompts, first, tests.plain_forward_pass(whole))]
    shares = device.gather_from_all_ranks(tests.sequences_of(whole, prompts, first))
    batch = [sequence for share in shares for sequence in share]
    learner.update(batch, token_mean_loss(batch), ForwardSettings())
    TransformersEngine(whole).load_weights(learner.weights())
    gaps.append(tests.largest_gap(whole, prompts, first, tests.plain_forward_pass(whole)))
    engine.load_weights(learner.weights())
    responses = tests.sample(engine, prompts, seed=device.rank())
    gaps.append(tests.largest_gap(whole, prompts, responses, tests.plain_forward_pass(whole)))
    result = {
        "gaps": gaps,
        "prompt_indices": [response.prompt_index for response in responses],
        "repeats": all(
            torch.equal(one.token_ids, two.token_ids) for one, two in zip(first, again, strict=True)
        ),
    }
    result["left_off"] = left_off(engine, prompts)
    core = engine._llm.llm_engine.engine_core.engine_core
    weights = weakref.ref(core.model_executor.driver_worker.worker.get_model())
    del core
    engine.close()
    del engine
    gc.collect()
    result["left"] = weights() is not None
    hardware = HardwareRecipe(num_processes=2, threads_per_process=1)
    values = fixtures.make_recipe(hardware).model_dump(mode="json")
    result |= curated(Path(output), tests.BASE, values)
    (Path(output) / f"rank{device.rank()}.json").write_text(json.dumps(result))


if __name__ == "__main__":
    main(*sys.argv[1:])
