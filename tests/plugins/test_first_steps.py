"""From an empty folder to a trained run with a component of one's own, by the printed instructions alone."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from tests.plugins.installing import pip_install, run_jepa, run_python


@pytest.mark.slow
def test_the_printed_instructions_work_as_they_stand(tmp_path: Path) -> None:
    site, empty = tmp_path / "site", tmp_path / "empty"
    empty.mkdir()
    written = run_jepa(site, empty, "plugins", "new", "mine", "--family", "loss", "--name", "mine")
    assert written.returncode == 0, written.stderr
    change_folder, install, check, train = [
        shlex.split(line) for line in re.findall(r"^  (.*)$", written.stdout, re.MULTILINE)
    ]
    folder = empty / change_folder[1]
    assert install == ["pip", "install", "-e", "."]
    pip_install(folder, site)
    checked = run_jepa(site, folder, *check[1:])
    assert checked.returncode == 0, checked.stdout + checked.stderr
    own_tests = run_python(site, folder, "-m", "pytest", "-q", "-p", "no:cacheprovider")
    assert own_tests.returncode == 0, own_tests.stdout
    trained = run_jepa(site, folder, *train[1:], "--device", "cpu")
    assert trained.returncode == 0, trained.stdout + trained.stderr
    assert "Verdict" in trained.stdout
