"""The audit at the start of a run, and the command."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import orjson
import pytest

from jepa_core.audit.auditing import audit_recipe
from jepa_core.audit.brief import brief_audit
from jepa_core.cli import main
from jepa_core.recipes.tables import Recipe
from tests.audit.recipes import COMPUTE, LengthAfterNormalising, ScaledLossConfig, data_of, repeated, with_loss

RecipeMaker = Callable[..., Recipe]


def call(*arguments: object) -> int:
    with pytest.raises(SystemExit) as caught:
        main([str(argument) for argument in arguments])
    return int(caught.value.code or 0)


ENOUGH_TASKS = "data.validation_share=0.5"
"""Ten of the tiny recipe's twenty tasks validate."""


def test_sound_recipes_are_told_what_is_in_order(tiny_recipe: RecipeMaker) -> None:
    recipe = tiny_recipe(ENOUGH_TASKS)
    findings = brief_audit(recipe, data_of(recipe), COMPUTE, 60.0)  # whatever else this machine does
    assert {finding.name for finding in findings} == {"aggregator matters", "losses reach the encoder"}
    assert {finding.severity for finding in findings} == {"info"}
    (matters,) = (finding for finding in findings if finding.name == "aggregator matters")
    assert matters.message.endswith("with a mean in its place, untrained.")


def test_copies_and_dead_losses_come_first(tiny_recipe: RecipeMaker) -> None:
    recipe = with_loss(tiny_recipe(), "odd", ScaledLossConfig(module=LengthAfterNormalising))
    findings = brief_audit(recipe, repeated(data_of(recipe)), COMPUTE, 60.0)
    assert [finding.name for finding in findings if finding.severity == "critical"] == [
        "aggregator without effect",
        "losses.odd constant",
    ]


def test_a_batch_that_the_system_would_end_the_process_for_is_critical(
    tiny_recipe: RecipeMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = tiny_recipe(ENOUGH_TASKS)
    monkeypatch.setattr("jepa_core.audit.step_audit.host_memory", lambda: 2**10)
    first = brief_audit(recipe, data_of(recipe), COMPUTE, 60.0)[0]
    assert (first.name, first.severity) == ("out of memory", "critical")


def test_without_time_only_the_data_is_looked_at(tiny_recipe: RecipeMaker) -> None:
    recipe = tiny_recipe(ENOUGH_TASKS)
    started = time.perf_counter()
    assert brief_audit(recipe, data_of(recipe), COMPUTE, budget_seconds=0.0) == ()
    assert time.perf_counter() - started < 3


def test_the_command_prints_effects_figures_and_findings(
    tiny_recipe_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call("audit", tiny_recipe_file, "--set", ENOUGH_TASKS, "--device", "cpu") == 0
    lines = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    assert lines[0].startswith("tiny on 120 traces")
    for start in ("aggregator attention mean", "context order permuted", "quantizer.revive_every ±20 % – not testable"):
        assert any(line.startswith(start) for line in lines), start
    assert "0 critical · 0 warnings" in lines


def test_a_critical_finding_has_an_exit_code_of_its_own_and_a_flag_that_mends_it(
    tmp_path: Path, tiny_recipe_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    grid = [[0, 1], [2, 0]]
    records = [{"input": grid, "output": [[0, 1], [2, colour % 10]]} for colour in range(60)]
    manifest = tmp_path / "pairs.jsonl"
    manifest.write_bytes(b"\n".join(map(orjson.dumps, records)))
    text = tiny_recipe_file.read_text().partition("[encoder]")[2]
    recipe = tmp_path / "pairs.toml"
    recipe.write_text(
        f'[data]\nkind = "manifest"\npath = "{manifest}"\nshort_context = "repeat"\nvalidation_share = 0.2\n\n[encoder]'
        + text
    )
    assert call("audit", recipe, "--json", "--device", "cpu") == 4
    audit = orjson.loads(capsys.readouterr().out)
    critical = audit["findings"][0]
    assert critical["set"] == {"data": {"context_length": 1}}
    assert audit["data"]["identical_context"] == 1.0
    assert call("audit", recipe, "--brief", "--device", "cpu") == 4
    assert "--set data.context_length=1" in capsys.readouterr().out


@pytest.mark.parametrize("aggregator", ["attention", "attention_pool"])
def test_both_audits_agree_whether_the_aggregator_matters_where_the_context_never_changes(
    tiny_recipe: RecipeMaker, aggregator: str
) -> None:
    recipe = tiny_recipe(f"aggregator.kind={aggregator}")
    still = repeated(data_of(recipe))
    names = {"aggregator matters", "aggregator without effect"}
    brief, whole = (
        {finding.name for finding in findings} & names
        for findings in (brief_audit(recipe, still, COMPUTE, 0.0), audit_recipe(recipe, still, COMPUTE).findings)
    )
    assert brief == whole
    assert len(brief) == 1
