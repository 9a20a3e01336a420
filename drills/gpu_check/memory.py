"""Memory: what an update really takes beside what `revisual plan` works out."""

import gc
from dataclasses import dataclass

import torch
from transformers import AutoModelForImageTextToText, GenerationConfig

from drills.gpu_check.allocated import allocations, gpu_allocations
from drills.gpu_check.learner import new_learner
from drills.gpu_check.machine import Machine
from drills.gpu_check.outcome import Figures, require_close
from experiments.tiny_families.qwen import qwen2_5_vl
from training.model import attention
from training.model.encoding import TokenSequence, encode_prompt
from training.model.forward import ForwardSettings
from training.model.policy import Policy
from training.plan.activations import MicroBatch, activations
from training.plan.learned import held, learned
from training.plan.memory import update_bytes
from training.plan.shape import ModelShape, model_shape
from training.recipe.stages import SftStage
from training.rollout.protocol import Prompt
from training.runtime import device
from training.sft.train import token_mean_loss

MEGABYTE = 1e6
HEAD_WIDTH = 32  # of the tiny families
# The plan's own tests allow 15 %; a GPU's kernels have workspaces that nobody has measured here.
TOLERANCE = 0.25


@dataclass(frozen=True)
class Size:
    """A random Qwen2.5-VL, and the tokens of its micro-batches."""

    hidden: int
    intermediate: int
    num_layers: int
    vocabulary: int
    tokens: int


SMALL = Size(128, 352, 4, 640, 640)  # a second on a CPU
LARGE = Size(2048, 5632, 16, 32_000, 16_384)  # about 0.9 B parameters, 13 GB with their moments


def memory(machine: Machine) -> Figures:
    """An update of a random model, at ZeRO 0."""
    if machine.num_gpus:
        return machine.measure(update_peak, limit_seconds=300, size="large", dtype="bfloat16")
    return machine.measure(update_peak, limit_seconds=300, size="small", dtype="float32")


def sharded_memory(machine: Machine) -> Figures:
    """The same at ZeRO 2 and 3 over all GPUs, and at ZeRO 2 with the optimizer in host memory.

    On a CPU it would show nothing: DeepSpeed's buckets, of 500 M numbers, are larger than all the
    rest of a model that a CPU learns (tests/training/plan/test_two_ranks.py has smaller ones).
    """
    machine.require_gpus(1, "memory under ZeRO")
    found: Figures = {}
    for zero_stage, offload in ((2, False), (3, False), (2, True)):
        measured = machine.measure(
            update_peak,
            limit_seconds=120,
            num_ranks=machine.num_gpus,
            size="large",
            dtype="bfloat16",
            zero_stage=zero_stage,
            offload=offload,
        )
        kind = f"ZeRO {zero_stage}{', offloaded' * offload}"
        found |= {f"{kind}: {name}": value for name, value in measured.items()}
    return found


def update_peak(size: str, dtype: str, zero_stage: int = 0, *, offload: bool = False) -> Figures:
    """Peak of an update above what the learner holds, measured and planned (MB)."""
    where = device.start(1)
    sizes = LARGE if size == "large" else SMALL
    policy, shape = _new_policy(sizes, dtype)
    learner = new_learner(policy, zero_stage, sizes.tokens, offload=offload)
    batch = _sequences(policy, sizes.tokens // 2, 4 * device.world_size())
    settings = ForwardSettings(with_entropy=True)
    learner.update(batch, token_mean_loss(batch), settings)
    measure = gpu_allocations if where.type == "cuda" else allocations
    gc.collect()
    with measure() as live:
        learner.update(batch, token_mean_loss(batch), settings)
    figures: Figures = {"parameters": shape.total, "format": dtype}
    figures["update, measured, MB"] = live.peak / MEGABYTE
    planned = _planned(shape, sizes, dtype, zero_stage, offload=offload) / MEGABYTE
    figures["update, planned, MB"] = planned
    require_close("the update's peak", live.peak / MEGABYTE, planned, TOLERANCE, figures)
    return figures


def _planned(shape: ModelShape, size: Size, dtype: str, zero_stage: int, *, offload: bool) -> int:
    """By the plan; what stays between updates was there before, and is not measured."""
    stage = SftStage.model_validate(
        {
            "kind": "sft",
            "name": "planned",
            "data": "planned",
            "epochs": 1.0,
            "batch_size": 4,
            "max_length_tokens": size.tokens,
            "optimizer": {"learning_rate": 1e-4},
        }
    )
    parts = held(
        learned(shape, stage),
        dtype=dtype,
        zero_stage=zero_stage,
        num_ranks=device.world_size(),
        offload=offload,
    )
    needed = activations(shape, stage, MicroBatch(size.tokens), dtype=dtype, checkpointing=False)
    return update_bytes(parts, needed) - parts.standing


def _new_policy(size: Size, dtype: str) -> tuple[Policy, ModelShape]:
    processor, config = qwen2_5_vl()
    text = config.get_text_config()
    text.hidden_size, text.intermediate_size = size.hidden, size.intermediate
    text.num_hidden_layers = size.num_layers
    text.layer_types = ["full_attention"] * size.num_layers
    text.num_attention_heads = text.num_key_value_heads = size.hidden // HEAD_WIDTH
    text.vocab_size, text.max_position_embeddings = size.vocabulary, size.tokens
    config.vision_config.out_hidden_size = size.hidden
    torch.manual_seed(0)
    with torch.device(device.current_device()):
        model = AutoModelForImageTextToText.from_config(
            config, attn_implementation=attention.register(), dtype=getattr(torch, dtype)
        )
    model.generation_config = GenerationConfig(eos_token_id=processor.tokenizer.eos_token_id)
    return Policy(model.to(device.current_device()), processor, "Be brief."), model_shape(config)


def _sequences(policy: Policy, length: int, count: int) -> list[TokenSequence]:
    """So many of exactly this length: two micro-batches of two for each process."""
    prompt = encode_prompt(policy, Prompt("?", []))
    generator = torch.Generator().manual_seed(0)
    shape = (count, length - len(prompt.token_ids))
    responses = torch.randint(0, 200, shape, generator=generator)
    return [TokenSequence(prompt, response) for response in responses]
