"""A run that was rolled back is refused with what can be typed on the run that goes on, as that stands now."""

from __future__ import annotations

import shlex
import shutil
from pathlib import Path

import attrs
import orjson
import pytest

from jepa_core.errors import RunDirectoryError
from jepa_core.registry import installed
from jepa_core.rollback.child import make_child
from jepa_core.rollback.planning import plan_rollback
from jepa_core.rollback.successor import refuse_marked, refuse_rolled_back, successor_of
from jepa_core.run_directory.lock import RunLock
from jepa_core.run_directory.reading import RunReader
from jepa_core.run_directory.status import Status, read_status, write_status
from jepa_core.run_directory.summary import SummaryReader
from jepa_monitor.feed.live import LiveFeed
from tests.commands.reading import called
from tests.run_directory.runs import record_run


def rolled_back(parent: Path, clip_norm: float) -> Path:
    change = {"train": {"clip_norm": clip_norm}}
    return make_child(plan_rollback(parent, installed(), to=3, set=change)).path


def refusal(run: Path) -> list[str]:
    with pytest.raises(RunDirectoryError) as refused:
        refuse_rolled_back(run)
    return str(refused.value).splitlines()


def typed(told: list[str]) -> list[list[str]]:
    return [shlex.split(line.partition("jepa ")[2].replace("STEP", "3")) for line in told if "jepa " in line]


def test_of_runs_that_were_rolled_back_one_after_the_other_the_last_is_named_and_its_commands_work(
    parent: Path,
) -> None:
    first = rolled_back(parent, 1.0)
    second = rolled_back(first, 2.0)
    told = refusal(parent)
    assert told[0] == f"{parent.name} was rolled back and stays as it is; {second.name} goes on in its place."
    # Its own child is what stands in its way.
    assert told[-1] == f"To go on with {parent.name} after all delete {first}, or move it away."
    resume, back = typed(told)
    assert called([*back, "--dry-run"]).code == 0
    assert called(resume).code in (0, 4)
    assert typed(refusal(parent)) == [back]  # it has come to its end
    assert called([*back, "--dry-run"]).code == 0


def test_a_run_whose_childs_maker_was_killed_before_it_marked_it_counts_as_rolled_back(parent: Path) -> None:
    """For whoever reads it: nothing offers to go back or on in it once more."""
    before = {name: (parent / name).read_bytes() for name in ("status.json", "events.jsonl")}
    verdict = orjson.loads((parent / "verdict.json").read_bytes())
    offer = f"jepa rollback {parent} --to 3 --set KEY=VALUE"
    (parent / "verdict.json").write_bytes(orjson.dumps({**verdict, "next": offer}))
    assert "jepa rollback" in called(["verdict", str(parent)]).out
    feed, listed = LiveFeed(parent), SummaryReader(parent)
    assert (feed.poll().state, listed.summary().state, RunReader(parent).state()) == ("finished",) * 3

    child = rolled_back(parent, 1.0)
    for name, content in before.items():
        (parent / name).write_bytes(content)
    status = read_status(parent)
    assert status is not None
    assert (status.state, status.child) == ("finished", "")

    now = feed.poll()
    assert (now.state, listed.summary().state, RunReader(parent).state()) == ("rolled_back",) * 3
    assert now.surroundings.status is not None
    assert now.surroundings.status.child == child.name
    assert feed.poll().surroundings is now.surroundings
    assert now.surroundings.verdict is not None
    assert now.surroundings.verdict.next.startswith(f"jepa autopsy {child} ")
    assert successor_of(parent) == child
    runs_dir = str(parent.parent)
    for command in (["verdict"], ["autopsy"], ["monitor", "--once"], ["checkpoints"], ["run", "--resume"]):
        said = called([*command, str(parent)]).said
        assert child.name in said
        assert f"rollback {parent}" not in said
    assert "rolled back" in called(["runs", "--runs-dir", runs_dir]).out
    shutil.rmtree(child)
    write_status(parent, status)
    assert (feed.poll().state, listed.summary().state, RunReader(parent).state()) == ("finished",) * 3


def test_one_that_trains_is_not_said_to_be_resumed(parent: Path) -> None:
    child = rolled_back(parent, 1.0)
    with RunLock(child):
        told = refusal(parent)
        assert told[1] == f"It is training now: jepa monitor {child}"
        assert not any("--resume" in line for line in told)


def test_of_one_that_nothing_can_go_on_with_nothing_is_said_to_be_typed(parent: Path) -> None:
    child = rolled_back(parent, 1.0)
    (child / "recipe.toml").unlink()
    assert typed(refusal(parent)) == []


def test_runs_that_name_each_other_are_refused_and_one_that_names_itself_goes_on(tmp_path: Path) -> None:
    runs = [record_run(tmp_path / name) for name in ("a", "b", "c")]
    for run, child in zip(runs, ("b", "a", "c"), strict=True):
        write_status(run, attrs.evolve(read_status(run) or Status(), state="rolled_back", child=child))
    for run in runs[:2]:
        with pytest.raises(RunDirectoryError, match="was rolled back and stays as it is"):
            refuse_marked(run)
    assert successor_of(runs[2]) is None
    refuse_rolled_back(runs[2])
