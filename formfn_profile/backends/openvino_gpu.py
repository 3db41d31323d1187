"""OpenVINO's GPU plugin: Intel's integrated and discrete GPUs."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from formfn_profile.backends.openvino_cpu import OpenVinoCpu, OpenVinoSession
from formfn_profile.errors import BackendError, UnavailableError

_NAME = re.compile(r"GPU(\.\d+)?")
_RENDER_NODES = Path("/dev/dri")


@dataclass(frozen=True)
class OpenVinoGpu(OpenVinoCpu):
    """
    OpenVINO on a GPU: `device` is "GPU" or "GPU.n".

    AUTO, HETERO and MULTI are refused: they succeed without a GPU, on the CPU. The plugin's default is
    f16; f32 is asked for, as of every backend. Threads are the CPU's, and are not set. A `double` is a
    stand-in that tests execute on: it is taken though it states no speed, and its records say what it is.
    """

    device: str = "GPU"
    quantizes: bool = False
    double: bool = False

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.device):
            raise BackendError(
                f"{self.device!r} is not a GPU's name. It must be GPU or GPU.n, in capitals; AUTO, HETERO and"
                " MULTI may run on the CPU without saying so, so they are refused"
            )

    def check_devices(self, core: Any) -> None:
        """Refuse where there is no such GPU, or a driver's stand-in that executes nothing."""
        available = list(core.available_devices)
        any_will_do = self.device in ("GPU", "GPU.0")
        if not any(each == self.device or (any_will_do and each.startswith("GPU")) for each in available):
            raise UnavailableError(
                f"{self.name}: OpenVINO sees no {self.device} here, only {', '.join(available) or 'nothing'}."
                f" {_remedy(available)}"
            )
        if self.double:
            return
        speeds = core.get_property(self.device, "DEVICE_GOPS")
        if not any(speeds.values()):
            raise BackendError(
                f"{self.name}: {self.device} states a speed of 0 operations a second for every precision: it"
                " is a driver's stand-in that executes nothing. Unset the driver's debug keys"
                " (NEOReadDebugKeys, SetCommandStreamReceiver)"
            )

    def session(self, *made: Any) -> OpenVinoSession:
        """Return the session of a compiled model, marked if it is a double's."""
        return _DoubleSession(*made) if self.double else OpenVinoSession(*made)

    def properties(self, threads: int) -> dict[str, object]:  # noqa: ARG002 - the plugin has no such option
        """
        Return what the model is compiled with. This plugin knows no INFERENCE_NUM_THREADS, and takes the
        number of streams as text only.
        """
        return {"NUM_STREAMS": "1"}


class _DoubleSession(OpenVinoSession):
    def facts(self) -> dict[str, object]:
        told = super().facts()
        return told | {"device": f"{told['device']} (a double, not a GPU)"}


def _remedy(available: list[str]) -> str:
    if any(each.startswith("GPU") for each in available):
        return "Take one of these"
    nodes = sorted(_RENDER_NODES.glob("renderD*")) if _RENDER_NODES.is_dir() else []
    if not nodes:
        return f"This machine shows no GPU ({_RENDER_NODES} has no render node)"
    return (
        f"There is {nodes[0]}: install an OpenCL driver (Debian: apt-get install intel-opencl-icd), and see"
        " that this user may open it (group render)"
    )
