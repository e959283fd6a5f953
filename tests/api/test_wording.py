"""Refusals that were written for a shell, in the words of Python."""

from __future__ import annotations

import pytest

from jepa_core.api.wording import in_python, in_python_words
from jepa_core.errors import DeviceError


@pytest.mark.parametrize(
    ("shell", "python"),
    [
        ("a.npz is there. Give --force to replace it.", "a.npz is there. Give replace=True to replace it."),
        ("--device cuda:7: only 2", "device='cuda:7': only 2"),
        ("Use --device cpu, or another", "Use device='cpu', or another"),
        ("--device '' is none", "device='' is none"),
        ("Use --step newest.", "Use step='newest'."),
        ("Take another, with --step.", "Take another, with step."),
        ("Use --set train.batch_size=8 or less", 'Use set={"train.batch_size": 8} or less'),
        ("Choose another place with --runs-dir.", "Choose another place with runs_dir."),
        ("given again: --plugin a/b.py", 'given again: plugins=["a/b.py"]'),
        ("--plugin n: expected a file", 'plugins=["n"]: expected a file'),
        ("Go on with: jepa run --resume runs/a-2", 'Go on with: jepa.resume("runs/a-2")'),
        ("my--force.npz and plain text stay", "my--force.npz and plain text stay"),
    ],
)
def test_flags_are_arguments(shell: str, python: str) -> None:
    assert in_python(shell) == python
    assert in_python(python) == python


def test_the_same_error_is_raised_with_its_cause() -> None:
    cause = ValueError("x")
    with pytest.raises(DeviceError, match=r"^device='tpu' is none$") as raised, in_python_words():
        raise DeviceError("--device 'tpu' is none") from cause
    assert raised.value.__cause__ is cause
