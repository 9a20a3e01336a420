"""A plan as lines of Markdown, for a terminal and for docs/hardware.md alike."""

from collections.abc import Sequence

from training.plan.machine import GIB, USABLE
from training.plan.memory import CONTEXT, GRAPHS, SAMPLER_ASLEEP
from training.plan.plan import Plan, StagePlan
from training.plan.rows import IMAGE_BYTES, PROMPT_TOKENS, RL_LENGTH, ROW_BYTES, SFT_LENGTH
from training.plan.shape import is_planned
from training.plan.work import LEARNER_SHARE, SAMPLER_SHARE, Range
from training.runtime.rhythm import BETWEEN_KILLS_SECONDS, SAVED_A_SECOND

HOUR = 3600.0
GIGA = 1e9
KIB = 2**10


def plan_lines(plan: Plan, *, gpu_hour_price: float | None = None) -> list[str]:
    """The plan's table and its assumptions.

    Args:
        plan: See `make_plan`.
        gpu_hour_price: Of one GPU for an hour, in any currency.
    """
    recipe, machine, shape = plan.recipe, plan.machine, plan.shape
    names = [one.stage.name for one in plan.stages]
    limit = machine.usable_gpu_memory / GIB
    parts = ", ".join(
        f"{name} {count / GIGA:.3f} B" for name, count in sorted(shape.parameters.items())
    )
    lines = [
        f"{recipe.name}: {shape.total / GIGA:.3f} B parameters ({parts}; the head's "
        f"{shape.head / GIGA:.3f} B {'tied to' if shape.is_tied else 'beside'} the embedding), "
        f"{recipe.model.dtype}, {_placement(plan.stages)}.",
        f"Machine: {machine.num_nodes} x {machine.num_gpus} GPU(s) of {limit:.1f} usable GiB.",
        "",
        _row("GiB a GPU", names),
        _row("---", ["---:"] * len(names)),
        *(
            _row(label, [_gib(value) for value in values])
            for label, values in gpu_rows(plan.stages)
        ),
        _row("share of the GPU", [f"{one.memory.peak / GIB / limit:.0%}" for one in plan.stages]),
        _row("KV cache, tokens", [_count(one.memory.cache_tokens) for one in plan.stages]),
        _row("host of a node, GiB", [_gib(one.memory.host) for one in plan.stages]),
        _row("of it rows, GiB", [_gib(one.memory.data) for one in plan.stages]),
        _row("a step checkpoint, GB", [_gb(one.memory.checkpoint) for one in plan.stages]),
        _row("to write it, seconds", [f"{one.work.save_seconds:,.0f}" for one in plan.stages]),
        _row("save every, minutes", [f"{one.work.every_minutes:,.0f}" for one in plan.stages]),
        _row("a step, seconds at most", [f"{one.work.step_seconds:,.0f}" for one in plan.stages]),
        _row("step checkpoints, at most", [str(one.work.num_saves) for one in plan.stages]),
        _row("scratch, GB", [_gb(one.work.scratch) for one in plan.stages]),
        _row("in the store meanwhile, GB", [_gb(one.work.stored) for one in plan.stages]),
        _row("stays in the store, GB", [_gb(one.work.stays) for one in plan.stages]),
        _row("written to the store, GB", [_gb(one.work.written) for one in plan.stages]),
        _row("updates", [str(one.work.num_updates) for one in plan.stages]),
        _row("sampled, M tokens", [_span(one.work.sampled_tokens, 1e6) for one in plan.stages]),
        _row("learned, M tokens", [_span(one.work.learned_tokens, 1e6) for one in plan.stages]),
        _row("sampler, hours", [_span(one.work.sampler_seconds, HOUR) for one in plan.stages]),
        _row("learner, hours", [_span(one.work.learner_seconds, HOUR) for one in plan.stages]),
    ]
    if gpu_hour_price is not None:
        costs = [_cost(one, one.hardware.num_ranks * gpu_hour_price) for one in plan.stages]
        lines.append(_row("cost", [_span(cost, 1.0) for cost in costs]))
    if plan.sampling:
        lines += ["", *_sampling_lines(plan, gpu_hour_price)]
    return [*lines, "", *_assumptions(plan)]


def _sampling_lines(plan: Plan, gpu_hour_price: float | None) -> list[str]:
    """The table of what samples and learns nothing."""
    stages, limit = plan.sampling, plan.machine.usable_gpu_memory
    names = [one.of.name for one in stages]
    lines = [
        _row("GiB a GPU", names),
        _row("---", ["---:"] * len(names)),
        _row("weights", [_gib(one.weights) for one in stages]),
        _row("sampler awake", [_gib(one.sampler.awake) for one in stages]),
        _row("**peak**", [_gib(one.peak) for one in stages]),
        _row("share of the GPU", [f"{one.peak / limit:.0%}" for one in stages]),
        _row("KV cache, tokens", [_count(one.sampler.cache_tokens) for one in stages]),
        _row("host of a node, GiB", [_gib(one.host) for one in stages]),
        _row("responses", [_count(one.of.responses) for one in stages]),
        _row("sampled, M tokens", [_span(one.sampled_tokens, 1e6) for one in stages]),
        _row("sampler, hours", [_span(one.seconds, HOUR) for one in stages]),
    ]
    if gpu_hour_price is not None:
        prices = [one.hardware.num_ranks * gpu_hour_price / HOUR for one in stages]
        costs = [
            Range(one.seconds.low * price, one.seconds.high * price)
            for one, price in zip(stages, prices, strict=True)
        ]
        lines.append(_row("cost", [_span(cost, 1.0) for cost in costs]))
    return lines


def _placement(stages: Sequence[StagePlan]) -> str:
    """Processes, ZeRO stages and where the optimizer is: once where all stages have the same."""
    placed = {
        one.stage.name: f"{one.hardware.num_ranks} process(es), ZeRO {one.hardware.zero_stage}"
        + ", the optimizer in host memory" * one.hardware.offload_optimizer
        for one in stages
    }
    if len(set(placed.values())) == 1:
        return next(iter(placed.values()))
    return "; ".join(f"{name}: {text}" for name, text in placed.items())


def gpu_rows(stages: Sequence[StagePlan]) -> list[tuple[str, list[int]]]:
    """What each stage takes of a GPU, bytes, row by row."""
    memories = [one.memory for one in stages]
    return [
        ("weights", [one.held.weights for one in memories]),
        ("master weights and moments", [one.held.optimizer for one in memories]),
        ("reference", [one.reference for one in memories]),
        ("gradients", [one.held.gradients for one in memories]),
        ("buckets", [one.held.buckets for one in memories]),
        ("activations", [one.activations.saved for one in memories]),
        ("head, layer or step", [one.work for one in memories]),
        ("sampler awake", [one.sampler for one in memories]),
        ("**peak in an update**", [one.update for one in memories]),
        ("**peak in a rollout**", [one.rollout for one in memories]),
    ]


def _assumptions(plan: Plan) -> list[str]:
    machine, others = plan.machine, plan.recipe.curation.sampled_models
    unknown = "".join(
        f"curation's {one.path}, whose sizes are not known here, "
        for one in others
        if not is_planned(one.path)
    )
    return [
        f"Disk in all, store on this machine: {_gb(plan.disk)} GB; sources are not counted. "
        f"Copies of published models are {_gb(plan.copies)} GB of it.",
        "Curation asks at least as many problems as its sets take, where a source has no "
        "num_problems; of its problems a grader is asked those without a level that a set admits.",
        f"Not counted: {unknown}benchmarks of files without num_problems, and a judge, which "
        "answers behind an endpoint.",
        f"Assumed: usable memory {USABLE:.1%} of the nominal; {CONTEXT / GIB:.0f} GiB for CUDA and "
        f"NCCL; {GRAPHS / GIB:.0f} for vLLM's CUDA graphs, {SAMPLER_ASLEEP / GIB:.0f} for vLLM "
        "asleep; every micro-batch full, and of the "
        "largest images;",
        f"sequences of {SFT_LENGTH[0]:.0%} to {SFT_LENGTH[1]:.0%} (SFT) and responses of "
        f"{RL_LENGTH[0]:.0%} to {RL_LENGTH[1]:.0%} (RL) of the longest, prompts of "
        f"{PROMPT_TOKENS} tokens; of a row {ROW_BYTES / KIB:.0f} KiB in host memory beside its "
        f"tokens, and {IMAGE_BYTES / KIB:.0f} of an image;",
        f"a node writes {SAVED_A_SECOND / GIGA:.0f} GB a second, and is wanted back every "
        f"{BETWEEN_KILLS_SECONDS / HOUR:.0f} hours;",
        f"on {machine.gpu} {LEARNER_SHARE[0]:.0%} to {LEARNER_SHARE[1]:.0%} of peak FLOP/s,",
        f"and {SAMPLER_SHARE[0]:.0%} to {SAMPLER_SHARE[1]:.0%} of the sampler's assumed rate. "
        "No GPU has confirmed any of this.",
    ]


def _cost(one: StagePlan, price: float) -> Range:
    seconds = one.work.learner_seconds, one.work.sampler_seconds
    low, high = (sum(getattr(part, end) for part in seconds) for end in ("low", "high"))
    return Range(low / HOUR * price, high / HOUR * price)


def _row(label: str, cells: Sequence[str]) -> str:
    return f"| {label:<26} | " + " | ".join(f"{cell:>14}" for cell in cells) + " |"


def _gib(value: int) -> str:
    return f"{value / GIB:.1f}" if value else "-"


def _gb(value: int) -> str:
    return f"{value / GIGA:,.1f}"


def _count(value: int) -> str:
    return f"{value:,}" if value else "-"


def _span(of: Range, unit: float) -> str:
    return f"{of.low / unit:,.1f} to {of.high / unit:,.1f}" if of.high else "-"
