"""Hostile inputs of each kind, made from a seed and handed to the code that reads such.

Each function makes one case in an empty folder. It returns when the code took the case; what the
code refuses on purpose is a `RevisualError`, and everything else is a defect.
"""

import random
from collections.abc import Callable, Mapping
from pathlib import Path

from drills.hostile.answers import answer
from drills.hostile.images import problem_images
from drills.hostile.models import model
from drills.hostile.recipes import recipe
from drills.hostile.stores import store
from drills.hostile.tables import table

Case = Callable[[random.Random, Path], None]
CASES: Mapping[str, Case] = {
    "recipes": recipe,
    "Parquet files": table,
    "images": problem_images,
    "stores": store,
    "answers": answer,
    "models": model,
}
