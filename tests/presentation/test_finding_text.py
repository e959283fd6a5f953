"""Words for findings: the flags that mend it can be typed, and a moment has what is known of it."""

from __future__ import annotations

import shlex
import subprocess
from typing import Any

import pytest

from jepa_core.presentation.finding_text import counted, flags_of, moment_of
from jepa_core.recipes.writing import value_to_toml
from jepa_core.watch.findings import Finding, Severity


def found(severity: Severity = "info", step: float | None = None, epoch: float | None = None) -> Finding:
    return Finding(name="f", severity=severity, message="m", step=step, epoch=epoch)


@pytest.mark.parametrize(
    ("changes", "flags"),
    [
        ({}, ""),
        ({"optimizer": {"lr": 0.1}}, "--set optimizer.lr=0.1"),
        ({"aggregator": {"kind": "mean"}}, '--set aggregator.kind="mean"'),
        ({"train": {"epochs": 3, "compile": True}}, "--set train.epochs=3 --set train.compile=true"),
        ({"losses": {"odd": {"weight": 0.0}}, "name": "x"}, '--set losses.odd.weight=0.0 --set name="x"'),
    ],
)
def test_changes_are_the_flags_that_make_them(changes: dict[str, Any], flags: str) -> None:
    assert flags_of(changes) == flags
    assert len(shlex.split(flags)) == flags.count("--set") * 2


@pytest.mark.parametrize("text", ["$(touch x); `id`", "two words", "it's", 'a "quoted" one', "$HOME", "a\nb", ""])
def test_a_shell_gives_the_value_back_as_it_is(text: str) -> None:
    shell = ["sh", "-c", f'printf "%s" {flags_of({"optimizer": {"lr": text}}).removeprefix("--set ")}']
    typed = subprocess.run(shell, capture_output=True, text=True, check=True).stdout
    assert typed.removeprefix("optimizer.lr=") in (value_to_toml(text), text)


@pytest.mark.parametrize(
    ("step", "epoch", "text"),
    [
        (None, None, ""),
        (640.0, None, "   step 640"),
        (None, 13.0, "   epoch 13"),
        (640.0, 13.25, "   step 640   epoch 13.2"),
        (0.0, 0.0, "   step 0   epoch 0"),
    ],
)
def test_a_moment_is_told_as_far_as_it_is_known(step: float | None, epoch: float | None, text: str) -> None:
    assert moment_of(found(step=step, epoch=epoch)) == text


@pytest.mark.parametrize(
    ("severities", "text"),
    [
        ([], "0 warnings"),
        (["info"], "0 warnings"),
        (["warning"], "1 warning"),
        (["critical", "critical"], "2 critical · 0 warnings"),
        (["critical", "warning", "warning", "info"], "1 critical · 2 warnings"),
    ],
)
def test_findings_are_counted_and_information_is_none(severities: list[Severity], text: str) -> None:
    assert counted([found(severity) for severity in severities]).plain == text
