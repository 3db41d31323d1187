"""
Fetch Intel's OpenCL runtime for CPUs, which the double executes on, and build the shim before it.

Run: python tests/gpu_double/runtime.py FOLDER
Some 270 MB from the package index, under Intel's licence; nothing of it is part of this project.
"""

from __future__ import annotations

import ctypes.util
import os
import subprocess
import sys
import zipfile
from pathlib import Path

PACKAGES = ("intel-opencl-rt==2026.2.0", "intel-cmplr-lib-rt==2026.2.0", "tbb", "tcmlib", "umf")
DONE = "complete"


def fetch(folder: Path) -> None:
    """Unpack the libraries of the packages into `folder`/lib, and build the shim."""
    if (folder / DONE).exists():
        return
    wheels = folder / "wheels"
    wheels.mkdir(parents=True, exist_ok=True)
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "download", "--quiet", "--no-deps"]
    subprocess.run([*pip, "--dest", wheels, *PACKAGES], check=True)
    library = folder / "lib"
    for wheel in wheels.glob("*.whl"):
        with zipfile.ZipFile(wheel) as packed:
            for name in packed.namelist():
                _, found, inner = name.partition(".data/data/lib/")
                if found and inner and not inner.endswith("/"):
                    target = library / inner
                    target.parent.mkdir(parents=True, exist_ok=True)
                    target.write_bytes(packed.read(name))
    vendors = folder / "vendors"
    vendors.mkdir(exist_ok=True)
    (vendors / "cpu.icd").write_text(f"{library / 'libintelocl.so'}\n")
    shim = Path(__file__).with_name("shim.c")
    subprocess.run(["gcc", "-shared", "-fPIC", "-O1", "-Wall", "-o", folder / "shim.so", shim], check=True)
    (folder / DONE).touch()


def environment(folder: Path) -> dict[str, str]:
    """Return what a process needs to see the double: its TBB and the loader before OpenVINO's own."""
    loader = ctypes.util.find_library("OpenCL") or "libOpenCL.so.1"
    preloaded = (str(folder / "shim.so"), loader, str(folder / "lib" / "libtbb.so.12"))
    return {
        "OCL_ICD_VENDORS": str(folder / "vendors"),
        "LD_LIBRARY_PATH": os.pathsep.join(
            filter(None, [str(folder / "lib"), os.environ.get("LD_LIBRARY_PATH")])
        ),
        "LD_PRELOAD": " ".join(preloaded),
        "CL_CONFIG_CPU_SUB_GROUP_CONSTRUCTION": "2",
    }


if __name__ == "__main__":
    fetch(Path(sys.argv[1]).resolve())
