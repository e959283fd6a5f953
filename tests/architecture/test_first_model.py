"""`docs/first-model.ipynb` runs in a notebook kernel, and leaves the kernel as it was."""

from __future__ import annotations

import re
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

NOTEBOOK = Path(__file__).parents[2] / "docs" / "first-model.ipynb"
SMALL = 'jepa.recipe("digits", set={"train.epochs": 1, "data.num_sequences": 1000})'
STATE = """
import json, random, signal
import numpy as np, torch
print(json.dumps([hash(random.getstate()), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist(),
    str(torch.get_default_dtype()), torch.get_num_threads(), torch.is_grad_enabled(),
    torch.are_deterministic_algorithms_enabled(), torch.backends.cudnn.benchmark,
    torch.get_float32_matmul_precision(), [str(signal.getsignal(number)) for number in (2, 10, 15)]]))
"""


def text_of(output: nbformat.NotebookNode) -> str:
    """Of what a cell printed, displayed or came to."""
    return str(output.get("text", output.get("data", {}).get("text/plain", "")))


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # of the notebook's client and its sockets
def test_the_notebook_runs_in_a_kernel_twice_and_leaves_it_as_it_was(tmp_path: Path) -> None:
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    sources = [cell.source for cell in notebook.cells if cell.cell_type == "code"]
    assert 'jepa.recipe("digits")' in sources[0]
    sources[0] = sources[0].replace('jepa.recipe("digits")', SMALL)
    failing = "try:\n    jepa.train('nothing-like-it')\nexcept jepa.JepaError as error:\n    print(error)"
    cells = [STATE, *sources, failing, *sources, STATE]
    executed = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source) for source in cells])
    NotebookClient(executed, timeout=300, resources={"metadata": {"path": str(tmp_path)}}).execute()
    texts = ["".join(map(text_of, cell.outputs)) for cell in executed.cells]
    assert texts[0] == texts[-1]
    assert len(texts[0]) > 1000
    assert "Verdict: " in "".join(texts)
    assert re.search(r"embeddings 0\.\d\d\npixels     0\.\d\d", "".join(texts))
    assert (tmp_path / "digits.npz").is_file()
