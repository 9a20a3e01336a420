"""Which lock `make install` takes: `choose.py cpu|cuda|auto FOLDER`, on stdout; why, on stderr.

Runs before anything is installed, so it needs Python alone. `auto` takes the lock for GPUs where an
NVIDIA driver answers. It ends with an error where the driver is too old for the lock's CUDA, and
where the environment in FOLDER holds the other lock and nobody asked for this one by its name.
"""

import os
import re
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

HERE = Path(__file__).parent
LOCKS = {"cpu": "cpu.txt", "cuda": "gpu.txt"}
# The first driver that runs programs of a CUDA release (NVIDIA, "CUDA Compatibility").
FIRST_DRIVER = {"11": 450, "12": 525, "13": 580}
ANSWERED_WITHIN_SECONDS = 30.0  # a driver may take seconds to wake up each of eight GPUs


def ask_driver(query: str) -> list[str]:
    """What `nvidia-smi` tells of each GPU, line by line; nothing without it, or if it hangs.

    Args:
        query: See `nvidia-smi --help-query-gpu`.
    """
    program = shutil.which("nvidia-smi")
    if program is None:
        return []
    asked = [program, f"--query-gpu={query}", "--format=csv,noheader"]
    process = subprocess.Popen(
        asked, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, errors="replace"
    )
    try:
        told, _ = process.communicate(timeout=ANSWERED_WITHIN_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()  # and not waited for: it may hang in the driver, where no signal ends it
        return []
    # It ends with an error where one GPU is lost, and tells of the others; of that one it says so.
    return [line.strip() for line in told.splitlines()]


def driver_version() -> str | None:
    """Of the NVIDIA driver, such as 580.65.06; None if none answers."""
    lines = ask_driver("driver_version")
    return next((line for line in lines if re.fullmatch(r"\d+(\.\d+)+", line)), None)


def too_old(driver: str, cuda: str) -> str:
    """Why a driver cannot run a CUDA release, such as 13.0; empty where it can."""
    first = FIRST_DRIVER[cuda.partition(".")[0]]
    if int(driver.partition(".")[0]) >= first:
        return ""
    return f"the driver {driver} is too old for CUDA {cuda}: install {first} or newer"


def missing_for_triton() -> list[str]:
    """Debian's packages of what Triton compiles kernels with, where it would not find it.

    See triton's `runtime/build.py`: a C compiler, by `CC` or by its name, and Python's headers.
    """
    packages = []
    if not (os.environ.get("CC") or shutil.which("gcc") or shutil.which("clang")):
        packages += ["gcc", "libc6-dev"]
    scheme = sysconfig.get_default_scheme().replace("posix_local", "posix_prefix")
    if not Path(sysconfig.get_paths(scheme)["include"], "Python.h").is_file():
        packages.append(f"python{sys.version_info.major}.{sys.version_info.minor}-dev")
    return packages


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
    fault = too_old(driver, f"{runtime[1]}.{runtime[2]}") if driver and runtime else ""
    if device == "cuda" and fault:
        raise ValueError(f"{fault}, or make install DEVICE=cpu")
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
    if device == "cuda" and (missing := missing_for_triton()):
        sys.stderr.write(
            "Triton compiles its kernels where they run, and finds no compiler or no headers here: "
            f"apt-get install {' '.join(missing)}\n"
        )
    sys.stdout.write(device + "\n")


if __name__ == "__main__":
    main()
