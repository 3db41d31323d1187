"""
An emulated arm64 machine with a PMU, running Linux and this package.

QEMU's software emulation counts instructions and cycles exactly (`-icount`), so the kernel's own PMU
driver and the whole hardware path can be tested on any machine. What is downloaded, from the package
mirror that this Debian or Ubuntu is set up with, is kept under the user's cache folder.
"""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "formfn-profile" / "emulated"
HOST_TOOLS = ("qemu-system-aarch64", "aarch64-linux-gnu-gcc", "cpio", "apt-get", "dpkg")
HOST_PACKAGES = "qemu-system-arm gcc-aarch64-linux-gnu libc6-dev-arm64-cross cpio"
GUEST_PACKAGES = ("busybox-static", "python3-minimal", "libpython3-dev", "python3-cffi-backend", "libuuid1")
_RESULT = re.compile(r"^RESULT (\{.*\})\s*$", re.MULTILINE)
_SECONDS = 400

_INIT = """#!/bin/busybox sh
/bin/busybox mount -t proc proc /proc
/bin/busybox mount -t sysfs sysfs /sys
/bin/busybox mount -t devtmpfs devtmpfs /dev
/bin/busybox ifconfig lo up
PYTHONPATH=/package:/usr/lib/python3/dist-packages /usr/bin/python3 -S /package/guest.py
echo "GUEST EXIT $?"
/bin/busybox poweroff -f
"""


class NotHereError(Exception):
    """The emulated machine can't be made here; the message says why."""


def _run(*argv, **kwargs):
    done = subprocess.run(list(map(str, argv)), capture_output=True, text=True, check=False, **kwargs)
    if done.returncode:
        raise NotHereError(f"{argv[0]} failed: {done.stderr.strip().splitlines()[-1:]}")
    return done.stdout


def _python_version(root):
    return next(path.name for path in (root / "usr/include").glob("python3.*"))


def guest_root():
    """Give the folder of the unpacked guest system, downloading it the first time."""
    missing = [tool for tool in HOST_TOOLS if shutil.which(tool) is None]
    if missing:
        raise NotHereError(
            f"no {', '.join(missing)}: apt-get install --no-install-recommends {HOST_PACKAGES}"
        )
    root = CACHE / "root"
    if (CACHE / "complete").exists():
        return root
    shutil.rmtree(CACHE, ignore_errors=True)
    for folder in ("state/lists/partial", "cache/archives/partial", "debs", "root"):
        (CACHE / folder).mkdir(parents=True)
    (CACHE / "status").touch()
    settings = CACHE / "apt.conf"
    settings.write_text(
        'APT::Architecture "arm64"; APT::Architectures { "arm64"; };\n'
        'APT::Sandbox::User "";\n'
        f'Dir::State "{CACHE}/state"; Dir::Cache "{CACHE}/cache"; Dir::State::status "{CACHE}/status";\n'
    )
    environment = {**os.environ, "APT_CONFIG": str(settings)}
    _run("apt-get", "-qq", "update", env=environment)
    depends = _run("apt-cache", "depends", "linux-image-cloud-arm64", env=environment)
    found = re.search(r"Depends: (linux-image-\S+)", depends)
    if found is None:
        raise NotHereError("this distribution has no linux-image-cloud-arm64")
    closure = _run(
        "apt-get",
        "-qq",
        "--print-uris",
        "--no-install-recommends",
        "install",
        *GUEST_PACKAGES,
        env=environment,
    )
    names = {line.split()[1].split("_")[0] for line in closure.splitlines() if line.startswith("'")}
    _run("apt-get", "-qq", "download", found[1], *sorted(names), env=environment, cwd=CACHE / "debs")
    for package in (CACHE / "debs").glob("*.deb"):
        _run("dpkg", "-x", package, root)
    (CACHE / "complete").touch()
    return root


def _build(root, folder):
    """Cross-compile the extension, put the package and the system together, pack them."""
    version = _python_version(root)
    package = folder / "tree" / "package"
    shutil.copytree(
        ROOT / "perfcounters", package / "perfcounters", ignore=shutil.ignore_patterns("*.so", "__pycache__")
    )
    shutil.copy(Path(__file__).with_name("guest.py"), package)
    source = folder / "_perf.c"
    build = (
        "import runpy, sys; runpy.run_path('csrc/perf_event/build.py')['ffibuilder'].emit_c_code(sys.argv[1])"
    )
    _run(sys.executable, "-c", build, source, cwd=ROOT)
    csrc = ROOT / "csrc" / "perf_event"
    _run(
        *("aarch64-linux-gnu-gcc", "-shared", "-fPIC", "-O2", "-std=gnu11", f"-I{csrc}"),
        *(f"-I{root}/usr/include/{version}", f"-I{root}/usr/include/aarch64-linux-gnu/{version}"),
        *(f"-I{root}/usr/include", source, *csrc.glob("*.c"), "-o", package / "perfcounters/_perf.abi3.so"),
    )
    tree = folder / "tree"
    for name in ("bin", "lib", "lib64", "usr/bin", "usr/lib"):
        if (root / name).exists():
            skip = shutil.ignore_patterns("modules", "*.a", "config-*", "test", "idlelib", "lib2to3", "*.pyc")
            shutil.copytree(root / name, tree / name, symlinks=True, ignore=skip, dirs_exist_ok=True)
    for name in ("proc", "sys", "dev", "tmp", "etc"):
        (tree / name).mkdir(exist_ok=True)
    (tree / "init").write_text(_INIT)
    (tree / "init").chmod(0o755)
    packed = folder / "initrd.gz"
    with packed.open("wb") as out:
        find = subprocess.run(["find", "."], cwd=tree, capture_output=True, check=True)
        cpio = subprocess.run(
            ["cpio", "-o", "-H", "newc", "--quiet"],
            cwd=tree,
            input=find.stdout,
            capture_output=True,
            check=True,
        )
        subprocess.run(["gzip", "-1"], input=cpio.stdout, stdout=out, check=True)
    return packed


def run(folder):
    """
    Boot the machine, run guest.py in it, and give its results by name.

    Raises:
        NotHereError: QEMU, the compiler or the packages can't be had.
    """
    root = guest_root()
    initrd = _build(root, folder)
    kernel = next((root / "boot").glob("vmlinuz-*"))
    done = subprocess.run(
        [
            *(
                "qemu-system-aarch64",
                "-M",
                "virt,gic-version=3",
                "-cpu",
                "neoverse-n1",
                "-smp",
                "1",
                "-m",
                "1024",
            ),
            *(
                "-icount",
                "shift=1,sleep=off",
                "-nographic",
                "-nic",
                "none",
                "-no-reboot",
                "-kernel",
                str(kernel),
            ),
            *("-initrd", str(initrd), "-append", "console=ttyAMA0 quiet panic=-1 rdinit=/init"),
        ],
        capture_output=True,
        text=True,
        errors="replace",
        timeout=_SECONDS,
        stdin=subprocess.DEVNULL,
        check=False,
    )
    results = [json.loads(line) for line in _RESULT.findall(done.stdout)]
    return {result.pop("name"): result for result in results}, done.stdout
