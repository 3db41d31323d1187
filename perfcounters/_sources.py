"""Where the simulator's C sources are: in the installed package, or in the checkout."""

from __future__ import annotations

from pathlib import Path


def llcsim_sources() -> Path:
    """Give the folder of llcsim's sources, from the wheel or from ``csrc`` of a checkout."""
    package = Path(__file__).parent
    installed = package / "llcsim_src"
    return installed if installed.is_dir() else package.parent / "csrc" / "llcsim"
