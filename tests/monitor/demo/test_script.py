from __future__ import annotations

import math
from pathlib import Path

import orjson
import pytest

from jepa_core.autopsy.examining import examine
from jepa_core.autopsy.remedies import next_commands
from jepa_core.commands.check import check
from jepa_core.recipes.difference import recipe_difference
from jepa_core.rollback.requests import RollbackRequest, write_request
from jepa_core.run_directory.reading import RunReader
from jepa_core.run_directory.recorded_recipe import recorded_metrics, recorded_watch
from jepa_core.run_directory.stored_checkpoints import Checkpoint
from jepa_monitor.demo.story import TOTAL_STEPS, is_row_due
from tests.monitor.demo.telling import tell_demo


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    parent, child = tell_demo(tmp_path_factory.mktemp("demo"))
    return parent, child


@pytest.fixture
def parent(told: tuple[Path, Path]) -> RunReader:
    return RunReader(told[0])


@pytest.fixture
def child(told: tuple[Path, Path]) -> RunReader:
    return RunReader(told[1])


def fired(run: RunReader) -> list[str]:
    """Kind and name of every rule that fired, in order, as the events tell it."""
    kinds = ("must ", "nice ", "abort ", "rollback ", "scenario ")
    return [event.name for event in run.events() if event.name.startswith(kinds)]


def test_what_it_says_to_type_next_is_a_real_run_as_its_own_has_no_model(child: RunReader) -> None:
    verdict = child.verdict()
    assert verdict is not None
    assert verdict.next.startswith("jepa run quickstart  # ")
    assert next_commands(examine(child.path)) == {f"jepa verdict {child.path}": "what it came to"}


def test_the_story_goes_through_a_slide_an_explosion_and_a_nan(parent: RunReader) -> None:
    told = fired(parent)
    assert told.index("scenario codebook_slide") < told.index("rollback R") < told.index("abort non-finite")
    assert "scenario loss_takes_over.relational" in told
    assert "must finite" in told
    rows = list(parent.rows())
    assert all(math.isfinite(value) for row in rows[:-1] for value in row.values())
    assert math.isnan(rows[-1]["loss.total"])
    (non_finite,) = (event for event in parent.events() if event.name == "non-finite")
    assert non_finite.severity == "critical"
    assert non_finite.step == rows[-1]["step"] - 1


def test_parent_and_child_name_each_other(parent: RunReader, child: RunReader) -> None:
    before, after = parent.status(), child.status()
    assert before is not None
    assert after is not None
    assert (before.state, before.child, before.exit_code) == ("rolled_back", child.name, 3)
    assert (after.state, after.parent, after.exit_code) == ("finished", parent.name, 0)
    assert after.step == after.total_steps == TOTAL_STEPS


def test_the_child_goes_on_before_the_first_sign_with_what_the_rule_says(parent: RunReader, child: RunReader) -> None:
    (flag,) = (event for event in parent.events() if event.name == "rollback R")
    record = orjson.loads((child.path / "rollback.json").read_bytes())
    assert record["step"] < flag.evidence["first_sign"]
    assert record["parent"] == parent.name
    assert record["generation"] == 1
    assert child.recipe()["losses"]["relational"]["normalized"] is True
    assert child.recipe()["losses"]["relational"]["weight"] == parent.recipe()["losses"]["relational"]["weight"]
    assert [change.key for change in recipe_difference(parent.recipe(), child.recipe())] == [
        "quantizer.revive_every",
        "quantizer.revive_at_most",
        "losses.relational.normalized",
    ]
    shared = [row for row in parent.rows() if row["step"] <= record["step"]]
    assert list(child.rows())[: len(shared)] == shared


def test_the_childs_rows_are_one_history_with_every_row_that_is_due(child: RunReader) -> None:
    steps = [row["step"] for row in child.rows()]
    assert steps == [step for step in range(1, TOTAL_STEPS + 1) if is_row_due(step)]


def test_the_childs_verdict_tells_the_story(parent: RunReader, child: RunReader) -> None:
    before, after = parent.verdict(), child.verdict()
    assert before is not None
    assert after is not None
    assert (before.outcome, before.ending, before.exit_code) == ("regression", "non-finite", 3)
    assert (after.outcome, after.ending, after.exit_code) == ("success", "finished", 0)
    assert after.rollbacks == 1
    (past,) = after.story
    assert (past.parent, past.scenario, past.to_step) == (parent.name, "R", 882)
    assert "losses.relational.normalized false → true" in past.changes
    assert after.best is not None
    assert (child.path / after.best.path).is_dir()


@pytest.mark.parametrize("which", [0, 1])
def test_checking_the_rows_again_fires_what_was_written_live(
    told: tuple[Path, Path], which: int, capsys: pytest.CaptureFixture[str]
) -> None:
    exit_code = check(str(told[which]), json=True)
    checked = orjson.loads(capsys.readouterr().out)
    replayed = [f"{finding['kind']} {finding['name']}" for finding in checked["findings"] if "kind" in finding]
    assert replayed == fired(RunReader(told[which]))
    assert exit_code == (0 if which else 3)
    assert checked["problems"] == []


def test_the_recipe_in_the_run_declares_every_metric_of_its_rows(parent: RunReader) -> None:
    recipe = parent.recipe()
    declared = {metric.name for metric in recorded_metrics(recipe)}
    assert not recorded_watch(recipe).problems
    groups = tuple(name.removesuffix("*") for name in declared if name.endswith(".*"))
    assert {name for row in parent.rows() for name in row if not name.startswith(groups)} <= declared


def test_nulls_are_recorded_as_a_trainer_records_them(parent: RunReader, child: RunReader) -> None:
    for reader in (parent, child):
        nulls, rows = reader.nulls(), [row for row in reader.rows() if "val.retrieval.mrr" in row]
        assert nulls.strongest is not None
        assert nulls.first_row().items() <= rows[0].items()
        assert not nulls.first_row().keys() & rows[1].keys()
        for row in rows:
            assert row["val.retrieval.null_mrr"] == nulls.strongest.mrr
            above = row["val.retrieval.mrr"] - row["val.retrieval.null_mrr"]
            assert row["val.retrieval.above_null"] == pytest.approx(above)
    assert rows[0]["val.retrieval.above_null_high"] < 0 < rows[-1]["val.retrieval.above_null_low"]
    assert rows[-1]["val.hard.mrr"] > rows[-1]["val.hard.null_mrr"] > rows[-1]["val.hard.blind_mrr"]
    verdict = child.verdict()
    assert verdict is not None
    assert verdict.retrieval is not None
    assert (verdict.retrieval.null, verdict.retrieval.is_above) == ("extrapolation", True)


def test_diagnostics_agree_with_the_rows_of_their_step(parent: RunReader) -> None:
    rows = {row["step"]: row for row in parent.rows()}
    lines = (parent.path / "diagnostics.jsonl").read_bytes().splitlines()
    assert len(lines) > 50
    for diagnosis in map(orjson.loads, lines):
        row, counts = rows[diagnosis["step"]], diagnosis["code_counts"]
        used = sum(count > 0 for count in counts)
        assert row["vq.usage"] == pytest.approx(used / len(counts))
        assert row["vq.dead"] == len(counts) - used
        for side in ("context", "target"):
            shares = diagnosis["spectrum"][side]
            assert shares == sorted(shares, reverse=True)
            entropy = -sum(share * math.log(share) for share in shares)
            assert row[f"rank.{side}"] == pytest.approx(math.exp(entropy))
        assert sum(diagnosis["time_weights"]) == pytest.approx(1)


def test_figures_stay_in_plausible_ranges(child: RunReader) -> None:
    rows = list(child.rows())
    mrr = [row["val.retrieval.mrr"] for row in rows if "val.retrieval.mrr" in row]
    ranks = [row["rank.context"] for row in rows if "rank.context" in row]
    use = [row["vq.usage"] for row in rows if "vq.usage" in row]
    assert mrr[0] < 0.15
    assert 0.38 < mrr[-1] < 0.45
    assert {row["val.retrieval.null_mrr"] for row in rows if "val.retrieval.mrr" in row} == {0.346}
    assert 4 < ranks[0] < 6
    assert 7.5 < ranks[-1] < 10
    assert min(use) < 0.13
    assert 0.19 < use[-1] < max(use) < 0.27
    shares = [sum(v for name, v in row.items() if name.startswith("grad.share.")) for row in rows if "vq.dead" in row]
    assert shares == pytest.approx([1.0] * len(shares))


def test_checkpoints_verify_as_a_trainers_do(parent: RunReader, child: RunReader) -> None:
    folders = [*(parent.path / "checkpoints").iterdir(), *(child.path / "checkpoints").iterdir()]
    assert len(folders) > 15
    assert [Checkpoint(path, int(path.name.removeprefix("step-"))).verify() for path in folders] == [None] * len(
        folders
    )


def test_the_same_seed_writes_the_same_rows(told: tuple[Path, Path], tmp_path: Path) -> None:
    again = tell_demo(tmp_path / "again")
    other = tell_demo(tmp_path / "other", seed=5)
    for first, second, third in zip(told, again, other, strict=True):
        rows = (first / "metrics.jsonl").read_bytes()
        assert rows == (second / "metrics.jsonl").read_bytes()
        assert rows != (third / "metrics.jsonl").read_bytes()


def test_other_seeds_tell_the_same_story(tmp_path: Path) -> None:
    for seed in (0, 1):
        parent, child = tell_demo(tmp_path / str(seed), seed=seed)
        assert {"scenario codebook_slide", "rollback R", "abort non-finite"} <= set(fired(RunReader(parent)))
        verdict = RunReader(child).verdict()
        assert verdict is not None
        assert verdict.outcome == "success"


def test_it_takes_the_seconds_asked_for_and_says_so_in_the_heartbeats(told: tuple[Path, Path]) -> None:
    began, ended = (RunReader(path).status() for path in told)
    assert began is not None
    assert ended is not None
    assert ended.heartbeat - began.started == pytest.approx(30, abs=0.1)
    rows = list(RunReader(told[1]).rows())
    assert sum(row["time.step"] for row in rows) / len(rows) == pytest.approx(30 / 2500, rel=0.15)


def test_a_request_is_met_at_the_next_row(tmp_path: Path) -> None:
    asked: list[Path] = []

    def ask(elapsed: float) -> None:
        if elapsed > 10 and not asked:
            (run,) = tmp_path.glob("demo-*")
            asked.append(write_request(run, RollbackRequest(to=600, set={"optimizer": {"lr": 1e-4}})))

    parent, child = map(RunReader, tell_demo(tmp_path, each_sleep=ask))
    rows = list(parent.rows())
    assert rows[-1]["step"] < 900
    assert "rollback R" not in fired(parent)
    record = orjson.loads((child.path / "rollback.json").read_bytes())
    assert record["step"] == 588
    assert child.recipe()["optimizer"]["lr"] == 1e-4
    verdict = child.verdict()
    assert verdict is not None
    assert verdict.outcome == "success"


def test_a_request_that_cannot_be_met_is_answered_and_the_run_goes_on(tmp_path: Path) -> None:
    asked: list[Path] = []

    def ask(elapsed: float) -> None:
        if elapsed > 5 and not asked:
            (run,) = tmp_path.glob("demo-*")
            asked.append(write_request(run, RollbackRequest(scenario="no such rule")))

    parent, _child = map(RunReader, tell_demo(tmp_path, each_sleep=ask))
    assert "abort non-finite" in fired(parent)
    assert not asked[0].exists()
    assert list((parent.path / "control").glob("*.refused.json"))


def test_whoever_leaves_early_leaves_an_interrupted_run(tmp_path: Path) -> None:
    class LeftError(Exception):
        pass

    def leave(elapsed: float) -> None:
        if elapsed > 3:
            raise LeftError

    with pytest.raises(LeftError):
        tell_demo(tmp_path, each_sleep=leave)
    (run,) = tmp_path.glob("demo-*")
    status = RunReader(run).status()
    assert status is not None
    assert (status.state, status.exit_code) == ("interrupted", 130)
