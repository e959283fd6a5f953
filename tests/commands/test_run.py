"""`jepa run` as a stranger meets it: what it prints, what it leaves, and the code it exits with."""

from __future__ import annotations

import json
import re
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import orjson
import pytest
from rich.console import Console

from jepa_core.audit import run_cost
from jepa_core.cli import main
from jepa_core.presentation import long_run, pace, terminal
from jepa_core.presentation.training_screen import TrainingScreen
from jepa_core.run_directory.reading import RunReader

Jepa = Callable[..., int]


@pytest.fixture
def folder(tiny_recipe_file: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory: `tiny.toml` lies there."""
    monkeypatch.chdir(tiny_recipe_file.parent)
    return tiny_recipe_file.parent


@pytest.fixture
def jepa(folder: Path) -> Jepa:
    """Calls the program with these arguments, and returns its exit code."""

    def call(*arguments: str) -> int:
        with pytest.raises(SystemExit) as done:
            main(arguments)
        assert isinstance(done.value.code, int)
        return done.value.code

    return call


def only_run(folder: Path) -> Path:
    (path,) = (folder / "runs").iterdir()
    return path


@pytest.fixture
def stopped_after_a_step(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The next runs get a SIGTERM in their second step."""
    progress = TrainingScreen.progress

    def progress_and_stop(screen: TrainingScreen, step: int, epoch: float) -> None:
        progress(screen, step, epoch)
        if step == 1:
            signal.raise_signal(signal.SIGTERM)

    with monkeypatch.context() as patched:
        patched.setattr(TrainingScreen, "progress", progress_and_stop)
        yield


TEN_TASKS = ("--set", "data.validation_share=0.5")
"""Enough for a verdict on retrieval."""


def test_a_run_prints_what_it_is_a_line_a_validation_and_the_verdict(
    jepa: Jepa, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert jepa("run", "tiny.toml", "--no-audit", "--set", "train.epochs=2", *TEN_TASKS) == 0
    out, err = capsys.readouterr()
    run = only_run(folder)
    lines = out.splitlines()
    assert err == ""
    assert re.fullmatch(
        rf"tiny · 120 traces, .* · [\d,]+ parameters · \d+ CPU cores?, fp32 · runs/{run.name}", lines[0]
    )
    strongest = RunReader(run).nulls().strongest
    assert strongest is not None
    assert lines[1].startswith(f"nulls   {strongest.title} {strongest.mrr:.3f} (")
    first, *validations = [line for line in lines if line.startswith("epoch ")]
    assert re.fullmatch(r"epoch [\d.]+/2  step 1  info_nce .* a step, [\d.]+ s left", first)
    assert [line.split("  ")[0] for line in validations] == ["epoch 1/2", "epoch 2/2"]
    assert all("val MRR" in line and f"({strongest.title} " in line for line in validations)
    (headline,) = (line for line in lines if line.startswith("Verdict: "))
    assert re.fullmatch(
        rf"Verdict: (neutral · not|success ·) above {strongest.title}, .* · the recipe has no musts", headline
    )
    assert "retrieval on validation" in out


def test_tags_are_kept_and_a_run_that_goes_on_takes_no_others(
    jepa: Jepa, folder: Path, capsys: pytest.CaptureFixture[str], stopped_after_a_step: None
) -> None:
    assert jepa("run", "tiny.toml", "--no-audit", "--tag", "big", "--tag", "lr=0.1") == 143
    run = only_run(folder)
    assert RunReader(run).environment()["tags"] == ["big", "lr=0.1"]
    capsys.readouterr()
    assert jepa("runs", "--tag", "big", "--json") == 0
    assert [entry["tags"] for entry in json.loads(capsys.readouterr().out)] == [["big", "lr=0.1"]]
    assert jepa("run", "--resume", str(run), "--tag", "small") == 2
    assert "keeps the tags that it began with" in capsys.readouterr().err
    assert jepa("run", "tiny.toml", "--tag", "two words") == 2
    assert "--tag 'two words' is no tag" in capsys.readouterr().err


def test_a_run_begins_with_what_the_audit_finds_there_and_in_its_log(
    jepa: Jepa, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    overrides = ("--set", "losses.sigreg.weight=0.1", "--set", "data.num_sequences=60")
    assert jepa("run", "tiny.toml", *overrides) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].startswith("audit   ok  The aggregator attention matters on this data: context embeddings move")
    assert lines[1].endswith("Every loss reaches the encoder")
    assert lines[1] in (only_run(folder) / "console.log").read_text().splitlines()


def test_a_run_that_will_take_over_an_hour_says_so_before_it_begins_with_what_shortens_it(
    jepa: Jepa, folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_cost, "run_seconds", lambda *_: 7200.0)
    flags = ("--set", "train.epochs=4", "--set", "train.seed=2", "--device", "cpu")
    assert jepa("run", "tiny.toml", *flags) == 0
    told = "This run will take about 2 h 0 min"
    command = "jepa run tiny.toml --set train.seed=2 --set train.epochs=1 --device cpu"
    out, log = capsys.readouterr().out, (only_run(folder) / "console.log").read_text()
    for text in (out, log):
        (line,) = (line for line in text.splitlines() if told in line)
        assert line.endswith(f"In about 30 min 0 s:  {command}")
    assert out.index(told) < out.index("step 1 ")


def test_without_an_audit_it_is_the_first_steps_that_say_it(
    jepa: Jepa, folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    # So long an aim that an epoch is below it on a machine that is busy, too.
    for module, name, value in ((pace, "SETTLED_AFTER", 0.0), (long_run, "LONG", 1e-3), (long_run, "AIM", 60.0)):
        monkeypatch.setattr(module, name, value)
    monkeypatch.setattr(run_cost, "run_seconds", lambda *_: pytest.fail("that is the audit's"))
    recipe = folder / "tiny.toml"
    text = recipe.read_text().replace("\nevery_steps = 2", "\nevery_steps = 1000\nvalidate_every_epochs = 40")
    recipe.write_text(f"{text}\n[checkpoint]\nevery_epochs = 40\n")
    assert jepa("run", "tiny.toml", "--no-audit", "--set", "train.epochs=40") == 0
    out = capsys.readouterr().out
    assert out.count("This run will take about ") == 1
    assert re.search(r"In about .*:  jepa run tiny.toml --set train.epochs=\d+\n", out)


def test_a_fault_that_the_audit_finds_stands_beside_the_command_that_tells_all(
    jepa: Jepa, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    grids = [[[0, 1], [2, colour]] for colour in range(10)]
    records = [{"input": grids[i % 10], "output": grids[(i + i // 10) % 10]} for i in range(60)]
    (folder / "pairs.jsonl").write_bytes(b"\n".join(map(orjson.dumps, records)))
    text = (folder / "tiny.toml").read_text().partition("[encoder]")[2]
    data = '[data]\nkind = "manifest"\npath = "pairs.jsonl"\nshort_context = "repeat"\nvalidation_share = 0.2\n'
    (folder / "pairs.toml").write_text(f"{data}\n[encoder]{text}")
    assert jepa("run", "pairs.toml", "--set", "train.epochs=1") == 0
    out = capsys.readouterr().out
    assert re.search(r"!   The aggregator attention cannot matter on this data: all \d observations", out)
    assert "jepa audit pairs.toml --set train.epochs=1\n" in out
    assert "while it ran              1 critical · " in out


def test_a_run_leaves_its_whole_directory(jepa: Jepa, folder: Path) -> None:
    assert jepa("run", "tiny.toml", "--no-audit") == 0
    run = only_run(folder)
    assert {path.name for path in run.iterdir()} == {
        "recipe.toml",
        "environment.json",
        "metrics.jsonl",
        "events.jsonl",
        "diagnostics.jsonl",
        "status.json",
        "verdict.json",
        "console.log",
        "run.lock",
        "checkpoints",
        "control",
    }
    assert [path.name for path in (run / "checkpoints").iterdir()] == ["step-6"]
    assert json.loads((run / "status.json").read_text())["state"] == "finished"
    assert json.loads((run / "verdict.json").read_text())["exit_code"] == 0


def test_the_log_holds_what_was_printed_and_more(jepa: Jepa, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    jepa("run", "tiny.toml", "--no-audit")
    log = (only_run(folder) / "console.log").read_text().splitlines()
    printed = capsys.readouterr().out.splitlines()
    assert [line for line in printed if line.rstrip() not in [logged.rstrip() for logged in log]] == []
    assert "  · Checkpoint at step 6." in log
    assert not any("\x1b" in line for line in log)


def test_a_must_that_failed_is_exit_code_4(jepa: Jepa, capsys: pytest.CaptureFixture[str]) -> None:
    must = "watch.must=[{id='impossible', when='val.retrieval.mrr > 2'}]"
    assert jepa("run", "tiny.toml", "--no-audit", "--set", must) == 4
    assert "✘ impossible" in capsys.readouterr().out


def test_a_value_that_is_not_finite_is_exit_code_3_and_is_explained(
    jepa: Jepa, capsys: pytest.CaptureFixture[str]
) -> None:
    assert jepa("run", "tiny.toml", "--no-audit", "--set", "optimizer.lr=1e30") == 3
    out = capsys.readouterr().out
    assert re.search(r"✘ Step \d was not finite: first .*  Start again with a lower optimizer.lr", out)
    assert "train.precision" not in out
    assert "Verdict: no baseline · stopped: step" in out
    advised = re.search(r"Next: jepa (rollback .*) begins anew with the usual learning rate", " ".join(out.split()))
    assert advised
    assert jepa(*advised[1].split(), "--dry-run") == 0


def test_an_early_stop_is_said(jepa: Jepa, capsys: pytest.CaptureFixture[str]) -> None:
    patience = ("--set", "watch.early_stop.patience=1", "--set", "watch.early_stop.min_delta=99")
    assert jepa("run", "tiny.toml", "--no-audit", "--set", "train.epochs=9", *patience) == 0
    assert "stopped early: val.loss.info_nce.raw did not improve" in capsys.readouterr().out


@pytest.mark.usefixtures("stopped_after_a_step")
def test_an_interrupted_run_says_how_to_go_on_and_that_works(
    jepa: Jepa, folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert jepa("run", "tiny.toml", "--no-audit") == 143
    out, err = capsys.readouterr()
    assert (out + err).lower().count("--resume") == 1
    assert "Interrupted after step 1; a checkpoint is written." in out
    command = re.search(r"Go on with: jepa (.*)", out)
    assert command
    assert jepa(*command[1].split()) == 0
    assert "goes on after step 1 of 6" in capsys.readouterr().out
    assert [row["step"] for row in RunReader(only_run(folder)).rows()] == [1, 2, 3, 4, 5, 6]


@pytest.mark.usefixtures("stopped_after_a_step")
def test_the_way_to_go_on_names_a_run_that_lies_elsewhere_by_its_path(
    jepa: Jepa, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert jepa("run", "tiny.toml", "--no-audit", "--runs-dir", "elsewhere") == 143
    (run,) = (folder / "elsewhere").iterdir()
    assert f"jepa run --resume elsewhere/{run.name}\n" in capsys.readouterr().out


def test_a_finished_run_has_nothing_left_to_resume(
    jepa: Jepa, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    must = "watch.must=[{id='impossible', when='val.retrieval.mrr > 2'}]"
    jepa("run", "tiny.toml", "--no-audit", "--set", must)
    run = only_run(folder)
    before = {path: path.stat().st_mtime_ns for path in run.iterdir()}
    capsys.readouterr()
    assert jepa("run", "--resume", run.name) == 4
    out = capsys.readouterr().out
    assert "is finished: there is nothing left to train" in out
    verdict = re.search(r"jepa (verdict \S+)", out)
    assert verdict
    assert {path: path.stat().st_mtime_ns for path in run.iterdir()} == before
    assert jepa(*verdict[1].split()) == 0


def test_a_finished_run_without_its_verdict_is_judged_again(jepa: Jepa, folder: Path) -> None:
    jepa("run", "tiny.toml", "--no-audit")
    run = only_run(folder)
    first = (run / "verdict.json").read_text()
    (run / "verdict.json").write_text("{")
    assert jepa("run", "--resume", run.name) == 0
    assert json.loads((run / "verdict.json").read_text()) == json.loads(first)


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        ([], 2, "Which recipe? For example: jepa run quickstart"),
        (["nowhere.toml"], 2, "No recipe nowhere.toml: no such file"),
        (["tiny.toml", "--set", "train.epochs=0"], 2, "expected a whole number ≥ 1"),
        (["tiny.toml", "--set", "train.batch_size=500"], 2, "train.batch_size is 500, but there are only"),
        (["tiny.toml", "--resume", "tiny"], 2, "no recipe can be given with it"),
        (["--resume", "tiny", "--set", "train.epochs=9"], 2, "jepa rollback tiny --to STEP --set train.epochs=9\n"),
        (["--resume", "tiny"], 1, "No run 'tiny': there are no runs in /"),
        (["tiny.toml", "--device", "tpu"], 1, "Use auto, cpu, cuda or cuda:N"),
        (["tiny.toml", "--set", "train.precision=fp16", "--device", "cpu"], 1, "Use 'bf16' or 'fp32' here"),
    ],
)
def test_what_cannot_be_run_is_explained_and_leaves_nothing(
    jepa: Jepa, capsys: pytest.CaptureFixture[str], arguments: list[str], code: int, message: str
) -> None:
    assert jepa("run", *arguments) == code
    out, err = capsys.readouterr()
    assert message in err
    assert out == ""
    assert list(Path().glob("runs/*")) == []


def test_on_a_narrow_terminal_the_first_lines_go_on_indented_and_the_path_is_whole(
    jepa: Jepa, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(terminal, "console_for", lambda: Console(force_terminal=True, width=50, markup=False))
    assert jepa("run", "tiny.toml", "--no-audit", *TEN_TASKS) == 0
    lines = [line.rstrip() for line in re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", capsys.readouterr().out).splitlines()]
    # What comes before was on the screen while the run was prepared.
    lines = lines[next(number for number, line in enumerate(lines) if line.startswith("tiny · ")) :]
    end = next(number for number, line in enumerate(lines) if line.endswith(f"runs/{only_run(folder).name}"))
    assert lines[0].startswith("tiny · ")
    assert end > 0
    assert all(line.startswith("  ") for line in lines[1 : end + 1])
    assert max(map(len, lines[: end + 1])) <= 50


def test_on_a_terminal_a_bar_is_drawn_and_taken_away(
    jepa: Jepa, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(terminal, "console_for", lambda: Console(force_terminal=True, width=100, markup=False))
    assert jepa("run", "tiny.toml", "--no-audit", *TEN_TASKS) == 0
    out = capsys.readouterr().out
    assert "samples/s" in out
    assert "\x1b[2K" in out
    assert "Verdict: neutral · not above" in re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", out)
    assert "samples/s" not in (only_run(folder) / "console.log").read_text()


@pytest.mark.parametrize("command", ["run", "audit"])
def test_what_nothing_here_could_train_is_refused_and_leaves_nothing(
    tiny_recipe_file: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    monkeypatch.chdir(tiny_recipe_file.parent)
    with pytest.raises(SystemExit) as caught:
        main([command, str(tiny_recipe_file), "--set", "encoder.layers=100000000"])
    assert caught.value.code == 2
    assert "encoder.layers = 100000000 takes at least " in capsys.readouterr().err
    assert not list(Path("runs").glob("tiny-*"))
