"""vLLM: sleep, wake, new weights without a restart, and its log-probabilities beside ours."""

from collections.abc import Sequence
from importlib.util import find_spec
from itertools import chain

import torch

from drills.gpu_check.learner import new_learner
from drills.gpu_check.machine import Machine
from drills.gpu_check.outcome import Failed, Figures, Skipped
from drills.gpu_check.work import BASE, new_policy, new_problems, prompt_of
from training.learner.learner import Learner
from training.model.encoding import TokenSequence, encode_prompt
from training.model.forward import ForwardSettings
from training.model.policy import Policy
from training.recipe.model import ModelRecipe, VllmRollout
from training.rollout.engine import open_engine, open_sampler
from training.rollout.protocol import Prompt, Response, RolloutEngine, SamplingSettings
from training.runtime import device
from training.sft.train import token_mean_loss

GIB = 2**30
ROLLOUT = VllmRollout(engine="vllm", max_length_tokens=512, memory_fraction=0.3)
SAMPLING = SamplingSettings(max_response_tokens=48, temperature=1.0, samples_per_prompt=4)
NUM_PROMPTS = 8
# Mean difference of log-probabilities, nats: vLLM's kernels in bfloat16, and in float32.
AGREES = {torch.bfloat16: 0.02, torch.float32: 1e-4}


def vllm(machine: Machine) -> Figures:
    """Two rounds of sampling with an update between them."""
    if find_spec("vllm") is None:
        raise Skipped("vLLM is not installed")
    dtype = "bfloat16" if machine.num_gpus else "float32"
    return machine.measure(two_rounds, limit_seconds=300, dtype=dtype)


def sharded_vllm(machine: Machine) -> Figures:
    """The same of two processes: vLLM's weights on both, the learner's sharded by ZeRO-3."""
    if find_spec("vllm") is None:
        raise Skipped("vLLM is not installed")
    if machine.num_gpus:
        machine.require_gpus(2, "tensor parallelism")
    dtype = "bfloat16" if machine.num_gpus else "float32"
    return machine.measure(
        two_rounds, limit_seconds=300, num_ranks=2, dtype=dtype, zero_stage=3, tensor_parallel=2
    )


def two_rounds(dtype: str, zero_stage: int = 0, tensor_parallel: int = 1) -> Figures:
    """Sampler and learner agree, part with an update, agree again; then another engine starts."""
    device.start(1)
    policy = new_policy(dtype)
    prompts = [prompt_of(problem) for problem in new_problems(NUM_PROMPTS)]
    rollout = ROLLOUT.model_copy(update={"tensor_parallel": tensor_parallel})
    engine = open_engine(rollout, policy)
    learner = new_learner(policy, zero_stage)
    figures: Figures = {"format": dtype} | _free("asleep")
    first = _sample(engine, prompts)
    batch = _sequences(policy, prompts, first)
    figures["mean gap, nats"] = _mean_gap(learner, batch, first)
    for _ in range(3):
        learner.update(batch, token_mean_loss(batch), ForwardSettings())
    figures["mean gap of stale weights, nats"] = _mean_gap(learner, batch, first)
    engine.load_weights(learner.weights())
    second = _sample(engine, prompts)
    batch = _sequences(policy, prompts, second)
    figures["mean gap after a reload, nats"] = _mean_gap(learner, batch, second)
    figures |= _free("asleep again")
    _require_agreement(figures, AGREES[policy.model.dtype])
    engine.close()
    figures |= _free("closed")
    # As curation's grader: vLLM reads the only weights, and refuses to start where others are left.
    model = ModelRecipe.model_validate({"path": "unused", "dtype": dtype})
    second_engine = open_sampler(ROLLOUT, BASE, model, system_prompt="Be brief.")
    figures["responses of a second engine"] = len(_sample(second_engine, prompts))
    return figures


def _require_agreement(figures: Figures, bound: float) -> None:
    for name in ("mean gap, nats", "mean gap after a reload, nats"):
        if not float(figures[name]) <= bound:
            raise Failed(f"{name}: {figures[name]:.3g}, and it may be {bound}", figures)
    if not float(figures["mean gap of stale weights, nats"]) > bound:
        raise Failed("an update moved the learner too little to tell new weights by", figures)


def _sample(engine: RolloutEngine, prompts: Sequence[Prompt]) -> list[Response]:
    """The first process's responses, on all of them: a learner's batch is one."""
    responses = engine.generate(prompts, SAMPLING, torch.Generator().manual_seed(0))
    return device.send_to_all_ranks(responses, 0)


def _sequences(
    policy: Policy, prompts: Sequence[Prompt], responses: Sequence[Response]
) -> list[TokenSequence]:
    encoded = [encode_prompt(policy, prompt) for prompt in prompts]
    return [TokenSequence(encoded[one.prompt_index], one.token_ids) for one in responses]


def _mean_gap(
    learner: Learner, batch: Sequence[TokenSequence], responses: Sequence[Response]
) -> float:
    """Mean distance of the sampler's log-probabilities from the learner's."""
    computed = learner.log_probs(batch, ForwardSettings(bans_placeholders=True))
    gaps = [
        (one.log_probs.cpu() - responses[row].log_probs).abs() for row, one in computed.items()
    ]  # of this process's rows
    return float(torch.cat([*chain.from_iterable(device.gather_from_all_ranks(gaps))]).mean())


def _free(when: str) -> Figures:
    """Free memory of the GPU, which a sampler that sleeps has given back; nothing on a CPU."""
    if not torch.cuda.is_available():
        return {}
    return {f"free GPU memory, {when}, GiB": torch.cuda.mem_get_info()[0] / GIB}
