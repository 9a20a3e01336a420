"""The one place where a CPU and a GPU differ: device, process group, attention, memory, threads."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, Literal, TypeVar

import numpy as np
import torch
import torch.distributed as dist
from torch.nn.functional import scaled_dot_product_attention

GIBIBYTE = 1024**3
Value = TypeVar("Value")


def current_device() -> torch.device:
    """The device of this process: its own GPU where there is one, else the CPU."""
    if torch.cuda.is_available():
        return torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))
    return torch.device("cpu")


def process_group_backend() -> Literal["gloo", "nccl"]:
    """The collective library that fits the device."""
    return "nccl" if torch.cuda.is_available() else "gloo"


def torch_dtype(name: Literal["float32", "bfloat16"]) -> torch.dtype:
    """The recipe's name of a number format, as torch's."""
    return {"float32": torch.float32, "bfloat16": torch.bfloat16}[name]


def kv_cache_bytes() -> int:
    """Memory that the rollout's KV cache may take, bytes.

    A constant of the machine and not of its momentary load: it decides how prompts are batched,
    and with that the random draws, which must be the same in every run.
    """
    if torch.cuda.is_available():
        return torch.cuda.get_device_properties(current_device()).total_memory // 4
    return 1 * GIBIBYTE


def vllm_settings(memory_fraction: float, max_length_tokens: int) -> dict[str, Any]:
    """What vLLM has to know of this device.

    Args:
        memory_fraction: Of a GPU's memory, for vLLM's weights and KV cache while it is awake.
        max_length_tokens: Of a prompt and its response.
    """
    if torch.cuda.is_available():
        return {"gpu_memory_utilization": memory_fraction, "enable_sleep_mode": True}
    # Compiling the model takes a C++ compiler and minutes. Sleep frees nothing on a CPU.
    # A prompt that is cut into chunks fails there if its draws are seeded ("CPU Generator does not
    # use offset"), so no prompt is.
    return {
        "kv_cache_memory_bytes": kv_cache_bytes(),
        "enforce_eager": True,
        "enable_chunked_prefill": False,
        "max_num_batched_tokens": max(max_length_tokens, 4096),
    }


@contextmanager
def vllm_in_this_process() -> Iterator[None]:
    """Keeps vLLM's CPU build from changing or slowing down the process it shares with the learner.

    It puts a function that only warns in the place of `torch.set_num_threads`, and compiles two
    small kernels with a C++ compiler at the first sample (15 s; a bare machine has no compiler).
    """
    if torch.cuda.is_available():
        yield
        return
    num_threads, set_num_threads = torch.get_num_threads(), torch.set_num_threads
    try:
        with torch.compiler.set_stance("force_eager"):
            yield
    finally:
        torch.set_num_threads = set_num_threads
        torch.set_num_threads(num_threads)


def release_cached_memory() -> None:
    """Hands memory that torch keeps for later back to the GPU, where vLLM can have it."""
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def release_pinned_memory() -> None:
    """Hands the host's memory back where weights have slept: torch keeps it for later, too."""
    if torch.cuda.is_available():
        torch.accelerator.empty_host_cache()


def sort_descending(values: torch.Tensor) -> torch.Tensor:
    """Sorts the last dimension; on CPUs by numpy, whose sort is ten times as fast as torch's."""
    if values.device.type == "cpu":
        return torch.from_numpy(np.sort(values.numpy(), axis=-1)).flip(-1)
    return values.sort(dim=-1, descending=True).values


def largest(values: torch.Tensor, count: int) -> torch.Tensor:
    """The first `count` of `sort_descending`, of each row.

    On CPUs by numpy, row by row: a copy of one row stays in the cache, one of all rows is memory
    that the system has to find first.

    Args:
        values: [R, V].
        count: At most V.
    """
    if values.device.type == "cpu":
        first = values.shape[-1] - count
        parted = [np.partition(row, first)[first:] for row in values.numpy()]
        return sort_descending(torch.from_numpy(np.stack(parted)))
    return values.topk(count, dim=-1).values


def attend(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    mask: torch.Tensor | None,
    scale: float | None,
) -> torch.Tensor:
    """Attention of the few queries of a decoding step.

    On CPUs by two batched products: the fused kernel starts anew for every row and head there,
    which takes three times as long.

    Args:
        query: [R, K, Q, D].
        key: [R, K, S, D].
        value: [R, K, S, D].
        mask: Added to the scores [R, 1, 1, S], boolean, or None.
        scale: What the scores are multiplied by; None for 1 / sqrt(D).
    """
    if query.device.type != "cpu" or mask is None or not mask.is_floating_point():
        return scaled_dot_product_attention(query, key, value, attn_mask=mask, scale=scale)
    rows, heads, _, width = query.shape
    query, key, value = (states.flatten(0, 1) for states in (query, key, value))
    added = mask[:, 0].expand(rows, 1, -1).repeat_interleave(heads, dim=0)
    alpha = width**-0.5 if scale is None else scale
    scores = torch.baddbmm(added, query, key.transpose(1, 2), alpha=alpha)
    attended = scores.float().softmax(-1).to(value.dtype).bmm(value)
    return attended.view(rows, heads, -1, width)


def attend_packed(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    starts: torch.Tensor,
    longest: int,
    scale: float | None,
) -> torch.Tensor:
    """Attention within rows that lie one behind the other, each position to all of its row.

    On GPUs one kernel attends in all rows, in 16-bit formats; elsewhere each row is a call.

    Args:
        query: [T, H, D].
        key: [T, H, D].
        value: [T, H, D].
        starts: Where each row begins, and the end of the last one [R + 1], int32.
        longest: Length of the longest row.
        scale: What the scores are multiplied by; None for 1 / sqrt(D).

    Returns:
        [T, H, D].
    """
    if query.device.type == "cuda" and query.dtype in (torch.bfloat16, torch.float16):
        from torch.nn.attention.varlen import varlen_attn

        packed = varlen_attn(query, key, value, starts, starts, longest, longest, scale=scale)
        assert isinstance(packed, torch.Tensor)  # and not the sums of the scores with it
        return packed
    lengths = starts.diff().tolist()
    rows = (torch.split(each.transpose(0, 1)[None], lengths, 2) for each in (query, key, value))
    attended = [
        scaled_dot_product_attention(q, k, v, scale=scale) for q, k, v in zip(*rows, strict=True)
    ]
    return torch.cat(attended, dim=2)[0].transpose(0, 1)


def start(num_threads: int, collective_timeout_minutes: float = 30.0) -> torch.device:
    """Prepares this process for training: CPU threads, device and process group.

    Under torchrun the group spans all ranks. Without it the process is a group of its own, which
    needs neither a port nor an address.

    Args:
        num_threads: CPU threads for torch's kernels.
        collective_timeout_minutes: How long the ranks wait for one another before they give up.

    Returns:
        The device to train on.
    """
    torch.set_num_threads(num_threads)
    device = current_device()
    if device.type == "cuda":
        torch.cuda.set_device(device)
    if not dist.is_initialized():
        if "RANK" in os.environ:
            timeout = timedelta(minutes=collective_timeout_minutes)
            dist.init_process_group(process_group_backend(), timeout=timeout)
        else:
            os.environ.setdefault("LOCAL_RANK", "0")  # DeepSpeed asks for it
            dist.init_process_group(
                process_group_backend(),
                store=torch._C._distributed_c10d.HashStore(),
                rank=0,
                world_size=1,
            )
    return device


def limit_collectives(timeout_minutes: float) -> None:
    """Sets how long the ranks wait for one another, in every process group that there is by now."""
    for group in dist.distributed_c10d._world.pg_map:
        dist.distributed_c10d._set_pg_timeout(timedelta(minutes=timeout_minutes), group)


def rank() -> int:
    """This process's number among `world_size()`; 0 without a process group."""
    return dist.get_rank() if dist.is_initialized() else 0


def world_size() -> int:
    """How many processes train together; 1 without a process group."""
    return dist.get_world_size() if dist.is_initialized() else 1


def is_first_of_node() -> bool:
    """Whether this process is the one of its node that does what one must; so is rank 0."""
    return os.environ.get("LOCAL_RANK", "0") == "0"


def ranks_of_node() -> int:
    """How many of the processes share this one's node, and its disk."""
    return int(os.environ.get("LOCAL_WORLD_SIZE", world_size()))


def node() -> int:
    """The number of the node that this process is on, from 0."""
    return rank() // ranks_of_node()


def num_nodes() -> int:
    """How many nodes the processes are on; each has as many as the others."""
    return world_size() // ranks_of_node()


def barrier() -> None:
    """Waits until every rank is here."""
    if world_size() > 1:
        dist.barrier()


def add_to_count(name: str, amount: int) -> int:
    """Adds to a number that the processes share, and waits for none of them; returns the sum.

    Args:
        name: Of the number, which starts at 0.
        amount: 0 reads it.
    """
    return dist.distributed_c10d._get_default_store().add(name, amount)


def post(name: str, data: bytes) -> None:
    """Leaves bytes for another process, and waits for nobody.

    Args:
        name: By which it collects them.
        data: At most 8 MiB: torch's store ends a connection that sends more.
    """
    store: Any = dist.distributed_c10d._get_default_store()  # its stub knows of texts alone
    store.set(name, data)


def collect(name: str) -> bytes | None:
    """Takes what was left under a name; None as long as there is nothing."""
    store = dist.distributed_c10d._get_default_store()
    if not store.check([name]):
        return None
    data: bytes = store.get(name)
    store.delete_key(name)
    return data


def is_true_anywhere(here: bool) -> bool:
    """Whether something is so on one rank at least, on every rank; cheaper than gathering."""
    if world_size() == 1:
        return here
    flag = torch.tensor(int(here), device=current_device())
    dist.all_reduce(flag, op=dist.ReduceOp.MAX)
    return bool(flag)


def sum_over_ranks(sums: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Adds scalars up over the ranks, in float64."""
    names = sorted(sums)
    total = torch.stack([sums[name].double() for name in names]).to(current_device())
    if world_size() > 1:
        dist.all_reduce(total)
    return dict(zip(names, total.cpu(), strict=True))


def gather_from_all_ranks(value: Value) -> list[Value]:
    """Every rank's `value`, in order of rank, on every rank.

    The objects travel pickled, between the processes of one run only.
    """
    if world_size() == 1:
        return [value]
    gathered: list[Any] = [None] * world_size()
    dist.all_gather_object(gathered, value)
    return gathered


def send_to_all_ranks(value: Value, sender: int) -> Value:
    """The `value` of one rank, on every rank; it travels as in `gather_from_all_ranks`."""
    sent: list[Any] = [value]
    dist.broadcast_object_list(sent, src=sender)
    received: Value = sent[0]
    return received
