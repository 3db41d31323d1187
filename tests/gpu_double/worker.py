"""A worker that knows the double as a backend of its own."""

import sys

from formfn_profile import backends
from formfn_profile.backends.openvino_gpu import OpenVinoGpu
from formfn_profile.measuring import worker

NAME = "openvino-gpu-double"
DOUBLE = OpenVinoGpu(NAME, double=True)

if __name__ == "__main__":
    backends.BACKENDS[NAME] = DOUBLE
    sys.exit(worker.main())
