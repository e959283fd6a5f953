from __future__ import annotations

import os
import re
import shlex
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jepa_core.errors import RunDirectoryError
from jepa_core.run_directory.clock import Clock, local_time
from jepa_core.run_directory.naming import RUNS_DIR, create_run, find_run, runs_in, short_name, typed_name
from jepa_core.run_directory.status import Status, write_status
from tests.run_directory.runs import record_run

CLOCK = Clock(now=lambda: 1_795_380_301.0)


def made(runs_dir: Path, *names: str) -> list[Path]:
    """Runs that were started in this order."""
    for number, name in enumerate(names, 1):
        (runs_dir / name).mkdir(parents=True)
        write_status(runs_dir / name, Status(started=1000.0 * number))
    return [runs_dir / name for name in names]


def test_a_run_is_named_after_its_recipe_and_its_start(tmp_path: Path) -> None:
    path = create_run(tmp_path / "runs", "optimized", CLOCK)
    assert path.name == f"optimized-{local_time(CLOCK.now(), '%Y%m%d-%H%M%S')}"
    assert re.fullmatch(r"optimized-\d{8}-\d{6}", path.name)
    assert (path / "checkpoints").is_dir()
    assert (path / "control").is_dir()


def test_runs_of_one_second_never_share_a_directory(tmp_path: Path) -> None:
    assert len({create_run(tmp_path, "a", CLOCK) for _ in range(5)}) == 5


@settings(max_examples=60, deadline=None)
@given(
    name=st.one_of(st.text(max_size=120), st.sampled_from(["..", ".", "/etc/x", "a/b", "a\0b", "-a", "a\nb", "~", ""]))
)
def test_a_hostile_name_makes_nothing_outside_the_runs_folder(
    tmp_path_factory: pytest.TempPathFactory, name: str
) -> None:
    outside = tmp_path_factory.mktemp("outside")
    runs_dir = outside / "runs"
    try:
        path = create_run(runs_dir, name, CLOCK)
    except RunDirectoryError:
        assert list(outside.iterdir()) == []
    else:
        assert path.parent == runs_dir
        assert list(outside.iterdir()) == [runs_dir]


def test_a_folder_that_cannot_be_made_is_an_error_with_its_path(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(RunDirectoryError, match=str(tmp_path / "file")):
        create_run(tmp_path / "file", "a", CLOCK)


def test_a_run_is_found_by_path_name_unique_start_and_latest(tmp_path: Path) -> None:
    older, newer = made(tmp_path, "b-20260101-000000", "a-20260102-000000")
    (tmp_path / "no-run").mkdir()
    assert find_run(str(older), Path("elsewhere")) == older
    assert find_run("a-20260102-000000", tmp_path) == newer
    assert find_run("b", tmp_path) == older
    assert find_run("latest", tmp_path) == newer


def test_a_name_that_is_the_start_of_another_means_itself(tmp_path: Path) -> None:
    first, _ = made(tmp_path, "a-20260101-000000", "a-20260101-000000-2")
    assert find_run("a-20260101-000000", tmp_path) == first


def test_a_start_of_several_names_lists_them_newest_first(tmp_path: Path) -> None:
    made(tmp_path, "a-20260101-000000", "a-20260102-000000")
    with pytest.raises(RunDirectoryError, match=r"2 runs start with 'a-2026'.*\n.*\n  a-20260102-000000\n  a-20260101"):
        find_run("a-2026", tmp_path)


@pytest.mark.parametrize("text", ["zzz", "", "a\0b", "../..", "latest "])
def test_a_run_that_is_not_there_lists_those_that_are(tmp_path: Path, text: str) -> None:
    made(tmp_path, "a-20260101-000000")
    with pytest.raises(RunDirectoryError, match="a-20260101-000000"):
        find_run(text, tmp_path)


def test_without_any_run_the_error_says_so(tmp_path: Path) -> None:
    with pytest.raises(RunDirectoryError, match="there are no runs"):
        find_run("latest", tmp_path / "none")


def test_runs_are_in_the_order_in_which_they_started_whatever_the_clock_of_their_names(tmp_path: Path) -> None:
    """The second of two runs around the end of daylight saving, and one from a zone where it is still yesterday."""
    names = ["a-20261025-025900", "a-20261025-020100", "a-20261024-210200"]
    made(tmp_path, *names)
    assert [run.name for run in runs_in(tmp_path)] == names
    assert find_run("latest", tmp_path).name == names[-1]


def test_runs_of_one_moment_are_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    names = ["a-20260102-000000", "a-20260102-000000-2", "a-20260102-000000-10"]
    for name in reversed(names):
        (tmp_path / name).mkdir()
        write_status(tmp_path / name, Status(started=5.0))
    assert [run.name for run in runs_in(tmp_path)] == names


def test_without_a_status_a_run_counts_from_its_environment_else_from_its_last_change(tmp_path: Path) -> None:
    middle, last, first = made(tmp_path, "middle", "last", "first")
    for run, status in ((middle, b"{"), (last, b'{"state": "finished", "started": "soon"}')):
        (run / "status.json").write_bytes(status)
        (run / "metrics.jsonl").touch()
    (middle / "environment.json").write_bytes(b"{}")
    os.utime(middle / "environment.json", (3500, 3500))
    os.utime(last, (4000, 4000))
    assert runs_in(tmp_path) == [first, middle, last]


def test_a_run_is_found_by_the_time_in_its_name(tmp_path: Path) -> None:
    first, second, third = made(tmp_path, "a-20260101-101500", "a-20260101-102000", "a-20260101-102000-2")
    assert find_run("101500", tmp_path) == first
    assert find_run("1015", tmp_path) == first
    assert find_run("102000", tmp_path) == second
    assert find_run("102000-2", tmp_path) == third
    with pytest.raises(RunDirectoryError, match=r"3 runs have in their names '10': .* its time, such as 102000-2, or"):
        find_run("10", tmp_path)


def test_what_is_least_to_type_for_a_run_finds_it_among_the_others(tmp_path: Path) -> None:
    runs = made(
        tmp_path, "a-20260101-101500", "a-20260101-102000", "b-20260102-101500", "renamed", "a-20260101-102000-2"
    )
    names = [run.name for run in runs]
    short = [short_name(name, names) for name in names]
    assert short == ["20260101-101500", "102000", "20260102-101500", "renamed", "102000-2"]
    assert [find_run(text, tmp_path) for text in short] == runs


def test_the_name_to_type_still_means_the_run_when_others_have_begun(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (run,) = made(RUNS_DIR, "a-20260101-000000")
    typed = typed_name(run)
    made(RUNS_DIR, "a-20260101-000000-2", "a-20260101-000001", "a-20260102-000000")
    assert find_run(typed) == run


def test_outside_runs_the_path_is_typed(tmp_path: Path) -> None:
    (run,) = made(tmp_path / "elsewhere", "a-20260101-000000")
    assert find_run(typed_name(run)) == run


def test_a_start_of_several_names_says_what_means_the_newest_of_all(tmp_path: Path) -> None:
    made(tmp_path, "a-20260101-000000", "a-20260102-000000")
    with pytest.raises(
        RunDirectoryError, match=r"give more of the name, or .*or latest, which is the newest run of all"
    ):
        find_run("a", tmp_path)


@pytest.mark.parametrize("name", ["--plugin=helper.py", "-rf", "~root", "a b", "$(id)"])
def test_what_is_typed_for_a_run_is_no_flag_and_no_home(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.chdir(tmp_path)
    for run in (record_run(RUNS_DIR / name), record_run(Path(f"{name}2"))):
        typed = shlex.split(typed_name(run))
        assert len(typed) == 1
        assert not typed[0].startswith(("-", "~"))
        assert find_run(typed[0]).samefile(run)
