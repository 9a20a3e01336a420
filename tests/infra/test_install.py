"""Which packages `make install` takes, and when it refuses."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from infra.requirements import choose as choosing
from infra.requirements.choose import choose, driver_version, missing_for_triton

CHOOSE = Path(__file__).parents[2] / "infra" / "requirements" / "choose.py"
LOCK = "nvidia-cuda-runtime==13.0.96 \\\n"


@pytest.mark.parametrize(
    ("wanted", "installed", "driver", "device", "why"),
    [
        ("auto", None, None, "cpu", "no NVIDIA driver answers"),
        ("auto", None, "580.65.06", "cuda", "an NVIDIA driver 580.65.06 answers"),
        ("auto", "cuda", "595.1", "cuda", "an NVIDIA driver 595.1 answers"),
        ("cpu", None, "580.65.06", "cpu", "DEVICE=cpu"),
        ("cuda", None, None, "cuda", "DEVICE=cuda"),  # to build an image where there is no GPU
        ("cuda", "cpu", "580.1", "cuda", "replaces the packages for cpu"),
        ("cpu", "cuda", "535.1", "cpu", "replaces the packages for cuda"),
    ],
)
def test_it_takes_what_the_machine_has_or_the_user_says(wanted, installed, driver, device, why):
    chosen, reason = choose(wanted, installed, driver, LOCK)
    assert chosen == device and why in reason


@pytest.mark.parametrize(
    ("wanted", "installed", "driver", "message"),
    [
        ("gpu", None, None, "it is cpu or cuda"),
        ("auto", None, "535.183.01", "535.183.01 is too old for CUDA 13.0"),
        ("cuda", None, "579.9", "install 580 or newer"),
        ("auto", "cpu", "580.1", "DEVICE=cuda replaces them, DEVICE=cpu keeps them"),
        ("auto", "cuda", None, "DEVICE=cpu replaces them, DEVICE=cuda keeps them"),
    ],
)
def test_it_refuses_to_guess(wanted, installed, driver, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        choose(wanted, installed, driver, LOCK)


@pytest.mark.parametrize(("driver", "device"), [("580.65.06", "cuda"), ("", "cpu")])
def test_the_driver_is_asked_for_its_version(driver, device, tmp_path):
    """With a program that answers as the driver's own does; an empty answer is none."""
    program = tmp_path / "nvidia-smi"
    program.write_text(
        f"#!/bin/sh\n[ -n '{driver}' ] || exit 9\necho '{driver}'\necho '{driver}'\n"
    )
    program.chmod(0o755)
    done = subprocess.run(
        [sys.executable, str(CHOOSE), "auto", str(tmp_path)],
        env={"PATH": f"{tmp_path}:/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == device
    assert ("gpu.txt" if device == "cuda" else "cpu.txt") in done.stderr


@pytest.mark.parametrize(
    ("program", "expected"),
    [
        ("echo 580.65.06; echo 'Unable to determine: GPU is lost'; exit 15", "580.65.06"),
        ("echo 'NVIDIA-SMI has failed because it could not communicate'; exit 9", None),
        (f"exec '{sys.executable}' -c 'import time; time.sleep(30); print(580.1)'", None),
    ],
)
def test_a_driver_that_is_ill_is_not_waited_for(program, expected, tmp_path, monkeypatch):
    """One GPU is lost, the driver is gone, or it hangs: that would hold up the message, too."""
    (tmp_path / "nvidia-smi").write_text(f"#!/bin/sh\n{program}\n")
    (tmp_path / "nvidia-smi").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    if expected is None:
        monkeypatch.setattr(choosing, "ANSWERED_WITHIN_SECONDS", 0.5)
    assert driver_version() == expected


@pytest.mark.parametrize("text", ["cuda", "cpu"])
def test_a_folder_that_holds_the_other_packages_is_left_alone(text, tmp_path):
    (tmp_path / ".device").write_text(f"{text}\n")
    (tmp_path / ".installed").touch()
    done = subprocess.run(
        [sys.executable, str(CHOOSE), "auto", str(tmp_path)],
        env={"PATH": "/nowhere"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode == 0) is (text == "cpu")
    assert (done.stdout == "cpu\n") is (text == "cpu")


def test_what_triton_compiles_with_is_looked_for(tmp_path, monkeypatch):
    """Nothing of it is on a bare machine; a compiler may be named by CC, too."""
    monkeypatch.delenv("CC", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(choosing.sysconfig, "get_paths", lambda _: {"include": str(tmp_path)})
    header = f"python3.{sys.version_info.minor}-dev"
    assert missing_for_triton() == ["gcc", "libc6-dev", header]
    (tmp_path / "Python.h").touch()
    assert missing_for_triton() == ["gcc", "libc6-dev"]
    monkeypatch.setenv("CC", "tcc")
    assert missing_for_triton() == []
    monkeypatch.delenv("CC")
    (tmp_path / "clang").touch()
    (tmp_path / "clang").chmod(0o755)
    assert missing_for_triton() == []
