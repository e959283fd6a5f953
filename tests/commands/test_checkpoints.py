"""`jepa checkpoints`: what is there, what is wrong with it, and what prune deletes and never deletes."""

from __future__ import annotations

import os
from pathlib import Path

import attrs
import orjson
import pytest

from jepa_core.cli import main
from jepa_core.engine.checkpoint import CheckpointFolder
from jepa_core.rollback.lineage import Lineage, write_lineage
from jepa_core.run_directory.lock import RunLock
from jepa_core.run_directory.status import Status, write_status
from jepa_core.run_directory.stored_checkpoints import stored_checkpoints
from jepa_core.run_directory.writing import RunWriter
from jepa_core.watch.judge import Judge
from jepa_core.watch.outcome import reach_verdict
from jepa_core.watch.rules import Watch
from jepa_core.watch.verdict import BestCheckpoint
from tests.monitor.test_injection import FORBIDDEN
from tests.run_directory.runs import record_run

STEPS = (10, 20, 30, 40, 50)


def call(*arguments: object) -> int:
    with pytest.raises(SystemExit) as ended:
        main(["checkpoints", *map(str, arguments)])
    return int(ended.value.code or 0)


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A run with checkpoints of five steps, of which the third is the best, and a rule that fired first at step 35."""
    monkeypatch.chdir(tmp_path)
    path = record_run(tmp_path / "runs" / "a-20260101-000000")
    for step in STEPS:
        CheckpointFolder(path / "checkpoints", keep=9).save(step, {"progress": {"step": step, "epoch": step / 20}})
    best = BestCheckpoint(step=30, epoch=1.5, why="highest retrieval")
    with RunWriter(path) as writer:
        writer.write_verdict(reach_verdict(Judge(Watch()), run=path, best=best))
        writer.event("rollback late", "critical", "loss.total > 1", step=45, evidence={"first_sign": 25})
    return path


def damage(run: Path, step: int) -> None:
    with (run / "checkpoints" / f"step-{step}" / "state.json").open("ab") as file:
        file.write(b" ")


def steps(run: Path) -> list[int]:
    return [checkpoint.step for checkpoint in stored_checkpoints(run / "checkpoints")]


def told(capsys: pytest.CaptureFixture[str], *arguments: object) -> dict[str, object]:
    call(*arguments, "--json")
    answer: dict[str, object] = orjson.loads(capsys.readouterr().out)
    return answer


@pytest.mark.parametrize("columns", [60, 80])
def test_each_has_a_line_with_what_it_is_good_for(
    run: Path, columns: int, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    damage(run, 50)
    assert call() == 0
    shown = capsys.readouterr().out
    lines = shown.splitlines()
    assert max(map(len, lines)) <= columns
    assert not FORBIDDEN.intersection(shown.replace("\n", ""))
    cells = [line.split() for line in lines if line.startswith(("✔", "✘"))]
    assert [(cell[0], cell[1], cell[2]) for cell in cells[:5]] == [
        ("✔", "10", "0.500"), ("✔", "20", "1"), ("✔", "30", "1.50"), ("✔", "40", "2"), ("✘", "50", "2.50")
    ]  # fmt: skip
    assert [line.split("bytes")[-1].strip() for line in lines if line.startswith("✔")] == [
        "healthy", "healthy", "best", "resume"
    ]  # fmt: skip
    said = " ".join(shown.split())
    assert "✘ step-50: state.json is damaged: it has " in said
    assert "jepa run --resume a-20260101-000000 goes on from step 40" in said
    assert "best: step 30, highest retrieval" in said
    assert "healthy: before step 25, the first sign of late" in said


def test_verify_exits_with_one_where_any_is_damaged_and_says_what_to_do(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(run, "verify") == 0
    assert capsys.readouterr().out.endswith("Every byte of all of them is as it was written.\n")
    damage(run, 20)
    assert call(run, "verify") == 1
    assert "1 of 5 does not verify. Nothing goes on from it: copy it anew" in capsys.readouterr().out
    assert call(run) == 0


def test_without_a_run_the_newest_is_meant(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    damage(run, 20)
    assert call("verify") == 1
    assert call("prune", "--keep", "2", "--dry-run") == 0
    assert f"{run.name} · 5 checkpoints" in capsys.readouterr().out


def test_json_has_everything(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    damage(run, 20)
    answer = told(capsys, run)
    assert (answer["resumes_from"], answer["best"], answer["first_sign"], answer["fired"]) == (50, 30, 25.0, "late")
    listed = answer["checkpoints"]
    assert isinstance(listed, list)
    assert [(each["step"], each["fault"] is None, each["healthy"]) for each in listed] == [
        (10, True, True), (20, False, False), (30, True, False), (40, True, False), (50, True, False)
    ]  # fmt: skip
    assert all(each["bytes"] == sum(file.stat().st_size for file in (run / each["path"]).iterdir()) for each in listed)


def test_prune_keeps_the_newest_the_best_and_the_newest_healthy_one(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert told(capsys, run, "prune", "--keep", "2", "--dry-run")["deleted"] == [10]
    assert steps(run) == list(STEPS)
    assert call(run, "prune", "--keep", "2") == 0
    assert capsys.readouterr().out.startswith("Deleted 1 checkpoint, ")
    assert steps(run) == [20, 30, 40, 50]
    assert call(run, "prune", "--keep", "2") == 0
    assert capsys.readouterr().out.startswith("Nothing to delete.")


def test_prune_counts_only_those_that_verify_and_leaves_the_others_alone(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (run / "verdict.json").unlink()
    (run / "events.jsonl").unlink()
    for step in (40, 50):
        damage(run, step)
    assert told(capsys, run, "prune", "--keep", "2")["deleted"] == [10]
    assert steps(run) == [20, 30, 40, 50]


def test_prune_keeps_the_best_so_far_of_a_run_that_has_no_verdict_yet(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (run / "verdict.json").unlink()
    (run / "events.jsonl").unlink()
    best = {"step": 20, "epoch": 1.0, "mrr": 0.5}
    CheckpointFolder(run / "checkpoints", keep=9).save(60, {"progress": {"step": 60, "epoch": 3.0, "best": best}})
    assert call(run) == 0
    assert [line.split()[-3:] for line in capsys.readouterr().out.splitlines() if "so far" in line] == [
        ["best", "so", "far"]
    ]
    assert told(capsys, run, "prune", "--keep", "2", "--dry-run")["deleted"] == [10, 30, 40]
    write_lineage(run, Lineage(parent="another", step=60))
    assert told(capsys, run, "prune", "--keep", "2", "--dry-run")["deleted"] == [10, 20, 30, 40], "another run's best"


def test_prune_keeps_what_a_child_may_go_back_to(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (run / "verdict.json").unlink()
    (run / "events.jsonl").unlink()
    child = record_run(run.parent / "b-20260102-000000")
    write_lineage(child, Lineage(parent=run.name, step=20))
    write_status(run, Status(state="rolled_back", child=child.name))
    assert told(capsys, run, "prune", "--keep", "2")["deleted"] == [10, 30]
    assert told(capsys, run)["resumes_from"] is None


def test_a_run_that_trains_is_listed_and_not_pruned(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with RunLock(run):
        assert call(run) == 0
        for flags in ((), ("--dry-run",)):
            assert call(run, "prune", "--keep", "2", *flags) == 1
            assert "is training, and deletes old checkpoints itself" in capsys.readouterr().err
    assert steps(run) == list(STEPS)


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (("prune",), "--keep is missing"),
        (("prune", "--keep", "1"), "--keep 1 is too few: at least 2 stay"),
        (("prune", "--keep", "-3"), "--keep -3 is too few"),
        (("verify", "--keep", "3"), "--keep is for prune"),
        (("--dry-run",), "--dry-run is for prune"),
        (("prone",), "prone"),
    ],
)
def test_flags_that_do_not_go_together_are_refused(
    run: Path, flags: tuple[str, ...], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(run, *flags) == 2
    assert said in capsys.readouterr().err
    assert steps(run) == list(STEPS)


def test_what_cannot_be_deleted_is_said_and_nothing_else_is_lost(
    run: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "rmdir", refuse)
    monkeypatch.setattr(os, "unlink", refuse)
    assert call(run, "prune", "--keep", "2") == 1
    assert "step-10: Operation not permitted. Delete it yourself" in capsys.readouterr().err
    assert steps(run) == list(STEPS)


def test_a_run_without_checkpoints_and_one_with_a_damaged_verdict_are_shown(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (run / "verdict.json").write_text("{")
    assert call(run) == 0
    assert "! " in (shown := capsys.readouterr().out)
    assert "verdict.json is damaged" in shown
    empty = record_run(run.parent / "c-20260103-000000")
    assert call(empty, "verify") == 0
    assert capsys.readouterr().out == "c-20260103-000000: there is no checkpoint yet.\n"


def test_a_foreign_childs_name_is_no_path(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    elsewhere = record_run(tmp_path / "elsewhere")
    write_lineage(elsewhere, Lineage(parent=run.name, step=10))
    write_status(run, attrs.evolve(Status(), state="rolled_back", child="../elsewhere"))
    assert told(capsys, run, "prune", "--keep", "2", "--dry-run")["deleted"] == [10]
