"""Which lock `make install` takes: `choose.py cpu|cuda|auto FOLDER`, on stdout; why, on stderr.

Runs before anything is installed, so it needs Python alone. `auto` takes the lock for GPUs where an
NVIDIA driver answers. It ends with an error where the driver is too old for the lock's CUDA, and
where the environment in FOLDER holds the other lock and nobody asked for this one by its name.
"""

import re
import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
LOCKS = {"cpu": "cpu.txt", "cuda": "gpu.txt"}
# The first driver that runs programs of a CUDA release (NVIDIA, "CUDA Compatibility").
FIRST_DRIVER = {"11": 450, "12": 525, "13": 580}


def driver_version() -> str | None:
    """Of the NVIDIA driver, such as 580.65.06; None if none answers."""
    program = shutil.which("nvidia-smi")
    if program is None:
        return None
    asked = [program, "--query-gpu=driver_version", "--format=csv,noheader"]
    done = subprocess.run(asked, capture_output=True, text=True, check=False)
    lines = done.stdout.split()
    return lines[0] if done.returncode == 0 and lines else None


def choose(
    wanted: str, installed: str | None, driver: str | None, gpu_lock: str
) -> tuple[str, str]:
    """The device, and why.

    Args:
        wanted: cpu, cuda or auto.
        installed: What the environment holds; None if there is none.
        driver: See `driver_version`.
        gpu_lock: The text of the lock for GPUs.

    Raises:
        ValueError: It can't be, or would replace what is installed without being asked to.
    """
    if wanted not in (*LOCKS, "auto"):
        raise ValueError(f"DEVICE={wanted}: it is cpu or cuda, or left out to be found")
    device = wanted if wanted != "auto" else ("cuda" if driver else "cpu")
    found = f"an NVIDIA driver {driver} answers" if driver else "no NVIDIA driver answers"
    why = f"DEVICE={wanted}, {found}" if wanted != "auto" else found
    runtime = re.search(r"^nvidia-cuda-runtime==(\d+)\.(\d+)", gpu_lock, re.MULTILINE)
    if device == "cuda" and driver and runtime:
        first = FIRST_DRIVER[runtime[1]]
        if int(driver.split(".")[0]) < first:
            raise ValueError(
                f"the driver {driver} is too old for CUDA {runtime[1]}.{runtime[2]} of the lock: "
                f"install {first} or newer, or make install DEVICE=cpu"
            )
    if installed not in (None, device):
        if wanted == "auto":
            raise ValueError(
                f".venv holds the packages for {installed}, but {found}: "
                f"make install DEVICE={device} replaces them, DEVICE={installed} keeps them"
            )
        why += f", and replaces the packages for {installed}"
    return device, why


def main() -> None:
    """Prints the device, or ends with the reason why there is none."""
    wanted, folder = sys.argv[1], Path(sys.argv[2])
    note = folder / ".device"
    was = "cpu" if (folder / ".installed").is_file() else None  # before there was a choice
    installed = note.read_text().strip() if note.is_file() else was
    lock = (HERE / LOCKS["cuda"]).read_text()
    try:
        device, why = choose(wanted, installed, driver_version(), lock)
    except ValueError as error:
        sys.exit(f"make install: {error}")
    sys.stderr.write(f"Installing infra/requirements/{LOCKS[device]}: {why}.\n")
    sys.stdout.write(device + "\n")


if __name__ == "__main__":
    main()
