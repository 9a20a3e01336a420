"""The sampling job on the vLLM engine, against one bare `LLM.generate` over all prompts.

And the share of the job in which vLLM did not compute: what enters, what is handed on, and whatever
else is between its steps.

Responses of 2 to 512 tokens whose length nobody knows before they end, most of them short. Ours
draws by seed, prompt and number, verifies and saves. The bare call is vLLM's own, in the order of
the prompts, on the same engine, without seeds.

On a virtual machine the same call takes up to a half longer from one minute to the next. So the two
take turns, dozens of times, and the pair of neighbours with the median ratio counts.
"""

import random
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import median, median_low
from time import perf_counter
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

from bench.rl_step import MODEL, endless_policy, prepared
from bench.table import Row
from training.answers import Verifier
from training.model.encoding import template_ids
from training.pocket.problems import generate
from training.recipe.model import ModelRecipe, VllmRollout
from training.rollout.protocol import Prompt, Request, SamplingSettings
from training.runtime.metrics import MetricsLog
from training.sampling.job import SamplingJob
from training.sampling.problems import request_of
from training.sampling.verdicts import REFERENCE, compare_with_reference

if TYPE_CHECKING:
    from training.rollout.vllm_engine import VllmEngine

NUM_PROMPTS = 96
SHORTEST_TOKENS, LONGEST_TOKENS = 2, 512
PAIRS_A_ROUND = 10
MAX_IDLE_SHARE = 0.1
SETTINGS = SamplingSettings(LONGEST_TOKENS)


def response_lengths(requests: Sequence[Request]) -> dict[str, int]:
    """Tokens of each response, by its question: evenly spread on a logarithmic scale."""
    draw, ratio = random.Random(0), LONGEST_TOKENS / SHORTEST_TOKENS
    return {
        one.prompt.question: round(SHORTEST_TOKENS * ratio ** draw.random()) for one in requests
    }


def compare(num_rounds: int) -> list[Row]:
    """Two rows."""
    from training.rollout.vllm_engine import VllmEngine

    policy = endless_policy(MODEL, ModelRecipe(path="unused"), system_prompt="Be brief.")
    requests = [request_of(row, SETTINGS) for row in generate("text", "train", NUM_PROMPTS, 0)]
    lengths = response_lengths(requests)
    num_tokens = sum(lengths[request.prompt.question] for request in requests)
    with prepared() as verifier:
        engine = VllmEngine(policy, VllmRollout(engine="vllm", max_length_tokens=1024))

        def job() -> float:
            with patch.object(engine, "_question", ending(engine._question, lengths)):
                return seconds_of_job(engine, verifier, requests, num_tokens)

        def call() -> float:
            return seconds_of_call(engine, requests, lengths, num_tokens)

        job(), call()  # the first warms up
        pairs, idle_shares = [], []
        for number in range(PAIRS_A_ROUND * num_rounds):
            first, second = (job, call) if number % 2 else (call, job)
            one, other = first(), second()
            idle_shares.append(engine.idle_share)  # of the job: the bare call is vLLM's own
            pairs.append((one, other) if number % 2 else (other, one))
            print(f"job {pairs[-1][0]:.2f} s, call {pairs[-1][1]:.2f} s", file=sys.stderr)
    ratios = [call_seconds / job_seconds for job_seconds, call_seconds in pairs]
    job_seconds, call_seconds = pairs[ratios.index(median_low(ratios))]
    name = f"sampling job / bare LLM.generate, {SHORTEST_TOKENS} to {LONGEST_TOKENS} tokens"
    ours, peer = num_tokens / job_seconds, num_tokens / call_seconds
    idle = Row(
        "sampling job: vLLM idle / allowed", "", median(idle_shares), MAX_IDLE_SHARE, "at most", 1.0
    )
    return [Row(name, "tokens/s", ours, peer, "at least", 0.9), idle]


def ending(question: Callable[..., Any], lengths: Mapping[str, int]) -> Callable[..., object]:
    """What the engine asks vLLM, with an end for each response that it alone knows of."""

    def ended(prompt: Prompt, *args: object, **kwargs: object) -> object:
        inputs, params = question(prompt, *args, **kwargs)
        params.max_tokens = lengths[prompt.question]
        return inputs, params

    return ended


def seconds_of_job(
    engine: "VllmEngine", verifier: Verifier, requests: Sequence[Request], num_tokens: int
) -> float:
    """Duration (s) of a whole job, chunks and all."""
    judges = {REFERENCE: compare_with_reference(verifier)}
    with tempfile.TemporaryDirectory() as folder:
        start = perf_counter()
        with SamplingJob(
            seed=0, judges=judges, log=MetricsLog(None), save=Path(folder) / "saved"
        ) as job:
            job.start(requests)
            job.ask(requests, lambda: engine)
            answers = job.answers(requests)
        seconds = perf_counter() - start
    if sum(row["num_tokens"] for rows in answers for row in rows) != num_tokens:
        raise RuntimeError("the job sampled other lengths")
    return seconds


def seconds_of_call(
    engine: "VllmEngine",
    requests: Sequence[Request],
    lengths: Mapping[str, int],
    num_tokens: int,
) -> float:
    """Duration (s) of vLLM's own call."""
    from training.rollout.vllm_engine import SamplingParams

    prompts = [{"prompt_token_ids": template_ids(engine._policy, r.prompt)} for r in requests]
    params = [
        SamplingParams(max_tokens=lengths[request.prompt.question], ignore_eos=True)
        for request in requests
    ]
    engine._wake("weights")  # the job leaves it asleep, and a sleeping engine answers never
    engine._wake("kv_cache")
    start = perf_counter()
    outputs = engine._llm.generate(prompts, params, use_tqdm=False)
    seconds = perf_counter() - start
    if sum(len(output.outputs[0].token_ids) for output in outputs) != num_tokens:
        raise RuntimeError("the bare call sampled other lengths")
    return seconds
