# SPDX-License-Identifier: MIT
"""
Notebooks run as they are, show their figures, and are kept without outputs
---------------------------------------------------------------------------
"""

from __future__ import annotations

import ast
import base64
import io
from pathlib import Path

import nbformat
import numpy as np
import pytest
from matplotlib.image import imread
from nbclient import NotebookClient

NOTEBOOKS = sorted((Path(__file__).parents[1] / "notebooks").glob("*.ipynb"))
SECONDS = 120


def read(path):
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    return notebook


def code_cells(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


@pytest.fixture(scope="module", params=NOTEBOOKS, ids=lambda path: path.stem)
def executed(request, tmp_path_factory):
    notebook = read(request.param)
    # A cell that raises ends this with its traceback.
    NotebookClient(
        notebook,
        timeout=SECONDS,
        kernel_name="python3",
        resources={"metadata": {"path": str(tmp_path_factory.mktemp("notebook"))}},
    ).execute()
    return notebook


def test_there_are_notebooks():
    assert len(NOTEBOOKS) == 6


def test_no_cell_complains(executed):
    for cell in code_cells(executed):
        for output in cell.outputs:
            assert output.output_type != "error"
            assert output.get("name") != "stderr", output.text


def test_every_cell_that_ends_in_a_plot_shows_a_figure(executed):
    plotting = [cell for cell in code_cells(executed) if ends_in_a_plot(cell.source)]
    assert plotting
    for cell in plotting:
        (output,) = cell.outputs
        pixels = imread(io.BytesIO(base64.b64decode(output.data["image/png"])), format="png")
        # More than an empty page: many shades of red.
        assert min(pixels.shape[:2]) > 100
        assert len(np.unique(pixels[:, :, 0])) > 10


def ends_in_a_plot(source):
    code = "\n".join(line for line in source.splitlines() if not line.startswith("%"))
    last = ast.parse(code).body[-1]
    return isinstance(last, ast.Expr) and (
        ast.unparse(last).startswith("plots.plot_") or ".plot." in ast.unparse(last)
    )


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_the_repository_holds_no_outputs(path):
    for cell in code_cells(read(path)):
        assert not cell.outputs
        assert cell.execution_count is None


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_code_is_explained_and_short(path):
    cells = read(path).cells
    for before, cell in zip([None, *cells], cells, strict=False):
        if cell.cell_type == "code":
            assert before is not None
            assert before.cell_type == "markdown"
            assert len(cell.source.splitlines()) <= 12
