"""A session: a run directory that says what it is, and nothing left of what never began."""

from __future__ import annotations

import json
import os
import shutil
import signal
import time
import tomllib
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, ClassVar

import attrs
import pytest
import torch

from jepa_core.audit.opening_audit import opening_audit
from jepa_core.contracts import Observations, SequenceDataset
from jepa_core.engine.batches import BatchStream
from jepa_core.engine.calendar import Calendar
from jepa_core.engine.checkpoint import CheckpointFolder, load_checkpoint, same_tree
from jepa_core.engine.course import Course, Position
from jepa_core.engine.diagnostics import Diagnostics
from jepa_core.engine.evaluation import Validation
from jepa_core.engine.interruption import StoppedBeforeTraining
from jepa_core.engine.opening import Conclusion, Opening
from jepa_core.engine.session import train_recipe
from jepa_core.engine.starting import LostRows
from jepa_core.errors import CheckpointError, DataError, DeviceError, PluginError, RecipeError, RunDirectoryError
from jepa_core.metrics import Metric
from jepa_core.recipes.reading import LoadedRecipe, load_recipe
from jepa_core.recipes.tables import Recipe
from jepa_core.registry import installed
from jepa_core.run_directory.lock import RunLock
from jepa_core.run_directory.reading import RunReader
from jepa_core.run_directory.status import Status, read_status, write_status
from jepa_core.watch.best_checkpoint import NOISE
from jepa_core.watch.findings import Severity
from tests.engine.training import lasting

Change = Callable[[LoadedRecipe], LoadedRecipe]
"""Of a recipe, in ways that no recipe file could."""


def unchanged(loaded: LoadedRecipe) -> LoadedRecipe:
    return loaded


def on(data: Any) -> Change:
    """With another dataset configuration."""
    return lambda loaded: attrs.evolve(loaded, recipe=attrs.evolve(loaded.recipe, data=data))


class Watcher:
    """A screen that keeps what it is shown, and may interfere."""

    def __init__(self, opening: Opening, interfere: Callable[[int], None] = lambda _: None) -> None:
        self.opening = opening
        self.rows: list[Mapping[str, float]] = []
        self.messages: list[str] = []
        self.steps: list[int] = []
        self.interfere = interfere

    def __enter__(self) -> Watcher:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        pass

    def progress(self, step: int, epoch: float) -> None:
        self.steps.append(step)
        self.interfere(step)

    def row(self, row: Mapping[str, float]) -> None:
        self.rows.append(row)

    def notice(self, message: str) -> None: ...

    def event(self, severity: Severity, message: str, advice: str) -> None:
        self.messages.append(message)


class Sessions:
    """Trains the tiny recipe in a folder of runs."""

    def __init__(self, recipe_file: Path) -> None:
        self.recipe_file = recipe_file
        self.runs_dir = recipe_file.parent / "runs"
        self.screen: Watcher | None = None

    def start(self, *overrides: str, change: Change = unchanged, **more: Any) -> Conclusion:
        loaded = load_recipe(self.recipe_file, overrides=overrides, registry=installed())
        return self._train(change(loaded), resume=None, **more)

    def resume(self, run: Path, *, change: Change = unchanged, **more: Any) -> Conclusion:
        loaded = load_recipe(run / "recipe.toml", registry=installed())
        return self._train(change(loaded), resume=run, **more)

    def stop(self, *overrides: str, after: int) -> Path:
        """A run interrupted after so many steps; returns its directory."""

        def send(step: int) -> None:
            if step == after:
                signal.raise_signal(signal.SIGTERM)

        conclusion = self.start(*overrides, interfere=send)
        assert conclusion.ending.step == after
        return conclusion.path

    def _train(
        self,
        loaded: LoadedRecipe,
        *,
        resume: Path | None,
        device: str = "cpu",
        interfere: Callable[[int], None] = lambda _: None,
        audit: bool = False,
    ) -> Conclusion:
        def open_screen(opening: Opening) -> Watcher:
            self.screen = Watcher(opening, interfere)
            return self.screen

        return train_recipe(
            loaded,
            device=device,
            runs_dir=self.runs_dir,
            resume=resume,
            open_screen=open_screen,
            audit=opening_audit if audit else None,
        )

    def left(self) -> list[Path]:
        """Run directories there are."""
        return sorted(self.runs_dir.iterdir()) if self.runs_dir.exists() else []


@pytest.fixture
def sessions(tiny_recipe_file: Path) -> Sessions:
    return Sessions(tiny_recipe_file)


def events_of(run: Path) -> list[tuple[str, str]]:
    return [(event.name, event.severity) for event in RunReader(run).events()]


def test_a_whole_run_leaves_everything_that_is_known_of_it(sessions: Sessions) -> None:
    conclusion = sessions.start("checkpoint.every_steps=4")
    run = RunReader(conclusion.path)
    status, rows = run.status(), list(run.rows())
    assert (conclusion.exit_code, conclusion.ending.kind) == (0, "finished")
    assert status is not None
    assert (status.state, status.step, status.epoch, status.total_steps, status.exit_code) == ("finished", 6, 1, 6, 0)
    assert [row["step"] for row in rows] == [1, 2, 3, 4, 5, 6]
    assert events_of(conclusion.path) == [
        ("started", "info"),
        ("checkpoint", "info"),
        ("checkpoint", "info"),
        ("finished", "info"),
    ]
    assert run.verdict() == conclusion.verdict
    diagnoses = [json.loads(line) for line in (conclusion.path / "diagnostics.jsonl").read_text().splitlines()]
    assert [diagnosis["step"] for diagnosis in diagnoses] == [2, 4, 6]
    assert diagnoses[0].keys() >= {"spectrum", "code_counts", "time_weights"}
    environment = run.environment()
    assert environment["precision"] == "fp32"
    assert len(environment["data_fingerprint"]) == 64
    assert environment["packages"]["torch"]


def test_the_recorded_recipe_reproduces_the_run(sessions: Sessions) -> None:
    first = sessions.start("encoder.dropout=0.1", "losses.invariance.weight=0.1", "watch.early_stop.patience=9")
    again = load_recipe(first.path / "recipe.toml", registry=installed())
    original = load_recipe(
        sessions.recipe_file,
        overrides=["encoder.dropout=0.1", "losses.invariance.weight=0.1", "watch.early_stop.patience=9"],
        registry=installed(),
    )
    assert again.recipe == original.recipe
    sessions.recipe_file = first.path / "recipe.toml"
    second = sessions.start()
    rows = [[lasting(row) for row in RunReader(run).rows()] for run in (first.path, second.path)]
    assert rows[0] == rows[1]


def test_the_recorded_recipe_holds_the_declarations_of_every_metric_in_the_rows(sessions: Sessions) -> None:
    run = RunReader(sessions.start("losses.invariance.weight=0.1").path)
    declared = {metric["name"] for metric in run.recipe()["metrics"]}
    groups = tuple(name.removesuffix("*") for name in declared if name.endswith("*"))
    for row in run.rows():
        assert [name for name in row if name not in declared and not name.startswith(groups)] == []


def test_the_screen_is_told_the_lengths_then_every_step_row_and_event(sessions: Sessions) -> None:
    conclusion = sessions.start()
    screen = sessions.screen
    assert screen is not None
    assert screen.opening.total_steps == 6
    assert screen.opening.num_parameters > 1000
    assert screen.opening.path == conclusion.path
    assert screen.opening.resumed_at is None
    assert screen.steps == [1, 2, 3, 4, 5, 6]
    assert [row["step"] for row in screen.rows] == [1, 2, 3, 4, 5, 6]
    assert screen.messages[0].startswith("Training starts: 6 steps on ")


def test_a_resumed_session_goes_on_as_if_it_had_never_stopped(sessions: Sessions) -> None:
    straight = sessions.start()
    stopped = sessions.stop(after=3)
    assert RunReader(stopped).status() is not None
    resumed = sessions.resume(stopped)
    assert resumed.exit_code == 0
    states = [
        load_checkpoint(CheckpointFolder(run / "checkpoints", keep=2).all()[-1]) for run in (straight.path, stopped)
    ]
    assert same_tree(*states)
    rows = [[lasting(row) for row in RunReader(run).rows()] for run in (straight.path, stopped)]
    assert rows[0] == rows[1]
    names = [name for name, _ in events_of(stopped)]
    assert names == ["started", "checkpoint", "interrupted", "resumed", "checkpoint", "finished"]


def test_a_stop_is_acknowledged_before_training_ends(sessions: Sessions) -> None:
    def stop(step: int) -> None:
        if step == 3:
            signal.raise_signal(signal.SIGTERM)
            deadline = time.monotonic() + 2
            while len(told()) < 2 and time.monotonic() < deadline:
                time.sleep(0.001)

    def told() -> list[str]:
        assert sessions.screen is not None
        return sessions.screen.messages

    assert sessions.start(interfere=stop).ending.step == 3
    assert [message.split()[0] for message in told()] == ["Training", "Stopping:", "Checkpoint"]


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of what torch imports to compile
@pytest.mark.parametrize(("stopped_in", "said"), [(0, "Stopping once the step is compiled"), (2, "Stopping: the step")])
def test_a_stop_while_the_step_is_compiled_says_at_once_that_it_waits_for_that(
    sessions: Sessions, stopped_in: int, said: str
) -> None:
    def stop(step: int) -> None:
        if step == stopped_in and not stopping():
            signal.raise_signal(signal.SIGTERM)
            deadline = time.monotonic() + 2
            while not stopping() and time.monotonic() < deadline:
                time.sleep(0.001)

    def stopping() -> list[str]:
        assert sessions.screen is not None
        return [message for message in sessions.screen.messages if message.startswith("Stopping")]

    with torch.compiler.set_stance("force_eager"):  # there is nothing to compile here, and much time to save
        conclusion = sessions.start("train.compile=true", "train.accumulate=2", interfere=stop)
    assert conclusion.exit_code == 143
    assert len(stopping()) == 1
    assert stopping()[0].startswith(said)


@pytest.mark.parametrize(
    ("look", "at", "said"),
    [(Validation, 6, "Stopping once the validation is done"), (Diagnostics, 4, "Stopping once the diagnosis is done")],
)
def test_a_stop_while_the_model_is_looked_at_says_that_it_waits_for_that_and_gives_no_step_up(
    sessions: Sessions, monkeypatch: pytest.MonkeyPatch, look: type, at: int, said: str
) -> None:
    def stopped(*asked: Any, **more: Any) -> Any:
        if not stopping():
            signal.raise_signal(signal.SIGINT)
            deadline = time.monotonic() + 2
            while not stopping() and time.monotonic() < deadline:
                time.sleep(0.001)
        return look_once(*asked, **more)

    def stopping() -> list[str]:
        messages = sessions.screen.messages if sessions.screen is not None else []
        return [message for message in messages if message.startswith("Stopping")]

    look_once: Callable[..., Any] = look.__call__
    monkeypatch.setattr(look, "__call__", stopped)
    conclusion = sessions.start("train.epochs=2", "diagnostics.every_steps=4")
    (message,) = stopping()
    assert message.startswith(said)
    assert "given up" not in message
    assert (conclusion.exit_code, conclusion.ending.step) == (130, at)
    (checkpoint,) = CheckpointFolder(conclusion.path / "checkpoints", keep=2).all()
    assert checkpoint.step == at, "nothing is given up of the step whose model was looked at"
    assert [*RunReader(conclusion.path).rows()][-1]["step"] == at


def test_a_stop_while_the_last_checkpoint_is_written_says_that_the_run_comes_to_its_end(
    sessions: Sessions, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stopped(folder: CheckpointFolder, step: int, states: Any) -> Any:
        signal.raise_signal(signal.SIGINT)
        deadline = time.monotonic() + 2
        while not said() and time.monotonic() < deadline:
            time.sleep(0.001)
        return save(folder, step, states)

    def said() -> list[str]:
        messages = sessions.screen.messages if sessions.screen is not None else []
        return [message for message in messages if "Ctrl-C" in message]

    save = CheckpointFolder.save
    monkeypatch.setattr(CheckpointFolder, "save", stopped)
    conclusion = sessions.start()
    (message,) = said()
    assert message.startswith("The run is at its end: its last checkpoint is being written, and its verdict follows.")
    assert (conclusion.exit_code, conclusion.ending.state) == (0, "finished")
    assert conclusion.verdict is not None


def test_a_run_that_is_stopped_in_its_first_step_goes_on_as_any(
    sessions: Sessions, monkeypatch: pytest.MonkeyPatch
) -> None:
    def draw(self: BatchStream, position: Position, following: Position | None = None) -> Observations:
        signal.raise_signal(signal.SIGTERM)
        return drawn(self, position, following)

    straight = sessions.start("train.accumulate=2")
    drawn = BatchStream.draw
    with monkeypatch.context() as patched:
        patched.setattr(BatchStream, "draw", draw)
        stopped = sessions.start("train.accumulate=2")
    assert (stopped.ending.step, stopped.exit_code) == (0, 143)
    resumed = sessions.resume(stopped.path)
    assert resumed.exit_code == 0
    states = [
        load_checkpoint(CheckpointFolder(run / "checkpoints", keep=2).all()[-1])
        for run in (straight.path, stopped.path)
    ]
    assert same_tree(*states)


def test_rows_after_the_last_checkpoint_are_written_again_and_not_twice(sessions: Sessions) -> None:
    run = sessions.stop("checkpoint.every_steps=2", after=5)
    # As if it had been killed before its last checkpoint, in the middle of a row.
    CheckpointFolder(run / "checkpoints", keep=2).all()[-1].path.rename(run / "gone")
    with (run / "metrics.jsonl").open("a") as metrics:
        metrics.write('{"step": 6, "los')
    sessions.resume(run)
    assert [row["step"] for row in RunReader(run).rows()] == [1, 2, 3, 4, 5, 6]


def without_rows(run: Path, *steps: int) -> None:
    """As if a disk had lost them."""
    metrics = run / "metrics.jsonl"
    lines = metrics.read_bytes().splitlines(keepends=True)
    metrics.write_bytes(b"".join(line for line in lines if json.loads(line)["step"] not in steps))


@pytest.mark.parametrize(
    ("steps", "told"),
    [
        ((4, 5), "2 of 5 rows up to step 5 are missing, between steps 3 and 5."),
        ((2,), "1 of 5 rows up to step 5 is missing, between steps 1 and 3."),
        ((1, 3, 4), "3 of 5 rows up to step 5 are missing, between steps 0 and 2; 2 and 5."),
    ],
)
def test_rows_that_were_lost_before_the_checkpoint_are_told_of_on_resume_and_only_once(
    sessions: Sessions, steps: tuple[int, ...], told: str
) -> None:
    run = sessions.stop(after=5)
    without_rows(run, *steps)
    assert sessions.resume(run).exit_code == 0
    (missing,) = (event for event in RunReader(run).events() if event.name == "rows missing")
    assert (missing.severity, missing.message, missing.evidence["missing"]) == ("warning", told, len(steps))
    assert sessions.screen is not None
    assert told in sessions.screen.messages
    (run / "verdict.json").unlink()
    sessions.resume(run)
    assert [name for name, _ in events_of(run)].count("rows missing") == 1


def test_diagnoses_that_are_gone_on_resume_are_told_of_and_only_once(sessions: Sessions) -> None:
    run = sessions.stop("diagnostics.every_steps=1", after=4)
    diagnostics = run / "diagnostics.jsonl"
    lines = diagnostics.read_bytes().splitlines(keepends=True)
    assert len(lines) == 4
    diagnostics.write_bytes(lines[2])
    sessions.resume(run)
    (run / "verdict.json").unlink()
    sessions.resume(run)
    told = [event.message for event in RunReader(run).events() if event.name == "rows missing"]
    assert told == ["3 of 4 diagnoses up to step 4 are missing."]


def test_where_rows_were_due_at_other_steps_it_is_told_how_many_are_lost(sessions: Sessions) -> None:
    run = sessions.stop("diagnostics.every_steps=4", after=5)
    without_rows(run, 2, 3)
    recipe = run / "recipe.toml"
    recipe.write_text(recipe.read_text().replace("log_every_steps = 1\n", "log_every_steps = 5\n"))
    sessions.resume(run)
    (missing,) = (event for event in RunReader(run).events() if event.name == "rows missing")
    assert missing.message == "2 of 5 rows up to step 5 are missing."


def test_of_a_checkpoint_that_claims_more_steps_than_any_run_takes_it_is_not_looked_where_rows_are_missing(
    tiny_recipe: Callable[..., Recipe],
) -> None:
    recipe = tiny_recipe()
    lost = LostRows.of(10**15, [], 10**17, Calendar(recipe, Course.of(recipe, 96)))
    assert lost is not None
    assert (lost.count, lost.gaps) == (10**15, ())


def test_events_that_were_lost_are_told_of_on_resume(sessions: Sessions) -> None:
    run = sessions.stop(after=5)
    events = run / "events.jsonl"
    events.write_bytes(b"".join(events.read_bytes().splitlines(keepends=True)[:1]))
    sessions.resume(run)
    (missing,) = (event for event in RunReader(run).events() if event.name == "events missing")
    assert (missing.severity, missing.message) == ("warning", "2 events are missing that the run had written.")


def test_rows_and_events_reach_the_disk_before_the_checkpoint_that_stands_on_them(
    sessions: Sessions, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[str] = []
    fsync = os.fsync

    def noted(descriptor: int) -> None:
        synced.append(Path(f"/proc/self/fd/{descriptor}").readlink().name)
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", noted)
    sessions.start(interfere=lambda step: synced.clear() if step < 6 else None)
    of_checkpoint = synced.index("state.json")
    assert {"metrics.jsonl", "events.jsonl", "diagnostics.jsonl"} <= set(synced[:of_checkpoint])


@pytest.mark.parametrize("is_replaced", [False, True])
@pytest.mark.parametrize("after", [3, 6])
def test_a_run_whose_directory_is_renamed_stops_says_where_it_is_and_goes_on_there(
    sessions: Sessions, after: int, is_replaced: bool
) -> None:
    straight = sessions.start()
    moved = sessions.runs_dir / "moved"

    def rename(step: int) -> None:
        assert sessions.screen is not None
        if step == after:
            path = sessions.screen.opening.path
            path.rename(moved)
            if is_replaced:
                path.mkdir()

    with pytest.raises(RunDirectoryError) as lost:
        sessions.start(interfere=rename)
    assert sessions.screen is not None
    path = sessions.screen.opening.path
    stopped = min(after + 1, 6)
    assert lost.value.exit_code == 1
    assert str(lost.value) == (
        f"{path} was renamed to {moved} while it was trained: training stopped after step {stopped}, whose checkpoint "
        f"is there. Go on with: jepa run --resume {moved}"
    )
    assert list(path.iterdir()) == [] if is_replaced else not path.exists()
    status = RunReader(moved).status()
    assert status is not None
    assert (status.state, status.exit_code) == ("failed", 1)
    assert [checkpoint.step for checkpoint in CheckpointFolder(moved / "checkpoints", keep=2).all()][-1] == stopped
    assert sessions.resume(moved).exit_code == 0
    states = [
        load_checkpoint(CheckpointFolder(run / "checkpoints", keep=2).all()[-1]) for run in (straight.path, moved)
    ]
    assert same_tree(*states)
    rows = [[lasting(row) for row in RunReader(run).rows()] for run in (straight.path, moved)]
    assert rows[0] == rows[1]


@pytest.mark.parametrize("after", [3, 6])
def test_a_run_whose_directory_is_removed_stops_and_says_that_nothing_is_left(sessions: Sessions, after: int) -> None:
    def remove(step: int) -> None:
        assert sessions.screen is not None
        if step == after:
            shutil.rmtree(sessions.screen.opening.path)

    with pytest.raises(RunDirectoryError, match=f"was removed.*stopped after step {min(after + 1, 6)}, and nothing"):
        sessions.start(interfere=remove)
    assert sessions.left() == []


def test_a_run_goes_on_without_its_lock_file_and_nobody_else_trains_it(sessions: Sessions) -> None:
    refused: list[str] = []

    def delete(step: int) -> None:
        assert sessions.screen is not None
        run = sessions.screen.opening.path
        if step == 2:
            (run / "run.lock").unlink()
            with pytest.raises(RunDirectoryError) as error:
                RunLock(run)
            refused.append(str(error.value))

    conclusion = sessions.start(interfere=delete)
    assert (conclusion.exit_code, len(refused)) == (0, 1)
    assert "is in use by" in refused[0]
    assert (conclusion.path / "run.lock").stat().st_size > 0


def test_a_folder_that_took_the_place_of_a_run_that_never_began_is_not_removed(sessions: Sessions) -> None:
    with pytest.raises(DataError):
        sessions.start(change=on(ReplacesTheRun(sessions.runs_dir)))
    assert {path.name for path in sessions.left()[0].iterdir()} == {"mine"}


def test_a_damaged_checkpoint_is_told_of_and_the_one_before_is_used(sessions: Sessions) -> None:
    run = sessions.stop("checkpoint.every_steps=2", after=5)
    (run / "checkpoints" / "step-5" / "state.json").write_text("{}")
    sessions.resume(run)
    assert sessions.screen is not None
    assert sessions.screen.opening.resumed_at == 4
    told = [message for message in sessions.screen.messages if "step-5: state.json is damaged" in message]
    assert len(told) == 1
    verdict = RunReader(run).verdict()
    assert verdict is not None
    assert [finding.message for finding in verdict.findings] == told


def test_without_any_good_checkpoint_a_resume_is_refused_with_what_is_wrong_with_each(sessions: Sessions) -> None:
    run = sessions.stop(after=2)
    (run / "checkpoints" / "step-2" / "state.json").write_text("{}")
    with pytest.raises(
        CheckpointError, match=r"(?s)cannot be resumed.*step-2: state.json is damaged.*Start a new run"
    ) as no:
        sessions.resume(run)
    assert "is not the recipe" not in str(no.value)
    status = RunReader(run).status()
    assert status is not None
    assert status.state == "interrupted"


def test_a_resume_on_other_data_is_refused(sessions: Sessions) -> None:
    run = sessions.stop(after=2)

    data: Any = load_recipe(run / "recipe.toml", registry=installed()).recipe.data
    with pytest.raises(DataError, match="its data has changed since it began"):
        sessions.resume(run, change=on(attrs.evolve(data, num_sequences=144)))


def test_a_resume_beside_a_null_that_gives_another_figure_is_refused_and_possible_again_once_it_is_back(
    sessions: Sessions,
) -> None:
    run = sessions.stop(after=2)
    recorded = (run / "environment.json").read_text()
    environment = json.loads(recorded)
    environment["strongest"] = "equal_cells"
    environment["nulls"]["equal_cells"]["mrr"] += 0.1
    (run / "environment.json").write_text(json.dumps(environment))
    with pytest.raises(PluginError, match="'equal_cells', which is not what it was"):
        sessions.resume(run)
    (run / "environment.json").write_text(recorded)
    assert sessions.resume(run).ending.kind == "finished"


def test_warnings_of_rules_that_fired_before_an_interruption_are_in_the_verdict(sessions: Sessions) -> None:
    rule = "watch.rollback=[{id='A', title='always so', when='loss.total > 0'}]"
    run = sessions.stop(rule, after=3)
    sessions.resume(run)
    verdict = RunReader(run).verdict()
    assert verdict is not None
    (finding,) = verdict.findings
    assert (finding.name, finding.step, finding.evidence["first_sign"]) == ("rollback A", 1, 1)
    assert "always so" in finding.message
    assert [name for name, _ in events_of(run)].count("rollback A") == 1


@pytest.mark.parametrize("seed", [3, 4])
def test_the_best_checkpoint_is_kept_and_its_retrieval_is_the_highest_within_noise(
    sessions: Sessions, seed: int
) -> None:
    conclusion = sessions.start("train.epochs=6", "checkpoint.keep=2", f"train.seed={seed}")
    assert conclusion.verdict is not None
    best = conclusion.verdict.best
    assert best is not None
    assert (conclusion.path / best.path / "manifest.json").is_file()
    rows = RunReader(conclusion.path).rows(containing="val.retrieval.mrr")
    retrieval = {row["step"]: row["val.retrieval.mrr"] for row in rows}
    assert retrieval[best.step] >= (1 - NOISE) * max(retrieval.values())
    assert best.why.startswith(("highest retrieval", "retrieval within 1 % of the highest"))
    assert "rank" in best.why


def test_a_non_finite_run_is_aborted_with_a_verdict(sessions: Sessions) -> None:
    conclusion = sessions.start("optimizer.lr=1e30")
    status = RunReader(conclusion.path).status()
    assert conclusion.exit_code == 3
    assert status is not None
    assert (status.state, status.exit_code, status.step) == ("aborted", 3, conclusion.ending.step)
    verdict = RunReader(conclusion.path).verdict()
    assert verdict is not None
    assert verdict.ending == "non-finite"
    command = f"jepa rollback {conclusion.path} --scenario non-finite --set optimizer.lr=0.0003"
    assert verdict.next == f"{command}  # begins anew with the usual learning rate"
    assert "was not finite: first" in verdict.cause
    assert [(finding.name, finding.severity) for finding in verdict.findings] == [("non-finite", "critical")]
    assert "lower optimizer.lr" in verdict.findings[0].advice
    assert ("non-finite", "critical") in events_of(conclusion.path)


@pytest.mark.parametrize(
    ("rules", "expected"),
    [
        (
            ("watch.rollback=[{id='R', when='step > 3.5', set={aggregator={kind='mean'}}}]",),
            "--scenario R  # aggregator.kind attention → mean",
        ),
        (
            ("watch.abort=[{id='A', when='step > 3.5'}]", "checkpoint.every_steps=1"),
            "--scenario A --set KEY=VALUE  # goes on from the last healthy checkpoint",
        ),
        (
            ("watch.abort=[{id='A', when='step > 3.5'}]",),
            "--scenario A --set KEY=VALUE  # begins anew: there is no checkpoint from before it",
        ),
        (
            (
                "watch.abort=[{id='A', when='step > 3.5'}]",
                "watch.rollback=[{id='R', when='step > 1.5', use='tiny'}]",
                "checkpoint.every_steps=1",
            ),
            "--scenario R  # goes on from the last healthy checkpoint",
        ),
    ],
)
def test_after_a_stop_or_a_rollback_rule_the_next_command_is_the_rollback(
    sessions: Sessions, rules: tuple[str, ...], expected: str
) -> None:
    conclusion = sessions.start(*rules)
    assert conclusion.verdict is not None
    assert conclusion.verdict.next == f"jepa rollback {conclusion.path} {expected}"


def test_a_run_that_is_resumed_has_no_verdict_until_it_ends(sessions: Sessions) -> None:
    run = sessions.start("optimizer.lr=1e30", "checkpoint.every_steps=1").path
    assert (run / "verdict.json").exists()
    seen: list[bool] = []
    sessions.resume(run, interfere=lambda _: seen.append((run / "verdict.json").exists()))
    assert not any(seen)
    assert (run / "verdict.json").exists()


def test_an_early_stop_is_a_normal_finish(sessions: Sessions) -> None:
    overrides = ("train.epochs=9", "watch.early_stop.patience=1", "watch.early_stop.min_delta=1000")
    conclusion = sessions.start(*overrides)
    status = RunReader(conclusion.path).status()
    assert conclusion.ending.kind == "early stop"
    assert status is not None
    assert (status.state, status.step, status.exit_code) == ("finished", 12, 0)
    assert "stopped early" in list(RunReader(conclusion.path).events())[-1].message


@attrs.frozen(kw_only=True)
class UnreadableData:
    """Data that is not there."""

    kind = "unreadable"
    metrics = ()
    error: BaseException

    def build(self, facts: object) -> SequenceDataset:
        raise self.error


@pytest.mark.parametrize(
    "error", [DataError("tasks.jsonl: no such file"), ValueError("a plugin's mistake"), KeyboardInterrupt()]
)
def test_data_that_cannot_be_read_leaves_no_run_directory(sessions: Sessions, error: BaseException) -> None:
    with pytest.raises(DataError if isinstance(error, ValueError) else type(error)):
        sessions.start(change=on(UnreadableData(error=error)))
    assert sessions.left() == []


def test_too_large_a_batch_leaves_no_run_directory(sessions: Sessions) -> None:
    with pytest.raises(RecipeError, match="batch_size is 500, but there are only"):
        sessions.start("train.batch_size=500")
    assert sessions.left() == []


def test_too_large_a_share_that_validates_is_named_where_it_leaves_no_batch_to_train(sessions: Sessions) -> None:
    with pytest.raises(RecipeError) as caught:
        sessions.start("data.validation_share=0.9999")
    assert str(caught.value).startswith(
        "train.batch_size is 16, but there are only 6 training sequences, as data.validation_share = 0.9999 takes 114 "
        "of 120 to validate. Use --set data.validation_share=0.2 or less, --set train.batch_size=6 or less, "
    )
    sessions.start("data.validation_share=0.2")


def test_a_device_that_is_not_there_leaves_no_run_directory(sessions: Sessions) -> None:
    with pytest.raises(DeviceError):
        sessions.start(device="tpu")
    assert sessions.left() == []


@attrs.frozen(kw_only=True)
class SlowData:
    """Data during whose loading a signal comes."""

    kind = "slow"
    metrics = ()

    def build(self, facts: object) -> SequenceDataset:
        signal.raise_signal(signal.SIGTERM)
        raise AssertionError("the signal should have ended this")


@attrs.frozen
class ReplacesTheRun:
    """Fails to load, once another folder has the run directory's name."""

    kind: ClassVar[str] = "replaces_the_run"
    metrics: ClassVar[tuple[Metric, ...]] = ()
    runs_dir: Path

    def build(self, facts: Any) -> SequenceDataset:
        (run,) = self.runs_dir.iterdir()
        run.rename(self.runs_dir.parent / "moved")
        run.mkdir()
        (run / "mine").touch()
        raise DataError("no such data")


def test_a_signal_while_data_loads_ends_the_program_and_leaves_nothing(sessions: Sessions) -> None:
    with pytest.raises(StoppedBeforeTraining) as stopped:
        sessions.start(change=on(SlowData()))
    assert stopped.value.code == 143
    assert sessions.left() == []


def test_a_failure_of_a_resume_leaves_the_run_where_it_was(sessions: Sessions) -> None:
    run = sessions.stop(after=2)
    with pytest.raises(DataError):
        sessions.resume(run, change=on(UnreadableData(error=DataError("tasks.jsonl: no such file"))))
    assert events_of(run)[-1] == ("failed", "critical")
    assert sessions.resume(run).exit_code == 0


def test_an_unexpected_error_in_training_marks_the_run_as_failed_and_is_raised(sessions: Sessions) -> None:
    def fail(step: int) -> None:
        if step == 3:
            raise ZeroDivisionError("a bug")

    with pytest.raises(ZeroDivisionError):
        sessions.start("checkpoint.every_steps=2", interfere=fail)
    (run,) = sessions.left()
    status, last = RunReader(run).status(), list(RunReader(run).events())[-1]
    assert status is not None
    assert (status.state, status.exit_code) == ("failed", 1)
    assert (last.name, last.severity, last.message) == ("failed", "critical", "ZeroDivisionError: a bug")
    assert "in fail" in last.evidence["traceback"]
    assert sessions.resume(run).exit_code == 0


def test_a_run_whose_files_are_deleted_keeps_what_is_left_and_says_that_it_failed(sessions: Sessions) -> None:
    def delete(step: int) -> None:
        if step == 3:
            (run,) = sessions.left()
            for name in ("recipe.toml", "environment.json", "events.jsonl"):
                (run / name).unlink()
            raise KeyError("and then it broke")

    with pytest.raises(KeyError):
        sessions.start("checkpoint.every_steps=2", interfere=delete)
    (run,) = sessions.left()
    assert (run / "checkpoints" / "step-2").is_dir()
    assert RunReader(run).state() == "failed"


def test_each_file_that_somebody_deleted_is_in_the_verdict(sessions: Sessions) -> None:
    def delete(step: int) -> None:
        if step == 6:  # the last
            for name in ("metrics.jsonl", "events.jsonl", "recipe.toml"):
                (sessions.left()[0] / name).unlink()

    verdict = sessions.start(interfere=delete).verdict
    assert verdict is not None
    lost = {found.name: found.step for found in verdict.findings if found.name.startswith(("lines", "file"))}
    assert lost.keys() == {"lines lost metrics.jsonl", "lines lost events.jsonl", "file deleted recipe.toml"}
    assert None not in lost.values()


@pytest.mark.parametrize("obstacle", [lambda _: None, Path.touch, os.mkfifo, partial(os.symlink, "/nowhere/at/all")])
@pytest.mark.parametrize("after", [1, 6])  # no checkpoint is being written then
def test_a_run_whose_folder_of_checkpoints_is_deleted_or_replaced_goes_on_in_a_new_one_and_says_so(
    sessions: Sessions, obstacle: Callable[[Path], None], after: int
) -> None:
    def replace(step: int) -> None:
        if step == after:
            folder = sessions.left()[0] / "checkpoints"
            folder.rename(folder.with_name("taken"))
            obstacle(folder)

    conclusion = sessions.start("checkpoint.every_steps=2", interfere=replace)
    assert conclusion.exit_code == 0
    assert conclusion.verdict is not None
    assert [found.name for found in conclusion.verdict.findings if found.name.startswith("folder")] == [
        "folder lost checkpoints"
    ]
    newest = CheckpointFolder(conclusion.path / "checkpoints", keep=3).newest()[0]
    assert (newest.step if newest else None) == (6 if after == 1 else None)


def test_a_run_that_another_process_trains_is_left_alone(sessions: Sessions) -> None:
    run = sessions.stop(after=2)
    before = {path: path.read_bytes() for path in run.iterdir() if path.is_file() and path.name != "run.lock"}
    with RunLock(run), pytest.raises(RunDirectoryError, match="is in use by process"):
        sessions.resume(run)
    assert {path: path.read_bytes() for path in before} == before


def test_a_run_that_is_rolled_back_while_a_resume_of_it_begins_is_left_to_its_child(
    sessions: Sessions, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the resume's look and its lock another process has made the child."""
    run, taken = sessions.stop(after=3), RunLock.__init__

    def take(self: RunLock, *given: Any) -> None:
        if not (child := run.with_name("child")).exists():
            shutil.copytree(run, child)
            status = attrs.evolve(read_status(run) or Status(), state="rolled_back", child=child.name)
            write_status(run, status)
        taken(self, *given)

    monkeypatch.setattr(RunLock, "__init__", take)
    with pytest.raises(RunDirectoryError, match="was rolled back and stays as it is; child goes on"):
        sessions.resume(run)
    assert RunReader(run).state() == "rolled_back"
    assert [row["step"] for row in RunReader(run).rows()] == [1, 2, 3]


def test_a_deterministic_run_switches_deterministic_kernels_on(sessions: Sessions) -> None:
    seen: list[bool] = []
    for flag in ("true", "false"):
        sessions.start(
            f"train.deterministic={flag}",
            interfere=lambda _: seen.append(torch.are_deterministic_algorithms_enabled()),
        )
    assert seen == [True] * 6 + [False] * 6


def test_the_baseline_that_was_found_is_written_into_the_recipe(sessions: Sessions) -> None:
    baseline = sessions.start().path
    other = sessions.start("watch.baseline.recipe=tiny", "train.seed=4")
    table = tomllib.loads((other.path / "recipe.toml").read_text())
    assert table["watch"]["baseline"] == {"run": baseline.name, "name": "tiny"}
    assert other.verdict is not None
    assert other.verdict.baseline_run == baseline.name
    stopped = sessions.stop("watch.baseline.recipe=tiny", "train.seed=5", after=2)
    # Wherever new runs would be made: a run's baseline lies beside it.
    sessions.runs_dir = sessions.runs_dir.with_name("others")
    verdict = sessions.resume(stopped).verdict
    assert verdict is not None
    assert verdict.baseline_run == other.path.name


def test_the_latest_run_is_a_baseline_and_never_the_run_itself(sessions: Sessions) -> None:
    alone = sessions.start("watch.baseline.run=latest")
    assert alone.verdict is not None
    assert alone.verdict.outcome == "no baseline"
    other = sessions.start("watch.baseline.run=latest", "train.seed=4")
    recorded = tomllib.loads((other.path / "recipe.toml").read_text())["watch"]["baseline"]
    assert recorded == {"name": "tiny", "run": alone.path.name}
    # What was found holds on.
    sessions.start("train.seed=5")
    assert sessions.resume(other.path).verdict == other.verdict
