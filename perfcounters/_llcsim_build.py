"""
Build of llcsim, the Valgrind tool, against the Valgrind that is installed.

A tool is linked with the static libraries of one Valgrind version, so it is built on the
machine that runs it, once, and kept in the user's cache folder under a name made of all
that goes into it.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import platform
import re
import shlex
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from perfcounters import _seal
from perfcounters._cache_folder import cache_folder
from perfcounters._sources import llcsim_sources
from perfcounters.errors import SimulatorBuildError, SimulatorMissingError

if TYPE_CHECKING:
    from collections.abc import Callable

TOOL = "llcsim"
_PLATFORM = "amd64-linux"
_BINARY = f"{TOOL}-{_PLATFORM}"
_INSTALL = "install it: apt-get install valgrind gcc libc6-dev"
_COMPILE = [
    "-std=gnu11",
    "-O2",
    "-Wall",
    "-Wextra",
    "-fno-stack-protector",
    "-fno-pie",
    "-fno-strict-aliasing",
    "-fno-builtin",
    "-DVGA_amd64=1",
    "-DVGO_linux=1",
    "-DVGP_amd64_linux=1",
    "-DVGPV_amd64_linux_vanilla=1",
]
_LINK = ["-no-pie", "-static", "-nodefaultlibs", "-nostartfiles", "-u", "_start", "-Wl,--build-id=none"]
_DEFAULT_LOAD_ADDRESS = "0x58000000"


@dataclass(frozen=True)
class Valgrind:
    """An installed Valgrind with what building a tool needs."""

    program: Path
    version: str
    tools: Path
    headers: Path
    libraries: Path
    load_address: str


def find_valgrind() -> Valgrind:
    """
    Find the Valgrind on the PATH, its tools, headers and libraries.

    Raises:
        SimulatorMissingError: There is none, it lacks parts, or this is not x86-64 Linux.
    """
    if platform.system() != "Linux" or platform.machine() != "x86_64":
        message = (
            f"the cache simulator runs on x86-64 Linux, and this machine is {platform.system()} on"
            f" {platform.machine()}; its hardware counters need no simulator: `python -m perfcounters doctor`"
            " tells what they count"
        )
        raise SimulatorMissingError(message)
    program = shutil.which("valgrind")
    if program is None:
        message = f"the cache simulator needs Valgrind, and no `valgrind` is on the PATH; {_INSTALL}"
        raise SimulatorMissingError(message)
    prefix = Path(program).resolve().parent.parent
    multiarch = prefix / "lib" / "x86_64-linux-gnu"
    libraries = _folder_with(
        f"libcoregrind-{_PLATFORM}.a",
        [multiarch / "valgrind", prefix / "lib" / "valgrind", prefix / "lib64" / "valgrind"],
    )
    tools = _folder_with(
        f"none-{_PLATFORM}",
        [
            prefix / "libexec" / "valgrind",
            multiarch / "valgrind",
            prefix / "lib" / "valgrind",
        ],
    )
    # A Valgrind that was moved would ask the one in its old place.
    environment = {**os.environ, "VALGRIND_LIB": str(tools)}
    done = subprocess.run(
        [program, "--version"], env=environment, capture_output=True, text=True, check=False
    )
    version = done.stdout.strip().removeprefix("valgrind-")
    if done.returncode != 0 or not version:
        message = f"`{program} --version` failed: {(done.stderr or done.stdout).strip()}; {_INSTALL}"
        raise SimulatorMissingError(message)
    return Valgrind(
        program=Path(program),
        version=version,
        tools=tools,
        headers=_folder_with("pub_tool_basics.h", [prefix / "include" / "valgrind"]),
        libraries=libraries,
        load_address=_load_address(libraries.parent / "pkgconfig" / "valgrind.pc"),
    )


def _folder_with(name: str, candidates: list[Path]) -> Path:
    for folder in candidates:
        if (folder / name).exists():
            return folder
    message = (
        f"Valgrind is installed without {name} (looked in"
        f" {', '.join(str(folder) for folder in candidates)}), which the simulator is built with;"
        f" {_INSTALL}"
    )
    raise SimulatorMissingError(message)


def _load_address(pkgconfig: Path) -> str:
    with contextlib.suppress(OSError):
        found = re.search(r"^valt_load_address=(0x[0-9a-fA-F]+)$", pkgconfig.read_text(), re.MULTILINE)
        if found:
            return found[1]
    return _DEFAULT_LOAD_ADDRESS


def ensure_built(progress: Callable[[str], None] | None = None) -> Path:
    """
    Give the folder to name in ``VALGRIND_LIB``, building the tool first where needed.

    Args:
        progress: Told in a sentence when a build (some seconds) starts.

    Raises:
        SimulatorMissingError: No Valgrind, compiler or header; says what to install.
        SimulatorBuildError: The compiler failed, or the cache folder is unusable.
    """
    valgrind = find_valgrind()
    sources = sorted(llcsim_sources().glob("*.[ch]"))
    folder = _private_root() / _fingerprint(valgrind, sources)
    if not (folder / _BINARY).exists():
        compiler = _find_compiler()
        if progress is not None:
            progress(f"building the cache simulator against Valgrind {valgrind.version} (once)")
        _build(valgrind, compiler, [s for s in sources if s.suffix == ".c"], folder)
    _seal.check(folder)
    return folder


def _fingerprint(valgrind: Valgrind, sources: list[Path]) -> str:
    digest = hashlib.sha256()
    for source in sources:
        digest.update(source.name.encode())
        digest.update(source.read_bytes())
    for archive in sorted(valgrind.libraries.glob(f"*-{_PLATFORM}.a")):
        state = archive.stat()
        digest.update(f"{archive} {state.st_size} {state.st_mtime_ns}".encode())
    digest.update(repr((valgrind, _COMPILE, _LINK, _seal.SEAL)).encode())
    return f"{valgrind.version}-{digest.hexdigest()[:20]}"


def _private_root() -> Path:
    """Make the folder for builds where there is none; it and the project's above it are the user's alone."""
    try:
        own = cache_folder()
        own.parent.mkdir(parents=True, exist_ok=True)
        for folder in (own, own / TOOL):
            folder.mkdir(exist_ok=True, mode=0o700)
    except OSError as error:
        message = (
            f"cannot keep the cache simulator in {error.filename or 'a cache folder'}: {error.strerror};"
            " set XDG_CACHE_HOME to a folder that can be written"
        )
        raise SimulatorBuildError(message) from error
    return own / TOOL


def _find_compiler() -> str:
    named = os.environ.get("CC")
    for name in [named] if named else ["gcc", "cc"]:
        if shutil.which(shlex.split(name)[0]):
            return name
    message = (
        f"building the cache simulator needs a C compiler, and {named or 'gcc'} is not on the PATH;"
        f" {_INSTALL}"
    )
    raise SimulatorMissingError(message)


def _build(valgrind: Valgrind, compiler: str, sources: list[Path], folder: Path) -> None:
    """Build in a folder of its own and move it into place whole: others may build at once."""
    try:
        scratch = Path(tempfile.mkdtemp(prefix=".build-", dir=folder.parent))
    except OSError as error:
        message = (
            f"cannot keep the cache simulator in {folder.parent}: {error.strerror};"
            " set XDG_CACHE_HOME to a folder that can be written"
        )
        raise SimulatorBuildError(message) from error
    try:
        for part in valgrind.tools.iterdir():
            (scratch / part.name).symlink_to(part)
        command = [
            *shlex.split(compiler),
            *_COMPILE,
            "-isystem",
            str(valgrind.headers),
            *map(str, sources),
            *_LINK,
            f"-Wl,-Ttext-segment={valgrind.load_address}",
            f"-L{valgrind.libraries}",
            f"-lcoregrind-{_PLATFORM}",
            f"-lvex-{_PLATFORM}",
            "-lgcc",
            "-o",
            str(scratch / _BINARY),
        ]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            lines = [line for line in done.stderr.splitlines() if "error:" in line or "undefined" in line]
            lines.append(done.stderr)
            message = (
                f"the cache simulator did not build against Valgrind {valgrind.version}:"
                f" {lines[0].strip()} (command: {shlex.join(command)})"
            )
            raise SimulatorBuildError(message)
        _seal.seal(scratch)
        with contextlib.suppress(OSError):  # another process was first
            scratch.rename(folder)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
