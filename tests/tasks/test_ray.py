"""Whole stages on a real Ray: on two nodes that share only a store, killed, cancelled, gone on."""

import os
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from contracts.errors import PreflightError
from drills.disturbed import Stage, StageName, Watcher, new_recipe
from infra.cluster.executor import check_cluster
from infra.seaweed import free_ports
from tasks.placement import placement_of
from tests.noisy import LINES_PER_RESPONSE
from tests.ray_cluster import PRIVATE, RayCluster, ray_cluster
from training.recipe.recipe import Recipe, parse_recipe

pytest.importorskip("ray")
pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]
NUM_RL_STEPS = 4


@pytest.fixture(scope="module")
def cluster() -> Iterator[RayCluster]:
    # Ray's sockets lie in it: its name must be short.
    with (
        tempfile.TemporaryDirectory(prefix="ray-", ignore_cleanup_errors=True) as folder,
        ray_cluster(Path(folder)) as cluster,
        pytest.MonkeyPatch.context() as patch,
    ):
        for name, value in cluster.environment.items():
            patch.setenv(name, value)
        yield cluster


def recipe(name: StageName, changes: dict[str, Any] | None = None, **hardware: object) -> Recipe:
    """A small recipe on some hardware, whose RL is short, and says much."""
    values = new_recipe(name).model_dump(mode="json")
    values["hardware"] |= hardware
    values["stages"][1] |= {
        "num_steps": NUM_RL_STEPS,
        "rewards": [{"kind": "custom", "function": "tests.noisy:reward"}],
    }
    return parse_recipe(values | (changes or {}), where="tests")


class Display(Watcher):
    """Acts on a step, and on a retry."""

    def __init__(self, on_step: Callable[[int], None], on_retry: Callable[[], None]) -> None:
        super().__init__(on_step)
        self._on_retry = on_retry

    def show_retry(self, title: str, why: str) -> None:
        super().show_retry(title, why)
        self._on_retry()


@pytest.mark.fault(
    "a node of a stage dies",
    "all its processes end; the stage is tried again from its newest checkpoint; same bytes",
)
def test_a_stage_outlives_a_node_and_ends_with_the_bytes_of_two_local_processes(cluster, tmp_path):
    here = Stage(tmp_path / "here", str(tmp_path / "store-here"), num_processes=2)
    expected = here.weights(here.make())

    on_two = {"executor": "ray", "address": cluster.address, "nodes": 2}
    asked = recipe("cold_start", **on_two, retries=1)
    stage = Stage(tmp_path / "there", str(tmp_path / "store"), recipe=asked)
    assert stage.key == here.key
    killed_after, killed_at = list[int](), list[float]()

    def kill_once(step: int) -> None:
        if not killed_after and (steps := stage.store.steps(stage.key)):
            killed_after.append(steps[-1])
            killed_at.append(time.monotonic())
            cluster.kill()

    def replace() -> None:
        print(f"noticed after {time.monotonic() - killed_at[0]:.1f} s")
        deadline = time.monotonic() + 60
        while cluster.ranks():
            assert time.monotonic() < deadline
            time.sleep(0.1)
        print(f"all gone after {time.monotonic() - killed_at[0]:.1f} s")
        cluster.add()

    display = Display(kill_once, replace)
    assert stage.weights(stage.make(display)) == expected
    assert len(killed_after) == 1
    (retry,) = [said for said in display.said if said.startswith("Retry 1 of 1 of cold_start")]
    assert "node 1 is lost" in retry or "node 0 is lost" in retry
    (resumed,) = [line for line in display.lines if "Resumed after step" in line]
    assert int(resumed.split("step ")[1].split(",")[0]) >= killed_after[0]
    assert "saved by 2 rank(s)" in resumed
    assert stage.store.steps(stage.key) == []
    # Nothing but a killed node's scratch is left, and no input was fetched by anybody else.
    assert not list((tmp_path / "there").glob("home/cache/*"))
