"""Build of the CFFI extension and of the sdist; pyproject.toml has everything else of the distribution."""

import gzip
import os
import sysconfig
import tarfile
from pathlib import Path

from setuptools import setup
from setuptools.command.sdist import sdist


class ReproducibleSdist(sdist):
    """With SOURCE_DATE_EPOCH set, the same files give the same archive, whoever packs them, and when."""

    def make_archive(  # noqa: D102
        self,
        base_name: str,
        format: str,  # noqa: A002
        root_dir: str | None = None,
        base_dir: str | None = None,
        owner: str | None = None,
        group: str | None = None,
    ) -> str:
        epoch = os.environ.get("SOURCE_DATE_EPOCH")
        if epoch is None or base_dir is None:
            return super().make_archive(base_name, format, root_dir, base_dir, owner, group)
        archive = Path(f"{base_name}.tar.gz")
        archive.parent.mkdir(parents=True, exist_ok=True)

        def anonymous(member: tarfile.TarInfo) -> tarfile.TarInfo:
            member.uid = member.gid = 0
            member.uname = member.gname = ""
            member.mtime = int(epoch)
            member.mode = 0o755 if member.isdir() or member.mode & 0o100 else 0o644
            return member

        with (
            archive.open("wb") as raw,
            gzip.GzipFile("", "wb", fileobj=raw, mtime=int(epoch)) as packed,
            tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as tar,
        ):
            for path in (Path(base_dir), *sorted(Path(base_dir).rglob("*"))):
                tar.add(path, recursive=False, filter=anonymous)
        return str(archive)


# One wheel serves every Python from 3.10 on, except free-threaded builds, which have no stable ABI.
stable_abi = not sysconfig.get_config_var("Py_GIL_DISABLED")

setup(
    cmdclass={"sdist": ReproducibleSdist},
    cffi_modules=["csrc/perf_event/build.py:ffibuilder"],
    options={"bdist_wheel": {"py_limited_api": "cp310"}} if stable_abi else {},
)
