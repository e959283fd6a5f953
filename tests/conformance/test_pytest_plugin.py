"""The kit in an author's own test run."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.conformance.test_subjects import PLUGIN


def run_pytest(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """pytest in a process and a folder of its own."""
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-rs", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=120)


def run_pytest_here(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *arguments: str
) -> tuple[int, str, str]:
    """pytest with the kit alone in this process, which has loaded what another would first: exit code, output and error
    output."""
    monkeypatch.chdir(folder)
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")  # others' plugins are not made for a session within one
    kit = ("-p", "jepa_core.conformance.pytest_plugin")
    code = pytest.main([*kit, "-p", "no:cacheprovider", "-rs", "--rootdir", str(folder), *arguments])
    out, err = capsys.readouterr()
    return int(code), out, err


def test_one_line_of_configuration_checks_a_component_beside_the_authors_tests(tmp_path: Path) -> None:
    (tmp_path / "plugin_to_check.py").write_text(PLUGIN)
    (tmp_path / "pytest.ini").write_text("[pytest]\naddopts = --jepa-check plugin_to_check.py\n")
    (tmp_path / "test_own.py").write_text("def test_own(): pass\n")
    done = run_pytest(tmp_path, "-k", "own or masked-slots or frozen or halves")
    assert done.returncode == 1, done.stdout + done.stderr
    assert "1 failed, 2 passed, 1 skipped" in done.stdout
    assert "aggregator-sees_masked-masked-slots" in done.stdout
    assert "with 100 instead of zeros in masked slots: state[" in done.stdout
    assert "smallest example: B = 1, T = 1, N = 1" in done.stdout
    assert "it keeps no state outside the gradient" in done.stdout
    assert "Traceback" not in done.stdout


def test_what_a_component_raises_fails_one_test_and_skips_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    raising = PLUGIN.replace("def forward(", "def forward(self, *_): raise KeyError('oops')\n    def unused(")
    (tmp_path / "plugin_that_raises.py").write_text(raising)
    check = ("--jepa-check", "plugin_that_raises.py", "-k", "shapes or finite or rows")
    code, out, _ = run_pytest_here(tmp_path, monkeypatch, capsys, *check)
    assert code == 1
    assert "1 failed, 2 skipped" in out
    assert "it raises KeyError where shapes does" in out


def test_a_component_that_is_not_there_is_a_usage_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    code, _, err = run_pytest_here(tmp_path, monkeypatch, capsys, "--jepa-check", "atention")
    assert code == 4
    assert 'Did you mean "attention' in err


def test_it_loads_nothing_where_it_is_not_used(tmp_path: Path) -> None:
    (tmp_path / "test_own.py").write_text(
        "import sys\ndef test_own():\n    assert 'jepa_core.conformance.pytest_plugin' in sys.modules\n"
        "    assert not {'torch', 'numpy', 'jepa_core.registry'} & set(sys.modules)\n"
    )
    done = run_pytest(tmp_path, "-p", "no:hypothesispytest")
    assert done.returncode == 0, done.stdout
