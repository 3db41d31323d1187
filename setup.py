"""Build of the CFFI extension and of the sdist; pyproject.toml has everything else of the distribution."""

import gzip
import io
import os
import sysconfig
import tarfile
from pathlib import Path

from setuptools import setup
from setuptools.command.sdist import sdist


class ReproducibleSdist(sdist):
    """With SOURCE_DATE_EPOCH set, the same files give the same archive, whoever packs them, and when."""

    def make_distribution(self) -> None:
        """Make the archive, then pack it again as of that time and nobody's."""
        super().make_distribution()
        epoch = os.environ.get("SOURCE_DATE_EPOCH")
        for archive in map(Path, self.archive_files or ()):
            if epoch:
                archive.write_bytes(packed_again(archive, int(epoch)))


def packed_again(archive: Path, epoch: int) -> bytes:
    """Return a .tar.gz with the same files in the order of their names, without owners or times."""
    out = io.BytesIO()
    with (
        tarfile.open(archive) as old,
        gzip.GzipFile("", "wb", fileobj=out, mtime=epoch) as zipped,
        tarfile.open(fileobj=zipped, mode="w") as new,
    ):
        for member in sorted(old, key=lambda each: each.name):
            member.uid = member.gid = 0
            member.uname = member.gname = ""
            member.mtime = epoch
            member.mode = 0o755 if member.isdir() or member.mode & 0o100 else 0o644
            member.pax_headers = {}
            new.addfile(member, old.extractfile(member) if member.isfile() else None)
    return out.getvalue()


# One wheel serves every Python from 3.10 on, except free-threaded builds, which have no stable ABI.
stable_abi = not sysconfig.get_config_var("Py_GIL_DISABLED")

setup(
    cmdclass={"sdist": ReproducibleSdist},
    cffi_modules=["csrc/perf_event/build.py:ffibuilder"],
    options={"bdist_wheel": {"py_limited_api": "cp310"}} if stable_abi else {},
)
