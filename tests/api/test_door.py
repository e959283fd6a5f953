"""What `import jepa_core as jepa` offers, and what it costs."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import jepa_core as jepa


def test_the_names_are_these() -> None:
    assert jepa.__all__ == [
        "Embedded",
        "JepaError",
        "Metrics",
        "Model",
        "Recipe",
        "Run",
        "__version__",
        "evaluate",
        "load",
        "open_run",
        "recipe",
        "resume",
        "runs",
        "train",
        "verdict",
    ]
    assert set(jepa.__all__) <= set(dir(jepa))


@pytest.mark.parametrize("name", jepa.__all__)
def test_every_name_is_there_and_says_what_it_is(name: str) -> None:
    offered = getattr(jepa, name)
    if name != "__version__":
        assert offered.__doc__
        assert offered.__module__.startswith("jepa_core.")


def test_another_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'jepa_core' has no attribute 'trian'"):
        jepa.trian  # noqa: B018


def test_importing_it_and_reading_a_run_loads_nothing_heavy(tmp_path: Path) -> None:
    script = (
        "import sys, jepa_core as jepa\n"
        "heavy = lambda: sorted({'torch', 'textual', 'rich', 'pandas'} & sys.modules.keys())\n"
        "assert not heavy(), heavy()\n"
        "assert jepa.runs('nowhere') == []\n"
        "assert not heavy(), heavy()\n"
        "import random; before = random.getstate()\n"
        "jepa.recipe('digits')\n"
        "assert random.getstate() == before\n"
        "assert 'torch' in heavy()\n"
        "assert 'textual' not in heavy()\n"
        "import jepa_core.recipes.reading\n"
        "assert callable(jepa.recipe)\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True, cwd=tmp_path)
