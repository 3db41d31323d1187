"""A module defined in a cell of a notebook, measured, shown as a table, and measured no second time."""

from __future__ import annotations

import pytest

nbclient = pytest.importorskip("nbclient")
nbformat = pytest.importorskip("nbformat")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore"),  # of Jupyter's own
]

CELLS = (
    """
import torch
from torch import nn
import formfn_profile as ff

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.convolution = nn.Conv2d(3, 8, 3)
        self.head = nn.Linear(8, 10)

    def forward(self, x, scale):
        return self.head(self.convolution(x).relu().mean((2, 3))) * scale
""",
    """
torch.manual_seed(0)
net = Net()
inputs = torch.randn(2, 3, 16, 16), torch.tensor([3.0])
how = {"counters": "none", "protocol": ff.Protocol(calls=3, seconds=0, warmup_seconds=0), "progress": False}
results = ff.measure(net, inputs, out="records.jsonl", **how)
results
""",
    "[each.output_error for each in results]",
    "again = ff.measure(net, inputs, out='records.jsonl', **how); again == results, len(again.to_pandas())",
    "results.where(backend='torch')[0].flops == ff.count_flops(net, inputs).flops, net.training",
)


@pytest.fixture(scope="module")
def outputs(tmp_path_factory):
    """The first output of each cell that has one."""
    pytest.importorskip("pandas")
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(each) for each in CELLS])
    folder = tmp_path_factory.mktemp("notebook")
    client = nbclient.NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(folder)}})
    client.execute()
    assert len((folder / "records.jsonl").read_text().splitlines()) == 2
    return [cell.outputs[0].data for cell in notebook.cells if cell.outputs]


def test_the_table_is_shown_as_text_and_as_html(outputs):
    """A row for each backend, FLOPs of one call over the batch (2 x MACs), and what the counts are."""
    text, page = outputs[0]["text/plain"], outputs[0]["text/html"]
    flops = 2 * 2 * (14 * 14 * 8 * 3 * 3 * 3 + 8 * 10)
    assert f"{flops / 1e9:.2f}" in text
    for shown in (text, page):
        assert "networks, batch 2, f32, 1 thread" in shown
        assert all(
            word in shown for word in ("Net", "torch", "openvino-cpu", "Counts: none. None were asked for")
        )
    assert page.startswith('<div class="formfn"><style>')
    assert page.count("<td") == 2 * 14


def test_both_backends_ran_the_module_of_the_cell(outputs):
    """With its weights and the values of its inputs: outputs agree within rounding."""
    errors = eval(outputs[1]["text/plain"])  # noqa: S307 - a list of numbers
    assert len(errors) == 2
    assert all(error < 1e-3 for error in errors)


def test_what_is_measured_is_not_measured_again(outputs):
    assert outputs[2]["text/plain"] == "(True, 2)"


def test_flops_are_those_of_the_records_and_the_module_is_left_as_it_was(outputs):
    assert outputs[3]["text/plain"] == "(True, True)"
