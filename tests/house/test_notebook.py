"""The example notebook runs in a kernel of its own, from top to bottom, and every cell shows what it should."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

pytestmark = pytest.mark.check

NOTEBOOK = Path(__file__).resolve().parents[2] / "examples" / "notebook.ipynb"
# In a process of its own: Jupyter's libraries warn, and warnings are errors here.
RUN = """
import sys
import nbformat
from nbclient import NotebookClient

notebook = nbformat.read(sys.argv[1], as_version=4)
nbformat.validate(notebook)
NotebookClient(notebook, timeout=300, kernel_name="python3").execute()
nbformat.write(notebook, sys.argv[2])
"""


def test_the_notebook_runs(tmp_path: Path, environment: Callable[..., dict[str, str]]) -> None:
    # Jupyter's own files stay out of the home
    env = environment(TMPDIR=str(tmp_path), JUPYTER_RUNTIME_DIR=str(tmp_path), IPYTHONDIR=str(tmp_path),
                      PYDEVD_DISABLE_FILE_VALIDATION="1")  # fmt: skip
    done = tmp_path / "done.ipynb"
    ran = subprocess.run([sys.executable, "-W", "ignore", "-c", RUN, str(NOTEBOOK), str(done)], cwd=tmp_path, env=env,
                         capture_output=True, encoding="utf-8", check=False)  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    cells = [cell for cell in json.loads(done.read_text(encoding="utf-8"))["cells"] if cell["cell_type"] == "code"]
    assert len(cells) >= 6 and all(cell["outputs"] for cell in cells)
    said = "".join(str(cell["outputs"]) for cell in cells)
    assert "sha256:a14d951235151dc31303baf915389a4687e3db430f66b2ec0625417d5970b2d0" in said  # the demo's, as listed
    assert "targets=()" in said  # a question has no answer
    assert "image/svg+xml" in cells[-1]["outputs"][-1]["data"]


def test_the_notebook_is_kept_without_outputs() -> None:
    cells = json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]
    assert not any(cell.get("outputs") or cell.get("execution_count") for cell in cells)
