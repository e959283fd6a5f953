"""A run directory of strangers, in which links stand for files: nothing outside it is read, and it is said."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from jepa_core.errors import RunDirectoryError
from jepa_core.recipes.faults import RecipeFaultsError
from jepa_core.recipes.layers import read_file_layers
from jepa_core.run_directory.layout import (
    CONSOLE,
    DIAGNOSTICS,
    ENVIRONMENT,
    EVENTS,
    METRICS,
    RECIPE,
    STATUS,
    VERDICT,
    rank_metrics,
)
from jepa_core.run_directory.naming import find_run
from jepa_core.run_directory.reading import RecordedRows, RunReader
from jepa_monitor.feed.live import LiveFeed
from tests.run_directory.runs import record_run, validation

FILES = (METRICS, EVENTS, DIAGNOSTICS, CONSOLE, STATUS, RECIPE, ENVIRONMENT, rank_metrics(0))


@pytest.fixture
def recorded(tmp_path: Path) -> Path:
    """A run with rows, events and all that stands beside them."""
    run = record_run(tmp_path / "runs" / "mine", [validation(1, 1.0, 0.4), validation(2, 2.0, 0.5)])
    (run / DIAGNOSTICS).write_text('{"step": 1, "spectrum": [1.0]}\n')
    (run / CONSOLE).write_text("said\n")
    (run / rank_metrics(0)).write_text('{"step": 1, "loss.total": 0.5}\n')
    return run


def moved_out(run: Path, name: str) -> Path:
    """A file of the run lies outside it, and a link leads there."""
    outside = run.parent.parent / "outside"
    outside.mkdir()
    target = (run / name).rename(outside / name)
    (run / name).symlink_to(target)
    return target


@pytest.mark.parametrize("name", FILES)
def test_the_monitor_does_not_follow_a_link_and_says_so(recorded: Path, name: str) -> None:
    whole = LiveFeed(recorded).poll()
    moved_out(recorded, name)
    news = LiveFeed(recorded).poll()
    beside, before = news.surroundings, whole.surroundings
    read = {
        METRICS: (news.rows, whole.rows),
        EVENTS: (news.events, whole.events),
        DIAGNOSTICS: (beside.diagnosis, before.diagnosis),
        CONSOLE: (beside.console, before.console),
        STATUS: (beside.status, before.status),
        RECIPE: (beside.recipe, before.recipe),
        ENVIRONMENT: (beside.environment, before.environment),
        rank_metrics(0): (beside.ranks[0].rows, before.ranks[0].rows),
    }
    assert not read[name][0]
    assert read[name][1]
    assert all(now or other == name for other, (now, _) in read.items())
    if name != rank_metrics(0):
        assert f"{recorded / name} is a symbolic link: it is not read" in beside.problems


@pytest.mark.parametrize("name", [METRICS, EVENTS, VERDICT])
def test_who_reads_a_run_is_told(recorded: Path, name: str) -> None:
    (recorded / VERDICT).write_text("{}")
    moved_out(recorded, name)
    reader = RunReader(recorded)
    reads = {METRICS: lambda: list(reader.rows()), EVENTS: lambda: list(reader.events()), VERDICT: reader.verdict}
    with pytest.raises(RunDirectoryError, match=rf"{name} cannot be read: it is a symbolic link"):
        reads[name]()


def test_a_recorded_recipe_is_not_followed_and_one_of_the_users_is(recorded: Path, tmp_path: Path) -> None:
    target = moved_out(recorded, RECIPE)
    with pytest.raises(RecipeFaultsError) as caught:
        read_file_layers(recorded / RECIPE)
    assert caught.value.faults[0].message == "cannot be read: it is a symbolic link, which could lead anywhere"
    (tmp_path / RECIPE).symlink_to(target)
    assert read_file_layers(tmp_path / RECIPE)[0].table["name"] == "mine"


def test_a_run_directory_may_be_a_link_itself_and_lie_behind_one(recorded: Path, tmp_path: Path) -> None:
    (tmp_path / "linked").symlink_to(recorded)
    (tmp_path / "all").symlink_to(recorded.parent)
    for path in (tmp_path / "linked", tmp_path / "all" / "mine", find_run("mine", tmp_path / "all")):
        assert len(list(RunReader(path).rows())) == 2
        assert LiveFeed(path).poll().surroundings.problems == ()


def test_a_file_of_rows_that_the_user_names_may_be_a_link(recorded: Path, tmp_path: Path) -> None:
    (tmp_path / "rows.jsonl").symlink_to(recorded / METRICS)
    assert [row["step"] for row in RecordedRows(tmp_path / "rows.jsonl", follow_links=True)] == [1, 2]


def test_links_in_a_circle_and_into_nothing_are_none(recorded: Path) -> None:
    for name, target in ((METRICS, METRICS), (EVENTS, "nothing"), (STATUS, "/dev/zero")):
        (recorded / name).unlink()
        (recorded / name).symlink_to(target)
    news = LiveFeed(recorded).poll()
    assert (news.rows, news.events, news.surroundings.status) == ((), (), None)
    assert json.loads((recorded / ENVIRONMENT).read_bytes())
    shutil.rmtree(recorded)
