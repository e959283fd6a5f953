"""Whose fault an error is that nobody has foreseen: no plugin is blamed that had no part in it."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from jepa_core.cli import main
from jepa_core.discovery.blame import plugin_at_fault
from jepa_core.registry import PluginChoice, discover
from tests.plugins.distributions import COMPONENT, PREFIX, SitePackages, on_the_path

FAILING = (
    COMPONENT
    + """
def fail(): raise ArithmeticError("broke")
"""
)


def caught(what: Callable[[], object]) -> BaseException:
    with pytest.raises(Exception) as found:  # whatever it is
        what()
    return found.value


@pytest.fixture
def installed_fail(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], object]:
    on_the_path(tmp_path / "site", monkeypatch).put("frail", FAILING.replace("{kind}", "frail"))
    fail: Callable[[], object] = importlib.import_module(f"{PREFIX}frail").fail
    return fail


def of_local_file(folder: Path) -> Callable[[], object]:
    (folder / "mine.py").write_text(FAILING.replace("{kind}", "mine"))
    registry = discover(choice=PluginChoice(files=(folder / "mine.py",)))
    component = registry.get("aggregator", "mine")
    assert component is not None
    fail: Callable[[], object] = sys.modules[component.config_class.__module__].fail
    return fail


def ours() -> object:
    raise KeyError("ours")


def test_the_plugin_whose_code_ran_is_at_fault(tmp_path: Path, installed_fail: Callable[[], object]) -> None:
    assert plugin_at_fault(caught(installed_fail)) == "jepa-frail"
    assert plugin_at_fault(caught(of_local_file(tmp_path))) == str(tmp_path / "mine.py")


def test_what_an_error_was_raised_from_counts_and_an_error_of_ours_blames_nobody(
    installed_fail: Callable[[], object],
) -> None:
    def then_ours() -> None:
        try:
            installed_fail()
        except ArithmeticError:
            ours()

    assert plugin_at_fault(caught(then_ours)) == "jepa-frail"
    assert plugin_at_fault(caught(ours)) == ""


def test_the_last_line_of_a_traceback_names_whose_fault_it_is(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    installed_fail: Callable[[], object],
) -> None:
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)
    with pytest.raises(SystemExit):
        main(["--version"])
    said = {}
    at = FAILING.splitlines().index('def fail(): raise ArithmeticError("broke")') + 1
    fails = {"plugin": installed_fail, "file": of_local_file(tmp_path), "ours": ours, "own": installed_fail}
    for name, what in fails.items():
        if name == "own":
            SitePackages(tmp_path / "site").make_editable("frail")
        error = caught(what)
        capsys.readouterr()
        sys.excepthook(type(error), error, error.__traceback__)
        said[name] = capsys.readouterr().err.splitlines()[-1]
    assert said == {
        "plugin": "Exit code 1: a fault of the plugin jepa-frail: please tell its author.",
        "file": f"Exit code 1: a fault of the plugin {tmp_path}/mine.py: correct {tmp_path}/mine.py:{at}.",
        "own": f"Exit code 1: a fault of the plugin jepa-frail: correct {tmp_path}/site/{PREFIX}frail.py:{at}.",
        "ours": "Exit code 1: a fault of the program itself: please tell its author.",
    }
