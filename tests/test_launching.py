"""Starting a run as several processes: what reaches them, and what comes back."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from jepa_core import launching
from jepa_core.commands.run import run
from jepa_core.errors import RecipeError
from jepa_core.rollback.lineage import Lineage, write_lineage
from jepa_core.run_directory.reading import RunReader
from jepa_core.run_directory.status import StatusWriter
from tests.engine.test_ranks import RECIPE
from tests.forked import forked_jepa
from tests.recipes.writing_recipes import write
from tests.run_directory.runs import record_run


def jepa(*arguments: str, **environment: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "jepa_core", "run", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1", **environment},
        start_new_session=True,
    )


def test_the_package_is_a_program_that_loads_no_torch_for_its_help() -> None:
    code = "import runpy, sys; sys.argv = ['jepa', '--help']\n"
    code += "try: runpy.run_module('jepa_core', run_name='__main__')\nexcept SystemExit as end: assert not end.code\n"
    code += "assert 'torch' not in sys.modules"
    shown = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
    assert "Train joint-embedding predictive models" in shown


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"gpus": 0}, "--gpus 0: one process at least"),
        ({"processes": -2}, "--processes -2: one process at least"),
        ({"gpus": 2, "processes": 2}, "Give one"),
        ({"gpus": 2, "device": "cpu"}, "--gpus 2 and --device cpu"),
        ({"processes": 2, "device": "cuda"}, "Use --gpus 2"),
        ({"gpus": 999}, r"--gpus 999: torch sees \d+ here"),
    ],
)
def test_processes_that_there_cannot_be_are_refused(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        run("quickstart", **arguments)  # type: ignore[arg-type]  # of several types


def test_a_rank_starts_no_ranks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RANK", "0")
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(RecipeError, match="torchrun has started the ranks already"):
        run("quickstart", processes=2)


def test_a_run_on_two_processes_trains_prints_once_and_has_its_own_exit_code(tmp_path: Path) -> None:
    text = RECIPE.format(dropout=0.0) + '[[watch.must]]\nid = "never"\ntitle = "never"\nwhen = "loss.total < -1"\n'
    recipe, runs = write(tmp_path, "shared", text), tmp_path / "runs"
    process = jepa(str(recipe), "--processes", "2", "--runs-dir", str(runs), "--set", "train.epochs=1")
    shown, errors = process.communicate(timeout=120)
    assert process.returncode == 4, errors
    assert "2 × 1 CPU core" in shown
    assert shown.count("Verdict:") == 1
    assert "Interrupted" not in shown
    assert "Traceback" not in errors
    assert "ChildFailedError" not in errors
    (path,) = runs.iterdir()
    assert (path / "metrics.rank1.jsonl").is_file()
    assert RunReader(path).environment()["ranks"] == 2


@pytest.mark.slow
def test_a_stop_is_a_checkpoint_and_its_exit_code_and_the_run_goes_on(tmp_path: Path) -> None:
    recipe, runs = write(tmp_path, "shared", RECIPE.format(dropout=0.0)), tmp_path / "runs"
    process = jepa(str(recipe), "--processes", "2", "--runs-dir", str(runs), "--set", "train.epochs=500")
    deadline = time.monotonic() + 60
    while not list(runs.glob("*/metrics.rank1.jsonl")) or not next(runs.glob("*/metrics.rank1.jsonl")).stat().st_size:
        assert time.monotonic() < deadline, process.stderr
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    shown, errors = process.communicate(timeout=60)
    assert process.returncode == 130, errors
    assert shown.count("Go on with:") == 1
    (path,) = runs.iterdir()
    status = RunReader(path).status()
    assert status is not None
    assert status.state == "interrupted"
    again = jepa("--resume", str(path), "--processes", "2", "--runs-dir", str(runs))
    while (now := RunReader(path).status()) is None or now.step <= status.step:
        assert time.monotonic() < deadline + 60
        time.sleep(0.05)
    again.send_signal(signal.SIGTERM)
    assert again.wait(60) == 143
    again.communicate()


@pytest.mark.slow
def test_torchrun_that_starts_the_ranks_again_goes_on_with_their_run(tmp_path: Path) -> None:
    """One rank dies once; the next start resumes from the newest checkpoint, and finishes."""
    recipe, runs = write(tmp_path, "shared", RECIPE.format(dropout=0.0)), tmp_path / "runs"
    plugin = tmp_path / "dies.py"
    plugin.write_text(
        "import os, pathlib, signal\n"
        "from jepa_core.engine.step import TrainingStep\n"
        "learn, died = TrainingStep._learn, pathlib.Path(__file__).with_suffix('.died')\n"
        "def dying(self, batch):\n"
        "    if os.environ['RANK'] == '1' and self._phase[1] == 4 and not died.exists():\n"
        "        died.touch()\n"
        "        os.kill(os.getpid(), signal.SIGKILL)\n"
        "    return learn(self, batch)\n"
        "TrainingStep._learn = dying\n"
        "import attrs\n"
        "from jepa_core.hookspecs import hookimpl\n"
        "from jepa_plugins.predictors.identity import IdentityConfig\n"
        "@attrs.frozen(kw_only=True)\n"
        "class Same(IdentityConfig):\n"
        "    'The same.'\n"
        "    kind = 'same'\n"
        "@hookimpl\n"
        "def jepa_predictors():\n"
        "    return [Same]\n"
    )
    torchrun = ["torch.distributed.run", "--standalone", "--nproc-per-node=2", "--max-restarts=1"]
    ended = subprocess.run(
        [sys.executable, "-m", *torchrun, "-m", "jepa_core", "run", str(recipe), "--device", "cpu", "--runs-dir",
         str(runs), "--plugin", str(plugin)],
        # Without it ranks may look for those of the first start: torch keeps their addresses.
        env={**os.environ, "OMP_NUM_THREADS": "1", "TORCH_DISABLE_SHARE_RDZV_TCP_STORE": "1"},
        capture_output=True, text=True, timeout=180, check=False,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr[:3000]
    assert plugin.with_suffix(".died").exists()
    (path,) = (entry for entry in runs.iterdir() if entry.is_dir())
    assert [row["step"] for row in RunReader(path).rows()] == [1, 2, 3, 4, 5, 6]
    assert any(event.name == "resumed" for event in RunReader(path).events())
    assert not list(runs.glob(".torchrun-*"))


def test_a_note_of_another_launch_is_nobody_s(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "run-1"
    path.mkdir()
    (path / "recipe.toml").touch()
    launching.note_run(path)
    assert list(tmp_path.iterdir()) == [path]
    for name, value in {"RANK": "0", "WORLD_SIZE": "2", "TORCHELASTIC_RUN_ID": "../a b"}.items():
        monkeypatch.setenv(name, value)
    launching.note_run(path)
    # Its torchrun is this test's: where another machine's rank died, this one's counts no restart.
    assert launching.restarted_run(tmp_path) == path
    (pointer,) = tmp_path.glob(".torchrun-*")
    pointer.write_text(f"{path.name}\nelsewhere 4711")
    assert launching.restarted_run(tmp_path) is None
    monkeypatch.setenv("TORCHELASTIC_RESTART_COUNT", "1")
    assert launching.restarted_run(tmp_path) == path
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "other")
    assert launching.restarted_run(tmp_path) is None


def test_what_is_wrong_is_said_once_before_any_rank_is_started(tmp_path: Path) -> None:
    recipe = write(tmp_path, "shared", RECIPE.format(dropout=0.0))
    for flag, message in (("train.batch_size=15", "2 ranks cannot have equal shares"), ("train.epochs=0", "epochs")):
        done = forked_jepa("run", str(recipe), "--processes", "2", "--set", flag, "--runs-dir", "runs", cwd=tmp_path)
        assert done.returncode == 2
        assert done.stderr.count(message) >= 1
        assert "ChildFailedError" not in done.stderr
        assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize("marked", [True, False])
def test_ranks_that_start_again_go_on_with_what_their_run_was_rolled_back_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, marked: bool
) -> None:
    """Also where they died between making it and marking their run."""
    # One rank alone is torchrun's, too.
    for name, value in {"RANK": "0", "WORLD_SIZE": "1", "TORCHELASTIC_RUN_ID": "a"}.items():
        monkeypatch.setenv(name, value)
    first, second = record_run(tmp_path / "first"), record_run(tmp_path / "second")
    launching.note_run(first)
    if marked:
        StatusWriter(first, state="rolled_back", child="second")
    else:
        StatusWriter(first, state="running")
        write_lineage(second, Lineage(parent="first"))
    assert launching.restarted_run(tmp_path) == second
    launching.forget_run(second)
    assert launching.restarted_run(tmp_path) is None


@pytest.mark.parametrize(
    ("environment", "code"),
    [
        ({}, 4),
        ({"RANK": "0", "WORLD_SIZE": "2"}, 4),
        ({"RANK": "1", "WORLD_SIZE": "2"}, 0),
        ({"RANK": "0", "WORLD_SIZE": "2", "TORCHELASTIC_RUN_ID": "a"}, 0),
        ({"RANK": "0", "WORLD_SIZE": "1", "TORCHELASTIC_RUN_ID": "a"}, 0),
    ],
    ids=["alone", "rank 0 of srun", "rank 1 of srun", "rank 0 of torchrun", "torchrun's only rank"],
)
def test_a_verdict_is_no_crash_to_torchrun_and_the_code_of_rank_0_elsewhere(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], code: int
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert launching.hand_over(4) == code


RANK = """
import os, pathlib, signal, sys, time
from jepa_core.launching import hand_over, report
heard = pathlib.Path(f"heard-{os.environ['RANK']}")
heard.touch()
def hear(number, _):
    with heard.open("a") as file:
        file.write(f"{number} ")
    if "ends" in sys.argv:
        sys.exit(hand_over(128 + number))
for number in (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1):
    signal.signal(number, hear)
if "unreported" not in sys.argv:
    report()
pathlib.Path(f"up-{os.environ['RANK']}").write_text(str(os.getpid()))
while True:
    # The other ranks end by the word of rank 0.
    first = pathlib.Path("heard-0")
    if "ends" in sys.argv and heard.name == "heard-1" and first.exists() and first.read_text() == "2 ":
        sys.exit(hand_over(130))
    time.sleep(0.02)
"""


@pytest.mark.parametrize(
    ("flags", "signals", "code", "heard"),
    [
        (["ends"], [signal.SIGINT], 130, ["2 ", ""]),
        (["deaf"], [signal.SIGTERM, signal.SIGINT], 130, ["15 ", ""]),
        (["deaf"], [signal.SIGHUP], 129, ["", ""]),
        # To be saved there is nothing yet, and torchrun by itself would die of it and leave its ranks behind.
        (["unreported", "ends"], [signal.SIGUSR1, signal.SIGTERM], 143, ["15 ", "15 "]),
    ],
    ids=["a stop", "a second stop", "a closed terminal", "before training"],
)
def test_a_signal_reaches_the_run_once_and_no_rank_is_left(
    tmp_path: Path, flags: list[str], signals: list[signal.Signals], code: int, heard: list[str]
) -> None:
    (tmp_path / "one_rank.py").write_text(RANK)
    program = f"import sys; from jepa_core.launching import launch; sys.exit(launch(2, {flags}, module='one_rank'))"
    ranks = [tmp_path / f"up-{rank}" for rank in (0, 1)]
    process = subprocess.Popen(
        [sys.executable, "-c", program], cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(tmp_path)},
        stderr=subprocess.DEVNULL,
    )  # fmt: skip
    deadline = time.monotonic() + 60
    while not all(file.exists() and file.read_text() for file in ranks):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    for number in signals:
        process.send_signal(number)
        time.sleep(0.3)
    assert process.wait(20) == code
    assert [(tmp_path / f"heard-{rank}").read_text() for rank in (0, 1)] == heard
    for file in ranks:
        with pytest.raises(ProcessLookupError):
            os.kill(int(file.read_text()), 0)
