"""A whole run through the door that users take, and what is wrong with what came of it.

Right is a verdict, or one sentence of ours. Wrong is a traceback, the name of an exception in a text, a success that
was not shown, a figure that is none in a verdict.
"""

from __future__ import annotations

import io
import json
import re
import signal
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path

import attrs
import pytest

from jepa_core.cli import main
from jepa_core.exit_codes import explained
from jepa_core.presentation.training_screen import TrainingScreen
from jepa_core.recipes.writing import recipe_to_toml
from jepa_core.run_directory.reading import RunReader
from jepa_core.watch.nulls import FEWEST_CANDIDATES, FEWEST_TASKS
from tests.odd_data import odd_sequences
from tests.odd_data.cases import Case

PLUGIN = Path(odd_sequences.__file__)
_ENDED = {0, 3, 4}
_KNOWN = _ENDED | {1, 2, 130, 143}
_RAW = re.compile(
    r"Traceback|\b[A-Z]\w*(Error|Exception|Warning)\b|\b\w+\.py\b[^\n]*line \d|^Contract: |autopsy", re.MULTILINE
)


@attrs.define
class Outcome:
    """What came of a case."""

    code: int | None = None
    """Of the run; None where it never came to a code."""
    said: str = ""
    """By the run."""
    faults: list[str] = attrs.field(factory=list)


def whole_run(case: Case, folder: Path, *, further: bool) -> Outcome:
    """Check, train, stop, resume, judge, and evaluate or embed; `further` does both, audits, draws and exports."""
    outcome = Outcome()
    data = folder / "data"
    data.mkdir()
    table = {**case.table, "data": case.data(data)}
    (folder / "odd.toml").write_text(recipe_to_toml(table))
    recipe, plugin = str(folder / "odd.toml"), ("--plugin", str(PLUGIN))
    runs = folder / "runs"
    stopped = case.number % 3 == 0
    audit = () if further or case.number % 2 else ("--no-audit",)
    with _stopped_after_a_step() if stopped else _nothing():
        code = _call(outcome, "run", recipe, *audit, "--runs-dir", str(runs), "--device", "cpu", *plugin)
    paths = sorted(runs.iterdir()) if runs.is_dir() else []
    if code == 143:
        code = _call(outcome, "run", "--resume", str(paths[0]), *plugin)
        if code not in _ENDED:
            outcome.faults.append(f"it does not go on: {outcome.said.strip()}")
    outcome.code = code
    if further:
        _call(outcome, "audit", recipe, "--device", "cpu", *plugin, *(("--json",) if case.number % 2 else ()))
    if code in (1, 2) and not paths:
        return outcome
    if not paths:
        outcome.faults.append(f"exit code {code}, and no run directory")
        return outcome
    run = paths[0]
    _judge_recorded(outcome, run)
    if code not in _ENDED or not list((run / "checkpoints").glob("step-*")):
        return outcome
    _call(outcome, "verdict", str(run))
    _call(outcome, "check", str(run))
    if further or case.number % 2:
        _call(outcome, "eval", str(run), "--device", "cpu", *plugin)
    if further or not case.number % 2:
        _call(outcome, "embed", str(run), "-o", str(folder / "embedded.npz"), "--device", "cpu", *plugin)
    if further:
        _call(outcome, "plot", str(run), "-o", str(folder / "map.png"), "--device", "cpu", *plugin)
        _call(outcome, "export", str(run), "-o", str(folder / "encoder.pt2"), "--device", "cpu", *plugin)
    return outcome


def _call(outcome: Outcome, *arguments: str) -> int | None:
    """The exit code of a command; what is wrong with what it says is noted."""
    out, err = io.StringIO(), io.StringIO()
    command = arguments[0]
    code: int | None = None
    try:
        with redirect_stdout(out), redirect_stderr(err):
            main(arguments)
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else 0
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt):
            raise
        outcome.faults.append(f"{command}: {type(error).__name__}: {error}\n{traceback.format_exc()}")
        return None
    said = out.getvalue() + err.getvalue()
    if command == "run":
        outcome.said = err.getvalue() or out.getvalue()
    if code not in _KNOWN:
        outcome.faults.append(f"{command}: exit code {code}")
    raw = _RAW.search(said.replace(explained(arguments, code), "") if code else said)
    if raw:
        line = next((line for line in said.splitlines() if raw[0] in line), raw[0])
        outcome.faults.append(f"{command} says {line!r}")
    if code in (1, 2) and not err.getvalue().strip():
        outcome.faults.append(f"{command}: exit code {code} without a word")
    if code in (1, 2) and command in ("verdict", "check", "compare", "embed"):
        outcome.faults.append(f"{command} refuses: {err.getvalue().strip()}")
    return code


def _judge_recorded(outcome: Outcome, run: Path) -> None:
    """What a run's files say."""
    reader = RunReader(run)
    failed = {**(reader.nulls().failed if (run / "environment.json").exists() else {})}
    outcome.faults += [f"the null {name} failed: {why}" for name, why in failed.items()]
    for event in reader.events():
        raw = _RAW.search(event.message) or ("traceback" in (event.evidence or {}) and event.message)
        if raw:
            outcome.faults.append(f"event {event.name}: {event.message}\n{(event.evidence or {}).get('traceback', '')}")
    verdict = reader.verdict()
    if outcome.code in _ENDED and verdict is None:
        outcome.faults.append(f"exit code {outcome.code}, and no verdict")
    if verdict is None:
        return
    retrieval = verdict.retrieval
    if verdict.outcome == "success" and (
        retrieval is None or (retrieval.candidates or 0) < FEWEST_CANDIDATES or (retrieval.tasks or 0) < FEWEST_TASKS
    ):
        outcome.faults.append(f"a success on too few: {verdict.reason}")
    if "nan" in json.dumps(verdict.reason).lower().split():
        outcome.faults.append(f"the verdict says {verdict.reason}")


@contextmanager
def _nothing() -> Iterator[None]:
    yield


@contextmanager
def _stopped_after_a_step() -> Iterator[None]:
    """A run gets a SIGTERM once its first step is told."""
    progress = TrainingScreen.progress

    def progress_and_stop(screen: TrainingScreen, step: int, epoch: float) -> None:
        progress(screen, step, epoch)
        if step == 1:
            signal.raise_signal(signal.SIGTERM)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(TrainingScreen, "progress", progress_and_stop)
        yield
