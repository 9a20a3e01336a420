"""SIGKILL at random and at chosen moments, until a stage has had enough; then it must be whole."""

import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal

from contracts.artifact import Artifact
from drills.attempts import Aim, Attempt, Result, kill, result
from drills.disturbed import NUM_STEPS, Stage, StageName
from drills.fault_table import Row
from infra.manifest import MANIFEST

MADE_BY = "`drills/kills.py`"
MAX_SECONDS_LOST = 30.0
NAMES = {
    "curate": "curation",
    "cold_start": "SFT",
    "multimodal_rl": "multimodal RL",
    "text_rl": "text RL",
    "evaluate": "evaluation",
}


@dataclass(frozen=True)
class Campaign:
    """One stage, on some processes and some store, killed at every aim."""

    stage: StageName
    num_processes: int
    store: Literal["local store", "SeaweedFS"]

    @property
    def name(self) -> str:
        ranks = "one rank" if self.num_processes == 1 else "two ranks"
        return f"{NAMES[self.stage]}, {ranks}, {self.store}"


CAMPAIGNS = (
    Campaign("cold_start", 1, "SeaweedFS"),
    Campaign("multimodal_rl", 1, "SeaweedFS"),
    Campaign("text_rl", 1, "local store"),
    Campaign("cold_start", 2, "local store"),
    Campaign("multimodal_rl", 2, "local store"),
    Campaign("text_rl", 2, "SeaweedFS"),
    Campaign("curate", 1, "local store"),
    Campaign("evaluate", 2, "SeaweedFS"),
)


@cache
def undisturbed(stage: StageName, num_processes: int) -> Result:
    """What a stage makes that nobody disturbs; made once."""
    with TemporaryDirectory() as folder:
        whole = Stage(Path(folder), f"{folder}/store", stage, num_processes)
        made = result(whole, whole.make())
        if stage in NUM_STEPS:
            assert made.steps == list(range(1, NUM_STEPS[stage] + 1))
        return made


def killed(
    campaign: Campaign, folder: Path, uri: str, aims: Sequence[Aim], draw: random.Random
) -> Row:
    """Kills a stage once for every aim, and lets it end.

    Args:
        campaign: The stage, its processes and its store.
        folder: For its files.
        uri: The store.
        aims: When to kill it, in any order.
        draw: Chooses the order and the moments.
    """
    expected = undisturbed(campaign.stage, campaign.num_processes)
    stage = Stage(folder, uri, campaign.stage, campaign.num_processes)
    left, hits, went_on = draw.sample(aims, len(aims)), Counter[Aim](), list[int]()
    seconds_lost, before = [0.0], None
    while True:
        with Attempt(stage) as attempt:
            hit = kill(attempt, left[0], draw) if left else None
            attempt.wait()
            went_on.append(attempt.went_on_after)
        if before is not None:
            seconds_lost.append(before.seconds_lost(went_on[-1]))
        if not left:
            break
        if hit is None:  # it was done before the moment came, and begins again
            assert attempt.wait() == 0, attempt.said[-30:]
            stage.store.backend.remove(f"keys/{stage.key}")
            before = None
            continue
        before = attempt
        hits[hit] += 1
        if hit == left[0]:
            left.pop(0)
    outcome, good = compared(expected, stage)
    kept = ", ".join(map(str, went_on))
    if campaign.stage in NUM_STEPS:
        began = f"went on after steps {kept} of {NUM_STEPS[campaign.stage]}"
    else:
        began = (
            f"went on with {kept} of {expected.steps[-1]} responses, "
            f"lost at most {max(seconds_lost):.0f} s of sampling at a time"
        )
        good = good and max(seconds_lost) <= MAX_SECONDS_LOST
    return Row(
        f"SIGKILL: {campaign.name}",
        f"{hits.total()}: " + ", ".join(f"{count} {aim}" for aim, count in hits.items()),
        f"{began}; {outcome}; {len(half_uploads(stage))} half uploads in the store, none read",
        MADE_BY,
        good,
    )


def compared(expected: Result, stage: Stage) -> tuple[str, bool]:
    """In words, whether a stage ended like the undisturbed one."""
    artifact: Artifact | None = stage.store.find(stage.key)
    if artifact is None:
        return "it did not end", False
    made = result(stage, artifact)
    different = [
        name for name in ("files", "metrics") if getattr(made, name) != getattr(expected, name)
    ]
    if different:
        return f"other {' and '.join(different)} than undisturbed", False
    if stage.name in NUM_STEPS:
        return "same bytes, same metrics of every step, once each", True
    return "same bytes, same counts of verdicts", True


def half_uploads(stage: Stage) -> set[str]:
    """Prefixes in the store without a manifest."""
    names = stage.store.backend.sizes("artifacts")
    whole = {name.rpartition("/")[0] for name in names if name.endswith(f"/{MANIFEST}")}
    return {"/".join(name.split("/")[:2]) for name in names} - whole
