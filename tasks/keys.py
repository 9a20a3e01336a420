"""Stage keys: two stages with one key would produce the same artifact, so it is made once.

A key digests what the stage's result depends on: its section of the resolved recipe, the seed, the
input artifacts' digests and the code. Where the base model lies is left out: its digest counts.
So is the hardware: a stage that two processes began may be finished by one. What differs then is
the order of sums, and in RL which responses are drawn: `docs/resume.md` says how much.
"""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from contracts.artifact import Artifact
from training.recipe.recipe import Recipe, resolved_toml_values


def stage_key(
    recipe: Recipe,
    stage: str,
    inputs: Mapping[str, Artifact],
    *,
    code: str,
    salt: str = "",
) -> str:
    """The key of one stage.

    Args:
        recipe: The resolved recipe.
        stage: `curate`, the name of a training stage, or `evaluate`.
        inputs: Its input artifacts, by the name the stage knows them by; the order counts.
        code: Digest of the code that runs it.
        salt: Keeps a `fresh` run's stages apart from everybody else's.

    Returns:
        64 hex digits.
    """
    content = {
        "stage": stage,
        "recipe": stage_section(recipe, stage),
        "inputs": [[name, artifact.sha256] for name, artifact in inputs.items()],
        "code": code,
        "salt": salt,
    }
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def stage_section(recipe: Recipe, stage: str) -> dict[str, Any]:
    """The part of a recipe that decides a stage's result."""
    values = resolved_toml_values(recipe)
    section = {name: values[name] for name in ("seed", "system_prompt", "model", "rollout")}
    section["model"] = {name: value for name, value in values["model"].items() if name != "path"}
    if stage == "curate":
        return section | {"sources": values["sources"], "curation": values["curation"]}
    if stage == "evaluate":
        return section | {"evaluation": values["evaluation"]}
    return section | {"stage": next(s for s in values["stages"] if s["name"] == stage)}


def name_key(*names: str) -> str:
    """The key of something that is found by its name, such as a run."""
    return hashlib.sha256(json.dumps(names).encode()).hexdigest()
