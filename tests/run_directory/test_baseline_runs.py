from __future__ import annotations

from pathlib import Path

import pytest

from jepa_core.run_directory.baseline_runs import resolve_baseline
from jepa_core.watch.rules import Baseline
from tests.run_directory.runs import record_run, validation

ROWS = [validation(10, 1.0, 0.30), validation(20, 2.0, 0.35)]


def test_a_recipe_means_its_newest_finished_run_on_the_same_data(tmp_path: Path) -> None:
    record_run(tmp_path / "gentle-20260101-000000", ROWS, name="gentle")
    wanted = record_run(tmp_path / "gentle-20260102-000000", ROWS, name="gentle")
    record_run(tmp_path / "gentle-20260103-000000", ROWS, name="gentle", data="data-2")
    record_run(tmp_path / "gentle-20260104-000000", ROWS, name="gentle", state="aborted")
    record_run(tmp_path / "gentler-20260105-000000", ROWS, name="gentler")
    resolved = resolve_baseline(Baseline(recipe="gentle"), tmp_path, "data-1")
    assert resolved.values is not None
    assert (resolved.values.name, resolved.values.run, resolved.values.same_data) == ("gentle", wanted.name, True)
    assert resolved.values.at("val.retrieval.mrr", 1.5) == 0.30
    assert resolved.values.final("val.retrieval.mrr") == 0.35
    assert resolved.baseline == Baseline(run=wanted.name, name="gentle")


def test_without_such_a_run_the_reason_says_how_to_get_one(tmp_path: Path) -> None:
    record_run(tmp_path / "gentle-20260103-000000", ROWS, name="gentle", data="data-2")
    resolved = resolve_baseline(Baseline(recipe="gentle"), tmp_path, "data-1")
    assert resolved.values is None
    assert "1 on other data" in resolved.reason
    assert "jepa run recipes/gentle.toml" in resolved.reason


@pytest.mark.parametrize("text", ["gentle-20260101-000000", "gentle", "20260101", "elsewhere/gentle-20260101-000000"])
def test_a_run_is_named_by_its_name_its_start_or_its_time_and_found_beside_the_other(tmp_path: Path, text: str) -> None:
    path = record_run(tmp_path / "gentle-20260101-000000", ROWS, name="gentle")
    resolved = resolve_baseline(Baseline(run=text), tmp_path, "data-1")
    assert resolved.values is not None
    assert (resolved.values.run, resolved.values.same_data) == (path.name, True)


@pytest.mark.parametrize("form", ["{elsewhere}/theirs", "../elsewhere/theirs", "theirs", "..", ".", "~/theirs", "a\0b"])
def test_no_name_of_a_baseline_leads_to_another_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: str
) -> None:
    elsewhere = tmp_path / "elsewhere"
    record_run(elsewhere / "theirs", ROWS)
    record_run(tmp_path / "runs" / "mine", ROWS)
    monkeypatch.chdir(elsewhere)
    monkeypatch.setenv("HOME", str(elsewhere))
    text = form.replace("{elsewhere}", str(elsewhere))
    resolved = resolve_baseline(Baseline(run=text), tmp_path / "runs", "data-1")
    assert resolved.values is None
    assert "No run" in resolved.reason
    assert ("of which the name counts" in resolved.reason) == ("/" in text or text == ".")


def test_a_run_on_other_data_is_named_and_not_compared_with(tmp_path: Path) -> None:
    record_run(tmp_path / "gentle-20260101-000000", ROWS, name="gentle", data="data-2")
    resolved = resolve_baseline(Baseline(run="gentle"), tmp_path, "data-1")
    assert resolved.values is None
    assert resolved.reason == "gentle-20260101-000000 was trained on other data, so nothing is compared with it"


def test_what_was_resolved_resolves_to_the_same_run_again(tmp_path: Path) -> None:
    record_run(tmp_path / "gentle-20260101-000000", ROWS, name="gentle")
    first = resolve_baseline(Baseline(recipe="gentle"), tmp_path, "data-1")
    record_run(tmp_path / "gentle-20260102-000000", ROWS, name="gentle")
    assert resolve_baseline(first.baseline, tmp_path, "data-1").values == first.values


def test_the_latest_is_the_newest_run_that_began_before_the_one_that_is_compared(tmp_path: Path) -> None:
    before, own, after = (
        record_run(tmp_path / name, ROWS, started=1.0 + at) for at, name in enumerate(("a", "b", "c"))
    )
    resolved = resolve_baseline(Baseline(run="latest"), tmp_path, "data-1", own=own.name)
    assert resolved.values is not None
    assert resolved.values.run == before.name
    assert resolved.baseline == Baseline(run="a", name="mine")
    first = resolve_baseline(Baseline(run="latest"), tmp_path, "data-1", own=before.name)
    assert first.values is None
    assert first.reason == f"watch.baseline.run is 'latest', and no run in {tmp_path}/ began before this one"
    of_a_file = resolve_baseline(Baseline(run="latest"), tmp_path, "data-1").values
    assert of_a_file is not None
    assert of_a_file.run == after.name


@pytest.mark.parametrize("baseline", [Baseline(run="mine"), Baseline(run="mine-2"), Baseline(recipe="mine")])
def test_no_run_is_its_own_baseline(tmp_path: Path, baseline: Baseline) -> None:
    own = record_run(tmp_path / "mine-2", ROWS)
    assert resolve_baseline(baseline, tmp_path, "data-1", own=own.name).values is None
    other = record_run(tmp_path / "mine-1", ROWS)
    found = resolve_baseline(baseline, tmp_path, "data-1", own=own.name).values
    assert (found.run if found else None) == (None if baseline.run == own.name else other.name)


def test_figures_of_other_data_are_not_compared_with() -> None:
    baseline = Baseline(name="theirs", figures={"val.retrieval.mrr": 0.35}, data="data-2")
    resolved = resolve_baseline(baseline, data_fingerprint="data-1")
    assert resolved.values is None
    assert "the figures of theirs were measured on other data (fingerprint data-2, this data has data-1)" in (
        resolved.reason
    )


def test_figures_are_a_baseline_of_their_own() -> None:
    baseline = Baseline(figures={"val.retrieval.mrr": 0.35}, data="data-1")
    resolved = resolve_baseline(baseline, data_fingerprint="data-1")
    assert resolved.values is not None
    assert resolved.values.at("val.retrieval.mrr", 0.1) == 0.35


@pytest.mark.parametrize("baseline", [None, Baseline(run="gone"), Baseline(recipe="gone"), Baseline()])
def test_nothing_to_compare_with_is_no_error(tmp_path: Path, baseline: Baseline | None) -> None:
    assert resolve_baseline(baseline, tmp_path, "data-1").values is None
