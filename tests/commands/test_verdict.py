from __future__ import annotations

from pathlib import Path

import orjson
import pytest

from jepa_core.commands.verdict import verdict
from jepa_core.errors import RunDirectoryError
from jepa_core.rollback.lineage import Lineage, write_lineage
from jepa_core.run_directory.recorded_files import with_plugin_flags
from jepa_core.run_directory.status import State
from jepa_core.run_directory.writing import RunWriter
from jepa_core.watch.judge import Judge
from jepa_core.watch.outcome import reach_verdict
from jepa_core.watch.rules import Criterion, Watch
from tests.run_directory.runs import record_run


def judged_run(path: Path) -> Path:
    judge = Judge(Watch(must=(Criterion(id="use", when="vq.usage > 0.1"),)))
    judge.observe({"epoch": 1, "vq.usage": 0.05})
    record_run(path)
    with RunWriter(path) as run:
        run.write_verdict(reach_verdict(judge, run=path))
        run.status.update(state="finished")
    return path


def test_the_verdict_is_shown_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    judged_run(tmp_path / "a-20260101-000000")
    verdict("a-2026", runs_dir=tmp_path)
    assert capsys.readouterr().out.startswith("Verdict: no baseline · 1 of 1 musts failed")


@pytest.mark.parametrize("marked", [True, False])
def test_the_verdict_of_a_run_that_was_rolled_back_since_names_the_child(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], marked: bool
) -> None:
    """Also where the child's maker was killed before it could mark the run."""
    path = judged_run(tmp_path / "a-20260101-000000")
    child = record_run(tmp_path / "a-20260101-000001")
    if marked:
        with RunWriter(path) as run:
            run.status.update(state="rolled_back", child=child.name)
    else:
        write_lineage(child, Lineage(parent=path.name))
    verdict(str(path))
    out = capsys.readouterr().out
    assert out.endswith("rolled back since: a-20260101-000001 goes on in its place.\n")
    assert f"\nNext: jepa autopsy {child}  " in out
    assert "jepa monitor" not in out


def test_what_to_type_names_the_run_where_it_is_now(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = judged_run(tmp_path / "a-20260101-000000")
    moved = path.rename(tmp_path / "two words")
    monkeypatch.chdir(tmp_path)
    verdict(str(moved))
    assert f"\nNext: jepa monitor '{moved}' --once  " in capsys.readouterr().out


@pytest.mark.parametrize("content", [b"\x9d\xff\x00", b"[]", b'{"outcome": 3}', b""])
def test_a_damaged_verdict_is_said_plainly_with_what_to_type(tmp_path: Path, content: bytes) -> None:
    path = judged_run(tmp_path / "a-20260101-000000")
    (path / "verdict.json").write_bytes(content)
    with pytest.raises(RunDirectoryError) as caught:
        verdict(str(path))
    assert str(caught.value) == (
        f"{path}/verdict.json is damaged: it holds no verdict that can be read.\n"
        f"What its rows come to, judged again: jepa check {path}\n"
        f"What else it recorded, and how to go on: jepa autopsy {path}"
    )


def test_json_has_outcome_and_exit_code(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    verdict(str(judged_run(tmp_path / "a-20260101-000000")), json=True)
    printed = orjson.loads(capsys.readouterr().out)
    assert (printed["outcome"], printed["exit_code"], printed["run"]) == ("no baseline", 4, "a-20260101-000000")


@pytest.mark.parametrize(
    ("state", "told"),
    [
        ("interrupted", r"has no verdict: it is interrupted\.\n.*jepa monitor .*a-20260101-000000 --once"),
        ("failed", r"has no verdict: it failed\.\nWhat ended it: jepa autopsy .*a-20260101-000000$"),
        ("running", r"has no verdict: its process died\.\nWhat ended it: jepa autopsy .*a-20260101-000000$"),
    ],
)
def test_a_run_without_a_verdict_says_where_it_stands(tmp_path: Path, state: State, told: str) -> None:
    record_run(tmp_path / "a-20260101-000000", state=state, pid=1 << 22)
    with pytest.raises(RunDirectoryError, match=told):
        verdict(runs_dir=tmp_path)


@pytest.mark.parametrize(
    ("recorded", "said"),
    [
        ("curl http://x | sh; jepa eval 'a  # the best checkpoint", ""),
        ("curl http://x | sh", ""),
        ("jepa export a -o /home/me/.bashrc", ""),
        ("jepa eval a; curl x | sh  # why", "Next: jepa eval 'a;' curl x '|' sh        why"),
        ("jepa eval a $(touch x) `id`", "Next: jepa eval a '$(touch' 'x)' '`id`'"),
        ("jepa eval a --plugin evil.py --plugin=more.py --set data.seed=1", "Next: jepa eval a --set data.seed=1"),
    ],
)
def test_what_a_stranger_s_verdict_says_to_type_runs_nothing_else(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], recorded: str, said: str
) -> None:
    path = judged_run(tmp_path / "b-20260101-000000")
    written = orjson.loads((path / "verdict.json").read_bytes())
    (path / "verdict.json").write_bytes(orjson.dumps({**written, "next": recorded}))
    verdict(str(path))
    assert next((line for line in capsys.readouterr().out.splitlines() if line.startswith("Next:")), "") == said


def test_a_command_is_not_cut_off(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = judged_run(tmp_path.joinpath(*["d" * 200] * 4) / "a-20260101-000000")
    verdict(str(path))
    assert str(path) in capsys.readouterr().out


def test_a_plugin_file_is_named_where_it_is_and_never_one_that_came_with_the_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = record_run(tmp_path / "runs" / "a-20260101-000000")
    (tmp_path / "below").mkdir()

    def flags(file: Path | str, here: Path, named: Path) -> str:
        monkeypatch.chdir(here)
        (run / "environment.json").write_bytes(orjson.dumps({"plugin_files": [{"path": str(file), "sha256": ""}]}))
        return with_plugin_flags("jepa eval a  # why", named)

    mine, theirs = tmp_path / "my.py", run / "their.py"
    relative = Path("runs") / run.name
    assert flags(mine, tmp_path, relative) == "jepa eval a --plugin my.py  # why"
    assert flags(mine, tmp_path / "below", Path("..") / relative) == f"jepa eval a --plugin {mine}  # why"
    for file in (theirs, run.parent / "their.py", "their.py", run / ".." / "their.py"):
        assert flags(file, tmp_path, relative) == "jepa eval a --plugin FILE  # why"
