"""What the tests of networks share: one thread, and a way to run a model through a backend."""

import numpy as np
import pytest
import torch

from formfn_profile import backends


@pytest.fixture(autouse=True)
def _one_thread():
    """Nothing here needs more, and the machine has others to serve."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def session_of(tmp_path_factory):
    """Return a function that prepares and loads a model for a backend and infers once."""

    def load(backend, model, x, threads=1):
        chosen = backends.get(backend)
        session = chosen.load(chosen.prepare(model, x, tmp_path_factory.mktemp("prepared")), threads=threads)
        session.infer()
        return session

    return load


@pytest.fixture
def error_of():
    """Return max|a - b| / max|b|."""

    def error(a, b):
        return float(np.abs(np.asarray(a) - np.asarray(b)).max() / np.abs(np.asarray(b)).max())

    return error
