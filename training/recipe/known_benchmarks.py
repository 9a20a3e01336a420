"""Items of the shipped benchmarks, as they were published (docs/benchmarks.md)."""

from collections.abc import Mapping

ITEMS: Mapping[str, int] = {
    "mathverse": 3940,
    "mathvision": 3040,
    "mathvista": 1000,
    "dynamath": 5010,
    "we-math": 1740,
    "logicvista": 448,
    "aime24": 30,
    "aime25": 30,
    "gpqa-diamond": 198,
    "math-500": 500,
}
