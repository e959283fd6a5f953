"""Training from Python: the same run as from the shell, in a process that is left as it was."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest
import torch

import jepa_core as jepa
from jepa_core.api.process import undisturbed
from jepa_core.cli import main
from jepa_core.errors import RecipeError, RunDirectoryError
from jepa_core.run_directory.reading import RunReader
from tests.engine.training import lasting


@pytest.fixture
def run(tiny_recipe_file: Path, tmp_path: Path) -> jepa.Run:
    return jepa.train(tiny_recipe_file, device="cpu", runs_dir=tmp_path / "runs")


def rows_of(run: jepa.Run) -> list[dict[str, float]]:
    """Without what depends on the clock."""
    return [lasting(row) for row in RunReader(run.path).rows()]


def state_of_the_process() -> list[Any]:
    return [
        random.getstate(),
        np.random.get_state()[1].tolist(),  # type: ignore[index]
        torch.get_rng_state().tolist(),
        torch.get_default_dtype(),
        torch.get_num_threads(),
        torch.is_grad_enabled(),
        torch.are_deterministic_algorithms_enabled(),
        torch.is_deterministic_algorithms_warn_only_enabled(),
        torch.backends.cudnn.benchmark,
        torch.get_float32_matmul_precision(),
        torch.get_default_device(),
        torch.is_inference_mode_enabled(),
        torch.is_autocast_enabled("cpu"),
        list(warnings.filters),
        os.environ.get("CUBLAS_WORKSPACE_CONFIG"),
        os.environ.get("TORCHINDUCTOR_CACHE_DIR"),
        [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)],
    ]


@pytest.fixture
def unchanged() -> Iterator[None]:
    before = state_of_the_process()
    yield
    assert state_of_the_process() == before


def test_it_is_the_run_that_the_shell_makes_to_the_last_bit(
    tiny_recipe_file: Path, tmp_path: Path, run: jepa.Run, capsys: pytest.CaptureFixture[str]
) -> None:
    assert capsys.readouterr() == ("", "")
    with pytest.raises(SystemExit) as ended:
        main(["run", str(tiny_recipe_file), "--device", "cpu", "--runs-dir", str(tmp_path / "shell")])
    (shell,) = jepa.runs(tmp_path / "shell")
    assert (run.exit_code, run.state) == (ended.value.code, "finished") == (shell.exit_code, shell.state)
    assert rows_of(run) == [lasting(row) for row in RunReader(shell.path).rows()]
    newest = sorted((run.path / "checkpoints").iterdir())[-1]
    for name in ("tensors.safetensors", "state.json"):
        assert (newest / name).read_bytes() == (shell.path / "checkpoints" / newest.name / name).read_bytes()
    assert run.verdict is not None
    assert shell.verdict is not None
    assert run.verdict.reason == shell.verdict.reason == jepa.verdict(run).reason


def test_what_it_shows_is_what_the_shell_shows(
    tiny_recipe_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recipe = jepa.recipe(tiny_recipe_file, set={"train.clip_norm": 2.0})
    run = jepa.train(recipe, device="cpu", runs_dir=tmp_path, show=True)
    shown = capsys.readouterr().out
    assert f"jepa audit {tiny_recipe_file} --set train.clip_norm=2.0" in shown
    assert shown.startswith("tiny · ")
    assert "Verdict: " in shown
    assert "Verdict: " in (run.path / "console.log").read_text()


@pytest.mark.usefixtures("unchanged")
def test_the_process_is_left_as_it_was(tiny_recipe_file: Path, tmp_path: Path) -> None:
    changed = jepa.recipe(tiny_recipe_file, set={"train.deterministic": True, "train.tf32": True})
    run = jepa.train(changed, device="cpu", runs_dir=tmp_path / "runs")
    model = run.load(device="cpu")
    model.embed(model.data().validation)
    jepa.evaluate(run, device="cpu")


@pytest.mark.usefixtures("unchanged")
def test_after_an_exception_it_is_left_as_it_was_and_another_run_goes_well(
    tiny_recipe_file: Path, tmp_path: Path
) -> None:
    faulty = jepa.recipe(tiny_recipe_file, set={"data.kind": "arrays", "data.path": str(tmp_path / "none.npz")})
    with pytest.raises(jepa.JepaError, match=r"none\.npz"):
        jepa.train(faulty, device="cpu", runs_dir=tmp_path / "runs")
    assert jepa.runs(tmp_path / "runs") == []
    assert jepa.train(tiny_recipe_file, device="cpu", runs_dir=tmp_path / "runs").state == "finished"


@pytest.mark.usefixtures("unchanged")
def test_on_another_thread_it_trains_the_same(tiny_recipe_file: Path, tmp_path: Path, run: jepa.Run) -> None:
    made: list[jepa.Run] = []

    def train() -> None:
        made.append(jepa.train(tiny_recipe_file, device="cpu", runs_dir=tmp_path / "t"))

    trains = [threading.Thread(target=train) for _ in range(2)]
    for thread in trains:
        thread.start()
    for thread in trains:
        thread.join(timeout=120)
    ours = rows_of(run)
    assert len({other.path for other in made}) == 2
    for other in made:
        assert rows_of(other) == ours


@pytest.mark.usefixtures("unchanged")
def test_switches_are_put_back_whatever_was_done() -> None:
    def disturb() -> None:
        torch.manual_seed(1)
        random.seed(1)
        np.random.seed(1)
        torch.set_default_dtype(torch.float64)
        torch.set_grad_enabled(False)
        torch.use_deterministic_algorithms(True)
        torch.backends.cudnn.benchmark = not torch.backends.cudnn.benchmark
        torch.set_float32_matmul_precision("medium")
        torch.set_num_threads(torch.get_num_threads() + 1)
        os.environ["CUBLAS_WORKSPACE_CONFIG"] = ":16:8"
        os.environ["TORCHINDUCTOR_CACHE_DIR"] = "/elsewhere"
        warnings.simplefilter("ignore")
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError), undisturbed():
        disturb()


@contextmanager
def default_dtype(dtype: torch.dtype) -> Iterator[None]:
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        yield
    finally:
        torch.set_default_dtype(before)


@pytest.mark.parametrize(
    "context",
    [
        torch.no_grad,
        torch.inference_mode,
        lambda: default_dtype(torch.float64),
        lambda: torch.autocast("cpu", dtype=torch.bfloat16),
        lambda: torch.device("meta"),
    ],
    ids=["no_grad", "inference_mode", "float64", "autocast", "meta"],
)
def test_what_the_caller_has_entered_changes_nothing(
    tiny_recipe_file: Path, tmp_path: Path, run: jepa.Run, context: Callable[[], AbstractContextManager[Any]]
) -> None:
    usual = run.load(device="cpu").embed(run.load(device="cpu").data().validation)
    with context():
        before = state_of_the_process()
        inside = jepa.train(tiny_recipe_file, device="cpu", runs_dir=tmp_path / "inside")
        model = inside.load(device="cpu")
        embedded = model.embed(model.data().validation)
        evaluated = jepa.evaluate(inside, device="cpu").model.mrr
        assert state_of_the_process() == before
    assert rows_of(inside) == rows_of(run)
    assert all(np.array_equal(embedded[name], usual[name]) for name in usual)
    assert evaluated == run.metrics.series("val.retrieval.mrr")[1][-1]


@pytest.mark.parametrize(
    "call",
    [
        "train(recipe, device='cpu', runs_dir=runs)",
        pytest.param("resume(run)", marks=pytest.mark.slow),
        pytest.param("evaluate(run)", marks=pytest.mark.slow),
    ],
)
def test_the_first_call_of_a_process_disturbs_nothing_by_its_imports(
    tiny_recipe_file: Path, run: jepa.Run, call: str
) -> None:
    script = (
        "import os, random, sys, warnings, jepa_core as jepa, jepa_core.api.runs\n"
        "recipe, run = sys.argv[1:]; runs = os.path.dirname(run)\n"
        "random.seed(5)\n"
        "state = lambda: (random.getstate(), list(warnings.filters), os.environ.get('TORCHINDUCTOR_CACHE_DIR'))\n"
        "before = state()\n"
        f"try: jepa.{call}\n"
        "except jepa.JepaError: assert 'finished' in str(sys.exc_info()[1])\n"
        "assert 'torch' in sys.modules\n"
        "assert state() == before\n"
    )
    subprocess.run([sys.executable, "-c", script, str(tiny_recipe_file), str(run.path)], check=True)


def test_the_record_is_what_was_trained(tiny_recipe_file: Path, tmp_path: Path) -> None:
    recipe = jepa.recipe(tiny_recipe_file)
    recipe.table["encoder"]["dim"] = 32
    trained = jepa.train(recipe, device="cpu", runs_dir=tmp_path / "runs")
    assert trained.recipe["encoder"]["dim"] == trained.load(device="cpu").embedding_dim == 16


@pytest.mark.parametrize(
    ("state", "told"),
    [
        ("finished", r"is finished, but its verdict\.json is not there: it was deleted, or not copied along"),
        ("aborted", r"is aborted, but its verdict\.json is not there"),
        ("failed", r"has failed and reached no verdict\. Its last events say why: run\.events"),
        ("rolled_back", "was rolled back and reaches no verdict"),
        ("interrupted", "is interrupted and has no verdict yet: it is reached at a run's end"),
    ],
)
def test_why_there_is_no_verdict(run: jepa.Run, state: str, told: str) -> None:
    (run.path / "verdict.json").unlink()
    status = orjson.loads((run.path / "status.json").read_bytes())
    (run.path / "status.json").write_bytes(orjson.dumps(status | {"state": state}))
    with pytest.raises(RunDirectoryError, match=told):
        jepa.verdict(run)


def test_why_there_is_no_verdict_where_no_status_is(run: jepa.Run) -> None:
    (run.path / "verdict.json").unlink()
    (run.path / "status.json").unlink()
    with pytest.raises(RunDirectoryError, match="no status that says whether it has ended"):
        jepa.verdict(run)


def test_figures_are_columns_with_gaps(run: jepa.Run) -> None:
    rows = list(RunReader(run.path).rows())
    metrics = run.metrics
    assert metrics["step"].tolist() == [row["step"] for row in rows]
    assert set(metrics) == {name for row in rows for name in row}
    steps, values = metrics.series("val.retrieval.mrr")
    assert list(zip(steps, values, strict=True)) == [
        (row["step"], row["val.retrieval.mrr"]) for row in rows if "val.retrieval.mrr" in row
    ]
    frame = metrics.frame()
    assert frame.shape == (len(rows), len(metrics))
    assert frame["loss.total"].tolist() == metrics["loss.total"].tolist()
    assert any(event.name == "finished" for event in run.events)
    assert run.recipe["name"] == "tiny"


def test_an_interrupted_run_is_gone_on_with_and_a_finished_one_is_not(
    tiny_recipe_file: Path, tmp_path: Path, run: jepa.Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    stopped_at = 3
    from jepa_core.engine.step import TrainingStep

    step_once = TrainingStep.__call__

    def step_and_interrupt(self: TrainingStep, step: int, *more: Any) -> Any:
        if step == stopped_at:
            signal.raise_signal(signal.SIGINT)
        return step_once(self, step, *more)

    monkeypatch.setattr(TrainingStep, "__call__", step_and_interrupt)
    stopped = jepa.train(tiny_recipe_file, device="cpu", runs_dir=tmp_path / "stopped")
    monkeypatch.undo()
    assert (stopped.state, stopped.verdict) == ("interrupted", None)
    with pytest.raises(RunDirectoryError, match="is interrupted and has no verdict yet"):
        jepa.verdict(stopped)
    resumed = jepa.resume(stopped, device="cpu")
    assert (resumed.path, resumed.state) == (stopped.path, "finished")
    assert rows_of(resumed) == [lasting(row) for row in RunReader(run.path).rows()]
    with pytest.raises(RunDirectoryError, match="is finished: there is nothing left to train"):
        jepa.resume(run)


def test_a_run_that_a_rule_has_ended_is_refused_with_what_to_do_as_by_the_command(
    tiny_recipe_file: Path, tmp_path: Path
) -> None:
    rule = {"watch": {"abort": [{"id": "late", "when": "step > 2.5"}]}}
    aborted = jepa.train(tiny_recipe_file, set=rule, device="cpu", runs_dir=tmp_path / "aborted")
    assert (aborted.state, aborted.exit_code) == ("aborted", 3)
    with pytest.raises(RunDirectoryError, match=r"was ended by an abort rule, .*\. To go back .* --scenario late "):
        jepa.resume(aborted)


def test_a_run_is_found_by_its_name_and_reads_well(run: jepa.Run) -> None:
    assert jepa.open_run("latest", runs_dir=run.path.parent) == run
    assert jepa.open_run(run.path) == jepa.open_run("tiny", runs_dir=run.path.parent) == run
    assert repr(run).startswith(f"<Run {run.name}: finished, ")
    with pytest.raises(RunDirectoryError, match="No run directory is called 'other'"):
        jepa.open_run("other", runs_dir=run.path.parent)


def test_evaluation_takes_other_data_and_refuses_another_model(run: jepa.Run) -> None:
    usual = jepa.evaluate(run, device="cpu")
    assert usual.model.mrr == run.metrics.series("val.retrieval.mrr")[1][-1]
    assert (
        jepa.evaluate(run, device="cpu", set={"data.num_sequences": 60}).data.num_sequences < usual.data.num_sequences
    )
    with pytest.raises(RecipeError, match=r"^What set says has 1 fault\n\n  set: encoder\.dim=8"):
        jepa.evaluate(run, device="cpu", set={"encoder.dim": 8})
    with pytest.raises(RecipeError, match="set = 'x': give a dictionary"):
        jepa.evaluate(run, device="cpu", set="x")  # type: ignore[arg-type]


def test_values_may_be_changed_where_it_is_trained(tiny_recipe_file: Path, tmp_path: Path) -> None:
    run = jepa.train(
        str(tiny_recipe_file), set={"train.seed": 5}, device="cpu", runs_dir=tmp_path / "runs", audit=False
    )
    assert run.recipe["train"]["seed"] == 5
    with pytest.raises(jepa.JepaError, match="read already"):
        jepa.train(jepa.recipe(str(tiny_recipe_file)), set={"train.seed": 5}, runs_dir=tmp_path / "runs")


def test_a_folder_of_runs_is_told_from_a_run(tiny_recipe_file: Path, tmp_path: Path) -> None:
    jepa.train(str(tiny_recipe_file), device="cpu", runs_dir=tmp_path / "runs", audit=False)
    with pytest.raises(jepa.JepaError, match=r"is a folder of runs, not a run\. Look there with runs_dir"):
        jepa.open_run(str(tmp_path / "runs"))
