"""`jepa ablate` as a stranger meets it: the grid, its folder, stopping and going on, and the table."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path

import attrs
import orjson
import pytest

from jepa_core.cli import main
from jepa_core.exit_codes import explained
from jepa_core.presentation.ablation_table import ablation_table
from jepa_core.presentation.terminal import console_for
from jepa_core.run_directory.naming import runs_in
from jepa_core.run_directory.reading import RunReader
from jepa_core.run_directory.status import read_status
from tests.ablation.results import a_plan, a_result
from tests.conftest import TINY

VARIED = ("ablate", "tiny.toml", "--vary", "aggregator.kind=mean,attention")
COMMAND = (*VARIED, "--seeds", "1", "--device", "cpu")
EPOCHS = ("--set", "train.epochs=4", "--set", "diagnostics.every_steps=100", "--set", "checkpoint.every_steps=2")


@attrs.frozen
class Said:
    """What a command said, and its exit code."""

    code: int
    out: str
    err: str


def jepa(*arguments: str) -> Said:
    """Call the program in a process of its own."""
    command = [sys.executable, "-m", "jepa_core.cli", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    return Said(done.returncode, done.stdout, done.stderr)


def jepa_interrupted(*arguments: str) -> Said:
    """The same with one Ctrl-C as soon as a run trains."""
    command = [sys.executable, "-m", "jepa_core.cli", *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        while process.poll() is None and not any(map(_trains, runs_of_the_ablation())):
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    return Said(process.returncode, out, err)


def _trains(run: Path) -> bool:
    status = read_status(run)
    return status is not None and status.state == "running" and bool(list((run / "checkpoints").glob("step-*")))


def runs_of_the_ablation() -> list[Path]:
    return [run for folder in Path("runs").glob("ablate-*") for run in runs_in(folder)]


@attrs.frozen
class Ablation:
    """One ablation of two runs, stopped on its way and gone on with."""

    stopped: Said
    finished: Said
    again: Said
    folder: Path

    @property
    def runs(self) -> list[RunReader]:
        return [RunReader(path) for path in runs_in(self.folder)]


@pytest.fixture(scope="module")
def in_a_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The working directory of all these tests: `tiny.toml` lies there."""
    path, before = tmp_path_factory.mktemp("ablate"), Path.cwd()
    (path / "tiny.toml").write_text(TINY)
    os.chdir(path)
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("OMP_NUM_THREADS", "1")
        yield path
    os.chdir(before)


@pytest.fixture(scope="module")
def ablation(in_a_folder: Path) -> Ablation:
    stopped = jepa_interrupted(*COMMAND, *EPOCHS, "--plot", "effects.svg")
    finished, again = (_in_this_process(*COMMAND, *EPOCHS, *more) for more in ((), ("--json",)))
    (folder,) = (in_a_folder / "runs").iterdir()
    return Ablation(stopped, finished, again, folder)


def _in_this_process(*arguments: str) -> Said:
    """The same without a start of its own, which takes as long as a run of so few steps."""
    with redirect_stdout(StringIO()) as out, redirect_stderr(StringIO()) as err:
        code = call(*arguments)
    return Said(code, out.getvalue(), err.getvalue())


def call(*arguments: str) -> int:
    """Call the program in this process."""
    with pytest.raises(SystemExit) as done:
        main(arguments)
    assert isinstance(done.value.code, int)
    return done.value.code


def test_ctrl_c_lets_runs_save_and_says_how_to_go_on(ablation: Ablation) -> None:
    assert ablation.stopped.code == 130
    assert "◌ " in ablation.stopped.out
    assert "Stopped. Go on with: jepa ablate tiny.toml --vary aggregator.kind=mean,attention" in ablation.stopped.out
    assert " --plot effects.svg" in ablation.stopped.out
    assert ablation.stopped.err == f"{explained(['ablate'], 130)}\n"


def test_the_same_command_resumes_what_was_stopped_and_runs_the_rest(ablation: Ablation) -> None:
    assert ablation.finished.code == 0, ablation.finished.err
    assert "= 2 runs: 2 to run, 1 of them from a checkpoint" in ablation.finished.out
    assert [run.state() for run in ablation.runs] == ["finished", "finished"]
    resumed = [event.name for event in ablation.runs[0].events()]
    assert "interrupted" in resumed
    assert "resumed" in resumed
    assert [row["step"] for row in ablation.runs[0].rows()] == list(range(1, 25))


def test_a_line_a_run_tells_cell_seed_figure_and_time(ablation: Ablation) -> None:
    lines = [line for line in ablation.finished.out.splitlines() if line.startswith("  ✔")]
    assert re.fullmatch(r"  ✔ 1/2  mean  seed 3  val\.retrieval\.mrr 0\.\d+  .* s · about \d+ s left", lines[0])
    assert re.fullmatch(r"  ✔ 2/2  attention  seed 3  val\.retrieval\.mrr 0\.\d+  .* s", lines[1])


def test_the_table_tells_the_effect_and_that_one_seed_shows_nothing(ablation: Ablation) -> None:
    out = ablation.finished.out
    assert "val.retrieval.mrr (higher is better): the last validation of each finished run" in out
    assert re.search(r"mean \(reference\) +0\.\d+", out)
    assert re.search(r"attention +0\.\d+ +[+−]?0.* too few seeds: one seed cannot give p below 1; 5 % takes 6", out)
    assert "the same command with --seeds 6 goes on from here" in out


def test_a_complete_ablation_is_not_trained_again(ablation: Ablation) -> None:
    assert ablation.again.code == 0
    assert "0 to run, 2 there already" in ablation.again.err
    printed = orjson.loads(ablation.again.out)
    finals = {cell["label"]: cell["final"]["mean"] for cell in printed["cells"]}
    for run, label in zip(ablation.runs, ("mean", "attention"), strict=True):
        last = [row["val.retrieval.mrr"] for row in run.rows() if "val.retrieval.mrr" in row][-1]
        assert finals[label] == last


def test_the_folder_says_what_belongs_to_which_cell(ablation: Ablation) -> None:
    recorded = orjson.loads((ablation.folder / "ablation.json").read_bytes())
    runs = {run["name"]: run["run"] for cell in recorded["cells"] for run in cell["runs"]}
    assert runs == {"c1-mean-s3": ablation.runs[0].name, "c2-attention-s3": ablation.runs[1].name}
    assert recorded["seeds"] == [3]
    assert [run.recipe()["aggregator"]["kind"] for run in ablation.runs] == ["mean", "attention"]
    assert [run.recipe()["train"]["seed"] for run in ablation.runs] == [3, 3]


def test_a_folder_is_shown_without_training(ablation: Ablation, capsys: pytest.CaptureFixture[str]) -> None:
    assert call("ablate", "--show", f"runs/{ablation.folder.name}") == 0
    assert capsys.readouterr().out.splitlines() == ablation.finished.out.splitlines()[4:]
    assert call("ablate", "--show", str(ablation.folder), "--metric", "val.loss.info_nce.raw") == 0
    assert "val.loss.info_nce.raw (lower is better)" in capsys.readouterr().out
    assert call("ablate", "--show", str(ablation.folder), "--metric", "no.such") == 2


@pytest.mark.parametrize(("suffix", "beginning"), [(".svg", b"<?xml"), (".png", b"\x89PNG")])
def test_curves_and_effects_are_drawn(ablation: Ablation, tmp_path: Path, suffix: str, beginning: bytes) -> None:
    pytest.importorskip("matplotlib", reason="the extra `plot` is not installed")
    picture = tmp_path / f"effects{suffix}"
    assert call("ablate", "--show", str(ablation.folder), "--plot", str(picture)) == 0
    assert picture.read_bytes().startswith(beginning)


def test_a_dry_run_says_what_is_left_and_makes_nothing(in_a_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = list(in_a_folder.rglob("*"))
    assert call("ablate", "tiny.toml", "--vary", "train.batch_size=8,16", "--seeds", "2", "--dry-run") == 0
    out = capsys.readouterr().out
    assert "tiny · 2 train.batch_size × 2 seeds = 4 runs: 4 to run · runs/ablate-tiny-" in out
    assert re.search(r"c2-16-s4 +16  seed 4  is trained", out)
    assert list(in_a_folder.rglob("*")) == before


@pytest.mark.usefixtures("in_a_folder")
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "Which recipe, and what of it?"),
        (["tiny.toml"], "Which recipe, and what of it?"),
        ([*VARIED, "--seeds", "0"], "--seeds 0: expected 1 to 32"),
        ([*COMMAND, "--jobs", "0"], "--jobs 0: expected a whole number"),
        ([*COMMAND, "--gpus", "0"], "both say where runs go"),
        ([*VARIED, "--gpus", "0,x"], "--gpus 0,x: expected numbers of different GPUs"),
        ([*COMMAND, "--plot", "a.pdf"], "the name must end in .svg or .png"),
        ([*COMMAND, "--vary", "train.epochs=1"], "one value is no variation"),
        (["tiny.toml", "--show", "runs"], "no recipe and no --vary can be given with it"),
    ],
)
def test_what_cannot_be_run_is_explained_before_anything_runs(
    capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    before = sorted(map(str, Path().rglob("*")))
    assert call(*(arguments if arguments[:1] == ["ablate"] else ["ablate", *arguments])) == 2
    out, err = capsys.readouterr()
    assert message in err
    assert out == ""
    assert sorted(map(str, Path().rglob("*"))) == before


def test_the_process_that_waits_for_the_runs_loads_no_torch() -> None:
    source = "import sys, jepa_core.commands.ablate\nassert not {'torch', 'numpy', 'matplotlib'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", source], check=True, timeout=60)


def test_the_table_says_when_nothing_differs_in_any_digit(capsys: pytest.CaptureFixture[str]) -> None:
    figures = {((kind,), seed): 0.3 for kind in ("mean", "attention") for seed in range(3)}
    console_for().print(ablation_table(a_result(a_plan({"aggregator.kind": ("mean", "attention")}), figures)))
    out = capsys.readouterr().out
    assert "no effect at all: every figure of every run equals its pair's to the last digit" in " ".join(out.split())


def test_a_real_effect_is_called_real_and_its_cell_the_best(capsys: pytest.CaptureFixture[str]) -> None:
    figures = {((kind,), seed): 0.3 + 0.01 * seed + 0.1 * (kind == "attention") + 0.001 * (seed % 2) * (kind == "mean")
               for kind in ("mean", "attention") for seed in range(6)}  # fmt: skip
    console_for().print(ablation_table(a_result(a_plan({"aggregator.kind": ("mean", "attention")}, 6), figures)))
    out = capsys.readouterr().out
    assert re.search(
        r"attention .* \+0\.09950 \[0\.09893, 0\.10007\] +yes, better: better in 6 of 6 seeds, p = 0\.031", out
    )
    assert "best cell: attention · is it real, against the reference? yes, better" in out


def test_hostile_values_print_as_text(capsys: pytest.CaptureFixture[str]) -> None:
    values = ("\x1b]52;c;evil\x07", "[bold]x[/bold]")
    figures = {((value,), 0): 0.3 for value in values}
    console_for().print(ablation_table(a_result(a_plan({"data.path": values}, 1), figures)))
    out = capsys.readouterr().out
    assert "\x1b" not in out
    assert "[bold]x[/bold]" in out


@pytest.mark.slow
@pytest.mark.usefixtures("in_a_folder")
def test_a_cell_that_aborts_or_fails_is_a_result_and_stops_no_other() -> None:
    command = ("ablate", "tiny.toml", "--vary", "optimizer.lr=1e-3,1e30", "--vary", "train.batch_size=16,500")
    told = jepa(*command, "--seeds", "1", "--jobs", "2")
    assert told.code == 1
    assert "✔ " in told.out
    assert re.search(r"lr=1e30 .*aborted: Step \d was not finite", told.out, re.IGNORECASE)
    assert told.out.count("failed: ") >= 2
    assert "train.batch_size is 500" in told.out
    again = jepa(*command, "--seeds", "1")
    assert "0 to run, 4 there already" in again.out
    assert "3 to run" in jepa(*command, "--seeds", "1", "--retry-failed", "--dry-run").out


@pytest.mark.slow
@pytest.mark.usefixtures("in_a_folder")
def test_runs_killed_on_their_way_end_as_if_nothing_had_happened(tmp_path: Path) -> None:
    command = ("ablate", "tiny.toml", "--vary", "predictor.kind=mlp,identity", "--seeds", "2", *EPOCHS)
    straight = jepa(*command, "--runs-dir", str(tmp_path), "--json")
    with subprocess.Popen([sys.executable, "-m", "jepa_core.cli", *command], stdout=subprocess.DEVNULL) as parent:
        while not (pids := [s.pid for run in _new_runs() if (s := read_status(run)) and _trains(run)]):
            time.sleep(0.01)
        os.kill(pids[0], signal.SIGKILL)
        parent.wait(timeout=120)
    assert parent.returncode == 1
    gone_on = jepa(*command, "--json")
    assert "1 to run, 1 of them from a checkpoint" in gone_on.err
    figures = [
        [run["final"] for cell in orjson.loads(told.out)["cells"] for run in cell["runs"]]
        for told in (straight, gone_on)
    ]
    assert figures[0] == figures[1]


def _new_runs() -> list[Path]:
    return [run for run in runs_of_the_ablation() if "mlp" in run.name or "identity" in run.name]


@pytest.mark.slow
@pytest.mark.usefixtures("in_a_folder")
def test_more_seeds_go_on_in_the_same_folder() -> None:
    command = ("ablate", "tiny.toml", "--vary", "projector.dim=8,12")
    assert jepa(*command, "--seeds", "1").code == 0
    more = jepa(*command, "--seeds", "2")
    assert "= 4 runs: 2 to run, 2 there already" in more.out
    assert jepa(*command, "--seeds", "1").out.count("1 finished") == 2
