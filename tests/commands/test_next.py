"""What is printed to type next, over the ways in which a run can end: each command works on what there is.

The run is made with a local plugin, and every path has a blank in it.
"""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import attrs
import pytest

from jepa_core.run_directory.layout import VERDICT
from jepa_core.run_directory.status import read_status, write_status
from jepa_core.run_directory.writing import RunWriter
from tests.commands.reading import called
from tests.conftest import TINY

PARTS = Path(__file__).parents[1] / "engine" / "failing_parts.py"
_COMMAND = re.compile(r"\bjepa (?:run|rollback|eval|monitor|verdict|autopsy|check|checkpoints|recipe) .*")
_ENDS = re.compile(r"  +| #")
SAYING: tuple[tuple[str, ...], ...] = (
    ("autopsy",), ("checkpoints",), ("verdict",), ("monitor", "--once"), ("run", "--resume"), ("rollback",),
)  # fmt: skip
"""Commands that print what to type next; the last two only where they refuse to do anything."""

END = "watch.abort=[{id='--end', when='step > 3'}]"
"""A rule that stops a run, whose name reads as a flag."""
STOPPED = {
    "stopped": "",
    "stopped, where a rule's change can be made": "set={optimizer={lr=1e-4}}",
    "stopped, where it is in the recipe already": "set={train={seed=3}}",
    "stopped, where it makes no model": "set={aggregator={kind='attention_pool', heads=3}}",
    "stopped, where it is a recipe for other data": "use='digits'",
}
"""The change of a rollback rule that fires before a run is stopped."""


@attrs.frozen(kw_only=True)
class Made:
    """Runs that were trained, and what was printed meanwhile."""

    folder: Path
    finished: Path
    must_failed: Path
    not_finite: Path
    rolled_back: Path
    child: Path
    stopped: dict[str, Path]
    said: str


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    folder = tmp_path_factory.mktemp("made") / "my work"
    folder.mkdir()
    (folder / "tiny.toml").write_text(TINY)
    plugin = Path(shutil.copy(PARTS, folder / "parts.py"))
    said, runs = "", folder / "my runs"

    def train(*flags: str, breaks_after: int = 999, code: int) -> Path:
        nonlocal said
        before = set(runs.glob("*"))
        ended = called(
            ["run", str(folder / "tiny.toml"), "--runs-dir", str(runs), "--no-audit", "--plugin", str(plugin),
             "--set", "aggregator.kind=fragile", "--set", f"aggregator.breaks_after={breaks_after}",
             "--set", "diagnostics.every_steps=100", "--set", "checkpoint.every_steps=1", *flags]
        )  # fmt: skip
        assert ended.code == code, ended.said
        said += ended.out
        (run,) = set(runs.glob("*")) - before
        return run

    finished = train(code=0)
    must = "watch.must=[{id='high', when='val.retrieval.mrr > 2'}]"
    must_failed = train("--set", must, code=4)
    not_finite = train(breaks_after=4, code=3)
    stopped = {}
    for name, own in STOPPED.items():
        rule = f"watch.rollback=[{{id='far', when='step > 2', {own}}}]"
        stopped[name] = train("--set", END, *(["--set", rule] if own else []), code=3)
    rolled_back = shutil.copytree(not_finite, runs / "parent")
    change = ["--set", "aggregator.kind=mean", "--plugin", str(plugin)]
    ended = called(["rollback", str(rolled_back), "--scenario", "non-finite", *change])
    assert ended.code in (0, 4), ended.said
    status = read_status(rolled_back)
    assert status is not None
    return Made(
        folder=folder, finished=finished, must_failed=must_failed, not_finite=not_finite, rolled_back=rolled_back,
        child=runs / status.child, stopped=stopped, said=said,
    )  # fmt: skip


def dead() -> int:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def left(made: Made, folder: Path, event: str = "", **status: object) -> Path:
    """A copy of the run that finished, as it stood before its end."""
    run = shutil.copytree(made.finished, folder / "a run")
    (run / VERDICT).unlink()
    newest = max((run / "checkpoints").iterdir(), key=lambda path: int(path.name.partition("-")[2]))
    shutil.rmtree(newest)
    with RunWriter(run) as writer:
        if event:
            writer.event(event, "critical", "metrics.jsonl cannot be written: No space left on device")
    before = read_status(run)
    assert before is not None
    write_status(run, attrs.evolve(before, pid=dead(), exit_code=None, **status))  # type: ignore[arg-type]
    return run


ENDS: dict[str, Callable[[Made, Path], Path]] = {
    "finished": lambda made, _: made.finished,
    "a must failed": lambda made, _: made.must_failed,
    "not finite": lambda made, _: made.not_finite,
    "rolled back": lambda made, _: made.rolled_back,
    "a child that finished": lambda made, _: made.child,
    "killed": lambda made, folder: left(made, folder, state="running"),
    "interrupted": lambda made, folder: left(made, folder, state="interrupted"),
    "a full disk": lambda made, folder: left(made, folder, "write failed", state="running"),
    "failed": lambda made, folder: left(made, folder, "failed", state="failed"),
    **{name: partial(lambda made, _, name: made.stopped[name], name=name) for name in STOPPED},
}


def printed(text: str) -> list[list[str]]:
    """The commands in a text, as arguments, with what stands for a change filled in."""
    found = [_ENDS.split(command[0])[0] for command in _COMMAND.finditer(text)]
    whole = [
        command.replace("KEY=VALUE", "optimizer.lr=1e-4").replace("epochs=N", "epochs=3")
        for command in found
        if "RECIPE" not in command
    ]
    return [shlex.split(command)[1:] for command in dict.fromkeys(whole)]


def worked(arguments: list[str]) -> None:
    """Call a command that was printed: as it is where it is quick, else as far as it can be tried."""
    if arguments[0] == "rollback":
        arguments = [*arguments, "--dry-run"]
    elif arguments[0] == "run" and "--resume" not in arguments:
        arguments = ["recipe", "check", arguments[1], *arguments[arguments.index("--plugin") :]]
    ended = called(arguments)
    # What a run comes to is no failure of the command: a batch that was not finite is so again.
    allowed = (0, 3, 4) if arguments[:2] == ["run", "--resume"] or arguments[0] == "check" else (0,)
    assert ended.code in allowed, f"{shlex.join(arguments)}\n{ended.said}"
    assert "nothing left to train" not in ended.out


@pytest.mark.parametrize("end", ENDS)
def test_what_is_said_to_type_next_works(made: Made, tmp_path: Path, end: str) -> None:
    folder = tmp_path / "two words"
    folder.mkdir()
    run, commands = ENDS[end](made, folder), list[list[str]]()
    plugin = ["--plugin", str(made.folder / "parts.py")]
    for name, *flags in SAYING:
        if name == "run" and end not in ("finished", "a must failed", "rolled back", *STOPPED):
            continue  # it would go on
        given = [*plugin, "--dry-run"] if name == "rollback" else plugin if name == "run" else []
        ended = called([name, *flags, str(run), *given])
        commands += [each for each in printed(ended.said) if each not in commands and "STEP" not in each]
    assert commands
    assert end not in STOPPED or len([each for each in commands if each[0] == "rollback"]) > 1
    for command in sorted(commands, key=lambda each: each[0] == "run"):
        worked(command)


def test_a_run_after_a_recipes_fault_is_not_resumed(made: Made, tmp_path: Path) -> None:
    run = left(made, tmp_path, "failed", state="failed")
    status = read_status(run)
    assert status is not None
    write_status(run, attrs.evolve(status, exit_code=2))
    (command,) = printed(called(["autopsy", str(run)]).out)
    assert command[:2] == ["run", f"{run}/recipe.toml"]
    worked(command)


def test_what_a_run_says_at_its_end_works(made: Made) -> None:
    commands = [each for each in printed(made.said) if each[0] in ("eval", "rollback")]
    assert {each[0] for each in commands} == {"eval", "rollback"}
    assert any("--scenario=--end" in each for each in commands)
    for command in commands:
        worked(command)


def test_what_a_resume_with_another_change_says_works(made: Made) -> None:
    ended = called(["run", "--resume", str(made.not_finite), "--set", "optimizer.lr=1e-4"])
    assert ended.code == 2
    rollback, anew = printed(ended.error.replace("STEP", "4"))
    assert rollback[:3] == ["rollback", str(made.not_finite), "--to"]
    for command in (rollback, anew):
        assert command[-2:] == ["--plugin", str(made.folder / "parts.py")]
        worked(command)
