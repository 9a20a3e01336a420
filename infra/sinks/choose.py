"""The sinks that a recipe names: what each needs, and how it is opened."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from importlib.util import find_spec
from pathlib import Path

from contracts.errors import RecipeError, SettingsError
from infra.sinks.mlflow_server import MlflowServer
from infra.sinks.sink import Sink, SinkRun
from infra.sinks.tensorboard_files import TensorBoardFiles
from infra.sinks.weights_and_biases import WeightsAndBiases

_OFFLINE = ("offline", "dryrun", "disabled")


def check_sinks(names: Sequence[str], environment: Mapping[str, str]) -> None:
    """Checks before a run starts that its sinks could be opened; asks no server.

    Args:
        names: The recipe's `logging.sinks`.
        environment: Variables of this process.

    Raises:
        RecipeError: A sink's package is not installed.
        SettingsError: A variable that it needs is not set.
    """
    for name in names:
        spec = find_spec(name)
        if spec is None or spec.origin is None:  # a mere folder of that name has no origin
            raise RecipeError(
                f"The package {name} is not installed.",
                where=f"logging.sinks = {list(names)}",
                rule="a sink that a recipe names is installed",
                fix=f"install the extra `{name}` (pip install 'revisual[{name}]'), or take it out "
                f"of logging.sinks",
            )
    if "wandb" in names and environment.get("WANDB_MODE") not in _OFFLINE:
        _require(environment, "WANDB_API_KEY", "wandb", "or WANDB_MODE=offline to send it later")
    if "mlflow" in names:
        _require(environment, "MLFLOW_TRACKING_URI", "mlflow", "to the server's address")


def _require(environment: Mapping[str, str], variable: str, sink: str, how: str) -> None:
    if not environment.get(variable):
        raise SettingsError(
            f"{variable} is not set.",
            where=f"environment variable {variable}",
            rule=f"the sink {sink} is told by it where and as whom to write",
            fix=f"set it for the worker, {how}; or take {sink} out of logging.sinks",
        )


def openers(names: Sequence[str], run: SinkRun, home: Path) -> dict[str, Callable[[], Sink]]:
    """What opens each of the sinks, in the order of the recipe.

    Args:
        names: The recipe's `logging.sinks`.
        run: The stage.
        home: Where the project keeps its things on this machine.
    """
    known: dict[str, Callable[[], Sink]] = {
        "tensorboard": partial(TensorBoardFiles, run, home / "tensorboard"),
        "wandb": partial(WeightsAndBiases, run, home / "wandb"),
        "mlflow": partial(MlflowServer, run),
    }
    return {name: known[name] for name in names}
