"""Ranks that share a batch train what one process would have trained."""

from __future__ import annotations

import math
import os
import re
import signal
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import orjson
import pytest
import torch

from jepa_core.contracts import ALONE, Crew, Observations
from jepa_core.engine.agreement import DriftError
from jepa_core.engine.checkpoint import CheckpointFolder
from jepa_core.engine.course import Position
from jepa_core.engine.interruption import Interruption
from jepa_core.engine.parallel import RankLostError, device_of_rank, require_equal_shares
from jepa_core.engine.session import train_recipe
from jepa_core.engine.slices import local, whole_tree
from jepa_core.engine.starting import NotBegunError
from jepa_core.engine.step import TrainingStep
from jepa_core.engine.trainer import Trainer
from jepa_core.errors import DeviceError, RecipeError
from jepa_core.recipes.reading import load_recipe
from jepa_core.recipes.tables import Recipe
from jepa_core.registry import installed
from jepa_core.run_directory.bad_batches import bad_batches
from jepa_core.run_directory.layout import rank_metrics, recorded_ranks
from jepa_core.run_directory.lock import DirectoryLostError
from jepa_core.run_directory.reading import RunReader
from tests.engine.test_session import Watcher
from tests.engine.training import KeptRecord, a_trainer, take_steps
from tests.ranks import in_ranks
from tests.recipes.writing_recipes import write
from tests.run_directory.runs import record_run

RECIPE = """
name = "shared"
[data]
kind = "traces"
num_sequences = 120
side = 8
validation_share = 0.2
[augmentation.dihedral]
[augmentation.colours]
[encoder]
kind = "objects"
dim = 16
layers = 1
heads = 2
max_objects = 4
dropout = {dropout}
[quantizer]
kind = "ema_vq"
codes = 16
revive_every = 2
revive_at_most = 4
[aggregator]
kind = "attention"
[predictor]
kind = "mlp"
[projector]
dim = 12
[losses.info_nce]
queue = 40
[losses.sigreg]
weight = 0.1
slices = 16
[losses.vicreg]
weight = 0.01
[losses.relational]
weight = 0.1
[losses.view_contrast]
weight = 0.1
[losses.invariance]
weight = 0.1
[target]
ema_decay = 0.9
[train]
epochs = 2
batch_size = 16
accumulate = 2
seed = 3
[diagnostics]
log_every_steps = 1
every_steps = 2
sample = 16
[checkpoint]
every_steps = 2
"""
ROUNDING = 2e-4
"""Relative: sums in another order, over six steps of an optimizer that divides by roots of small squares."""
WITHOUT_CODES = 'quantizer.kind="none"'
OTHER_CODES = 0.05
"""The same where a token between two codes is taken to the one or the other, as rounding has it."""


def recipe_of(*overrides: str, dropout: float = 0.0) -> Recipe:
    with tempfile.TemporaryDirectory() as folder:
        path = write(Path(folder), "shared", RECIPE.format(dropout=dropout))
        return load_recipe(path, overrides=overrides, registry=installed()).recipe


class Rows(KeptRecord):
    """Keeps what a rank draws and records."""

    def __init__(self) -> None:
        super().__init__()
        self.own: list[Mapping[str, float]] = []

    def rank_row(self, row: Mapping[str, float]) -> None:
        self.own.append(dict(row))


def trained(crew: Crew, recipe: Recipe, folder: Path, begin: Any = None) -> dict[str, Any]:
    """A run's rows, the sequences that were drawn, its state, and how it ended."""
    record = Rows()
    record.run = folder
    trainer = a_trainer(recipe, folder, record=record, crew=crew)
    drawn: list[Position] = []
    draw = trainer.step.batches.draw

    def noted(position: Position, following: Position | None = None) -> Observations:
        drawn.append(position)
        return draw(position, following)

    trainer.step.batches.draw = noted  # type: ignore[method-assign]  # to see what is drawn
    with Interruption(owns_process=False) as interruption:
        interruption.wait_for_steps()
        if begin is not None:
            begin(trainer, record)
        ending = trainer.train(interruption)
    return {
        "rows": [dict(row) for row in record.rows],
        "own": [dict(row) for row in record.own],
        # Diagnostics look at the next micro-batch once more.
        "drawn": list(dict.fromkeys((at.epoch, at.drawn) for at in drawn)),
        "memory": whole_tree(dict(trainer.step.memory())),
        "events": record.events,
        "ending": (ending.kind, ending.step, ending.reason),
        "steps": [checkpoint.step for checkpoint in trainer.checkpoints.all()],
    }


def require_near(one: Mapping[str, Any], other: Mapping[str, Any], rounding: float) -> None:
    assert [row["step"] for row in one["rows"]] == [row["step"] for row in other["rows"]]
    for row, theirs in zip(one["rows"], other["rows"], strict=True):
        for name, figure in row.items():
            if name.startswith(("loss.", "grad.norm", "temperature", "queue", "lr")) or name == "epoch":
                near = pytest.approx(figure, rel=ROUNDING if row["step"] == 1 else rounding, abs=1e-5)
                assert theirs[name] == near, (row["step"], name)


@pytest.mark.parametrize(
    ("size", "parallel", "quantizer"),
    [
        (4, "ddp", "none"),
        (2, "fsdp", "none"),
        (2, "ddp", "ema_vq"),
        pytest.param(4, "fsdp", "ema_vq", marks=pytest.mark.slow),
    ],
)
def test_they_give_the_curve_of_one_process_and_draw_the_same_sequences(
    size: int, parallel: str, quantizer: str, tmp_path: Path
) -> None:
    recipe = recipe_of(f'train.parallel="{parallel}"', *([WITHOUT_CODES] if quantizer == "none" else []))
    one = trained(ALONE, recipe, tmp_path / "one")
    ranks = in_ranks(size, lambda crew: trained(crew, recipe, tmp_path / "many"))
    assert len(one["rows"]) == 6
    assert all(rank["drawn"][:12] == one["drawn"][:12] for rank in ranks)
    assert len(one["drawn"]) >= 12
    require_near(one, ranks[0], ROUNDING if quantizer == "none" else OTHER_CODES)
    if quantizer == "none":
        for name, tensor in one["memory"].items():
            assert torch.allclose(ranks[0]["memory"][name].float(), tensor.float(), rtol=1e-2, atol=1e-4), name
    assert all(set(rank["rows"][0]) <= set(one["rows"][0]) | {"time.wait"} for rank in ranks)
    for rank in ranks[1:]:
        assert all(torch.equal(rank["memory"][name], tensor) for name, tensor in ranks[0]["memory"].items())
        assert [row["step"] for row in rank["own"]] == [1, 2, 3, 4, 5, 6]
    own = sum(rank["own"][0]["loss.total"] for rank in ranks) / size
    assert own == pytest.approx(ranks[0]["rows"][0]["loss.total"], rel=1e-5)
    assert ranks[0]["own"][0]["loss.total"] != ranks[1]["own"][0]["loss.total"]


def test_dropout_is_each_rank_s_own(tmp_path: Path) -> None:
    """Of two ranks that were given the same sequences, neither leaves out what the other does."""

    def projected(crew: Crew) -> torch.Tensor:
        trainer = a_trainer(recipe_of(dropout=0.5), tmp_path / str(crew.rank), crew=crew)
        trainer.step.parts.online.train()
        batch, _ = trainer.step.draw(0, 0)
        same = crew.shared(batch["grid"].clone())
        batch = Observations({**batch.tensors, "grid": same, "size": crew.shared(batch["size"].clone())})
        return trainer.step.objective.encode(batch, None)[0].z_context.detach()

    one, other = in_ranks(2, projected)
    assert not torch.allclose(one, other)


def test_a_stop_on_one_rank_is_everybody_s_at_the_same_step(tmp_path: Path) -> None:
    def stop(trainer: Trainer, _: KeptRecord) -> None:
        draw = trainer.step.batches.draw

        def stopping(position: Position, following: Position | None = None) -> Observations:
            if position == trainer.step.course.at(3, 0):
                os.kill(os.getpid(), signal.SIGTERM)
            return draw(position, following)

        if trainer.crew.rank == 1:
            trainer.step.batches.draw = stopping  # type: ignore[method-assign]  # for the moment of the signal

    recipe = recipe_of()
    ranks = in_ranks(2, lambda crew: trained(crew, recipe, tmp_path, stop))
    assert [rank["ending"][:2] for rank in ranks] == [("interrupted", 3)] * 2
    assert ranks[0]["steps"][-1] == 3


@pytest.mark.parametrize("parallel", ["ddp", "fsdp"])
@pytest.mark.parametrize("bad", ["loss", "gradient"])
def test_a_value_on_one_rank_that_is_not_finite_ends_all_at_one_step(bad: str, parallel: str, tmp_path: Path) -> None:
    """It comes from the data, of which each rank has its own."""

    def spoil(trainer: Trainer, _: KeptRecord) -> None:
        encoder = trainer.parts.online.encoder
        forward = encoder.forward

        def spoilt(observations: Observations) -> Any:
            embeddings = forward(observations)
            if trainer.step._phase[1:2] == (3,) and torch.is_grad_enabled() and trainer.rank == 1:  # type: ignore[attr-defined]
                if bad == "gradient":
                    embeddings.values.register_hook(lambda grad: grad * math.inf)
                else:
                    object.__setattr__(embeddings, "values", embeddings.values * math.nan)
            return embeddings

        trainer.rank = trainer.crew.rank  # type: ignore[attr-defined]  # alone it is rank 0
        encoder.forward = spoilt

    recipe = recipe_of(f'train.parallel="{parallel}"')
    ranks = in_ranks(2, lambda crew: trained(crew, recipe, tmp_path, spoil))
    assert [rank["ending"][:2] for rank in ranks] == [("non-finite", 3)] * 2
    assert all("on rank 1" in rank["ending"][2] for rank in ranks)
    for name, tensor in ranks[0]["memory"].items():
        assert torch.isfinite(tensor).all(), name
        assert torch.equal(tensor, ranks[1]["memory"][name])
    (kept,) = bad_batches(tmp_path)
    assert (kept.step, kept.rank) == (4, 1)
    assert all(len(rows) == 8 for rows in kept.sequences)


@pytest.mark.parametrize("parallel", ["ddp", pytest.param("fsdp", marks=pytest.mark.slow)])
def test_a_run_goes_on_with_any_number_of_ranks(parallel: str, tmp_path: Path) -> None:
    recipe = recipe_of(f'train.parallel="{parallel}"', WITHOUT_CODES)
    straight = trained(ALONE, recipe, tmp_path / "straight")

    def until(folder: Path, goes_on_from: int, stops_after: int) -> Any:
        def part(crew: Crew) -> dict[str, Any]:
            def begin(trainer: Trainer, record: KeptRecord) -> None:
                if goes_on_from:
                    (checkpoint,) = [c for c in CheckpointFolder(folder, keep=100).all() if c.step == goes_on_from]
                    trainer.resume(checkpoint)

                def stop_after(step: int) -> None:
                    if step == stops_after and crew.leads:
                        os.kill(os.getpid(), signal.SIGTERM)

                record.after_heartbeat = stop_after

            return trained(crew, recipe, folder, begin)

        return part

    folder = tmp_path / "changing"
    legs = [
        in_ranks(2, until(folder, 0, 2))[0],
        until(folder, 2, 4)(ALONE),
        in_ranks(4, until(folder, 4, 0))[0],
    ]
    assert [leg["ending"][0] for leg in legs] == ["interrupted", "interrupted", "finished"]
    rows = [row for leg in legs for row in leg["rows"]]
    assert [row["step"] for row in rows] == [1, 2, 3, 4, 5, 6]
    require_near(straight, {"rows": rows}, ROUNDING)
    drawn = dict.fromkeys(at for leg in legs for at in leg["drawn"])
    assert list(drawn)[:12] == straight["drawn"][:12]


def test_resumed_on_as_many_ranks_it_is_the_same_to_the_last_bit(tmp_path: Path) -> None:
    recipe = recipe_of(dropout=0.1)

    def resumed(crew: Crew) -> dict[str, Any]:
        def begin(trainer: Trainer, _: KeptRecord) -> None:
            trainer.resume(next(c for c in CheckpointFolder(tmp_path, keep=100).all() if c.step == 2))

        return trained(crew, recipe, tmp_path, begin)

    straight = in_ranks(2, lambda crew: trained(crew, recipe, tmp_path))
    again = in_ranks(2, resumed)
    for one, other in zip(straight, again, strict=True):
        assert all(torch.equal(other["memory"][name], tensor) for name, tensor in one["memory"].items())


def test_with_fsdp_each_rank_has_a_slice_of_weights_averages_and_moments(tmp_path: Path) -> None:
    def sizes(crew: Crew) -> dict[str, int]:
        trainer = a_trainer(recipe_of('train.parallel="fsdp"'), tmp_path, crew=crew)
        take_steps(trainer, 1)
        here = {name: local(tensor).numel() for name, tensor in trainer.step.memory().items()}
        shared_out = re.compile(r"\b(encoder|aggregator|predictor|projector)\b")
        return {name: size for name, size in here.items() if shared_out.search(name)}

    def of_all(crew: Crew) -> dict[str, int]:
        trainer = take_steps(a_trainer(recipe_of(), tmp_path, crew=crew), 1)
        return {name: tensor.numel() for name, tensor in trainer.step.memory().items()}

    whole, parts = of_all(ALONE), in_ranks(2, sizes)
    assert {"online", "target", "optimizer"} <= {name.partition(".")[0] for name in parts[0]}
    for name in parts[0]:
        held = parts[0][name] + parts[1][name]
        assert held == whole[name] or (name.endswith(".step") and held == 2), name


def test_ranks_that_drift_apart_end_the_run_with_what_differs(tmp_path: Path) -> None:
    def drift(trainer: Trainer, _: KeptRecord) -> None:
        if trainer.crew.rank == 1:
            # By one unit in the last place.
            weight = next(iter(trainer.parts.online.projector.parameters())).data.view(-1)
            weight[0] = torch.nextafter(weight[0], torch.tensor(math.inf))

    def part(crew: Crew) -> str:
        with pytest.raises(DriftError) as caught:
            trained(crew, recipe_of(), tmp_path, drift)
        return str(caught.value)

    said = in_ranks(2, part)
    assert all(
        "by step 2: rank" in text and "tensors, such as " in text and "online.projector." in text for text in said
    )


def test_a_batch_that_cannot_be_shared_is_refused_with_what_can() -> None:
    train = recipe_of().train
    require_equal_shares(train, Crew(0, 4))
    with pytest.raises(RecipeError, match=r"batch_size is 16, .* 3 ranks .*--set train.batch_size=15 or 18"):
        require_equal_shares(train, Crew(0, 3))
    with pytest.raises(RecipeError, match=r"batch_size=20"):
        require_equal_shares(train, Crew(0, 20))


def session(
    crew: Crew,
    runs: Path,
    resume: Path | None = None,
    *overrides: str,
    rude: Any = None,
    interfere: Callable[[int], None] = lambda _: None,
    screen: type[Watcher] = Watcher,
) -> dict[str, Any]:
    """What a rank's whole run comes to."""
    folder = runs.parent / f"of rank {crew.rank}"
    folder.mkdir(exist_ok=True)
    loaded = load_recipe(
        write(folder, "shared", RECIPE.format(dropout=0.0)),
        overrides=overrides,
        registry=installed(),
    )
    if rude is not None:
        rude(crew)
    conclusion = train_recipe(
        loaded, device="cpu", runs_dir=runs, resume=resume, open_screen=lambda opening: screen(opening, interfere)
    )
    return {
        "path": str(conclusion.path),
        "code": conclusion.exit_code,
        "leads": conclusion.leads,
        "has_verdict": conclusion.verdict is not None,
        "findings": [found.name for found in conclusion.verdict.findings] if conclusion.verdict else [],
        "step": conclusion.ending.step,
    }


def test_rank_0_alone_writes_the_run_and_all_have_its_exit_code(tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    led, followed = in_ranks(2, lambda crew: session(crew, runs))
    assert led["path"] == followed["path"]
    assert led["code"] == followed["code"]
    assert (led["has_verdict"], followed["has_verdict"]) == (True, False)
    assert (led["leads"], followed["leads"]) == (True, False)
    (run,) = runs.iterdir()
    reader = RunReader(run)
    assert [row["step"] for row in reader.rows()] == [1, 2, 3, 4, 5, 6]
    assert recorded_ranks(run) == (0, 1)
    for rank in (0, 1):
        rows = [orjson.loads(line) for line in (run / rank_metrics(rank)).read_bytes().splitlines()]
        assert [row["step"] for row in rows] == [1, 2, 3, 4, 5, 6]
        assert {"loss.total", "time.step", "time.data", "time.wait", "epoch"} <= rows[-1].keys()


@pytest.mark.parametrize("after", [3, 6])
def test_rows_of_another_rank_that_are_deleted_are_told_of_after_its_last_line_too(tmp_path: Path, after: int) -> None:
    runs = tmp_path / "runs"

    def delete(step: int) -> None:
        if step == after:
            (next(runs.iterdir()) / rank_metrics(1)).unlink(missing_ok=True)

    led, _ = in_ranks(2, lambda crew: session(crew, runs, interfere=delete))
    assert led["code"] == 0
    assert f"lines lost {rank_metrics(1)}" in led["findings"]
    (run,) = runs.iterdir()
    assert len([event for event in RunReader(run).events() if event.name == "lines lost"]) == 1
    assert recorded_ranks(run) == ((0, 1) if after == 3 else (0,))


def test_rows_of_ranks_that_are_deleted_between_two_sessions_are_noticed_on_resume_and_only_once(
    tmp_path: Path,
) -> None:
    """Those that were set aside while there were fewer ranks are not lost."""
    runs = tmp_path / "runs"

    def stop(step: int) -> None:
        if step == 4:
            signal.raise_signal(signal.SIGTERM)

    def told() -> list[str]:
        return [event.message for event in RunReader(run).events() if event.name == "rows missing"]

    first = in_ranks(2, lambda crew: session(crew, runs, interfere=stop))
    assert [each["step"] for each in first] == [4, 4]
    (run,) = runs.iterdir()
    alone = in_ranks(1, lambda crew: session(crew, runs, run, screen=StoppedAtOnce))
    assert alone[0]["step"] == 4
    assert recorded_ranks(run) == ()

    (run / rank_metrics(1)).with_suffix(".until-step-4.jsonl").unlink()
    in_ranks(2, lambda crew: session(crew, runs, run, screen=StoppedAtOnce))
    assert told() == ["Rows of single ranks up to step 4 are missing: 4 of 4 of rank 1."]
    led, _ = in_ranks(2, lambda crew: session(crew, runs, run))
    assert led["step"] == 6
    assert len(told()) == 1


class StoppedAtOnce(Watcher):
    """Stops its run before a step is done."""

    def __enter__(self) -> Watcher:
        signal.raise_signal(signal.SIGTERM)
        return self


def test_what_rank_0_cannot_begin_ends_all_with_its_sentence(tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    run = record_run(runs / "without-a-checkpoint")

    def part(crew: Crew) -> str:
        with pytest.raises(NotBegunError) as refused:
            session(crew, runs, run)
        return str(refused.value)

    led, followed = in_ranks(2, part)
    assert led == followed
    assert led.startswith(f"{run} cannot be resumed: no checkpoint in it can be used")


def dies_at(step: int, how: str, rank: int = 1) -> Any:
    """A fault of one rank, in its forward pass of a step."""

    def rude(crew: Crew) -> None:
        if crew.rank != rank:
            return
        learn = TrainingStep._learn

        def dying(training: TrainingStep, batch: Observations) -> Any:
            if training._phase[1:2] == (step,):
                if how == "death":
                    os.kill(os.getpid(), signal.SIGKILL)
                raise ValueError("a plugin's fault")
            return learn(training, batch)

        TrainingStep._learn = dying  # type: ignore[method-assign,assignment]  # in a process of its own

    return rude


@pytest.mark.parametrize("step", [0, 3])
def test_where_rank_0_dies_the_others_end_at_once_and_the_run_goes_on(step: int, tmp_path: Path) -> None:
    runs = tmp_path / "runs"

    def part(crew: Crew) -> str:
        with pytest.raises(RankLostError) as caught:
            session(crew, runs, rude=dies_at(step, "death", rank=0))
        return str(caught.value)

    said = in_ranks(2, part, may_die=True)
    assert said[0] is None
    assert said[1].startswith("Rank 1 of 2 lost the others")
    (run,) = runs.iterdir()
    if step:
        assert session(ALONE, runs, run)["step"] == 6


@pytest.mark.parametrize("how", ["death", "exception"])
@pytest.mark.parametrize("step", [0, 3])
def test_a_rank_that_dies_ends_the_run_at_once_with_one_cause_and_it_goes_on_from_its_checkpoint(
    how: str, step: int, tmp_path: Path
) -> None:
    runs = tmp_path / "runs"

    def part(crew: Crew) -> str:
        try:
            session(crew, runs, rude=dies_at(step, how))
        except (RankLostError, ValueError) as error:
            return f"{type(error).__name__}: {error}"
        return "went on"

    said = in_ranks(2, part, may_die=how == "death")
    assert said[0].startswith("RankLostError: Rank 0 of 2 lost the others")
    assert "how to go on: jepa autopsy " in said[0]
    assert said[1] is None if how == "death" else said[1] == "ValueError: a plugin's fault"
    (run,) = runs.iterdir()
    status = RunReader(run).status()
    assert status is not None
    assert status.state == "failed"
    if step:
        led = session(ALONE, runs, run) if how == "death" else in_ranks(2, lambda crew: session(crew, runs, run))[0]
        assert led["step"] == 6
        assert [row["step"] for row in RunReader(run).rows()] == [1, 2, 3, 4, 5, 6]
        # Rows of ranks that are no more are kept, and nobody takes them for silent.
        assert recorded_ranks(run) == (() if how == "death" else (0, 1))
        kept = sorted(file.name for file in run.glob("metrics.rank*.until-step-*"))
        assert kept == (
            ["metrics.rank0.until-step-3.jsonl", "metrics.rank1.until-step-3.jsonl"] if how == "death" else []
        )


def test_a_rank_has_a_gpu_of_its_own_or_shares_the_processor(monkeypatch: pytest.MonkeyPatch) -> None:
    assert device_of_rank("cuda:1") == "cuda:1"
    for name, value in (("RANK", "1"), ("WORLD_SIZE", "2"), ("LOCAL_RANK", "1")):
        monkeypatch.setenv(name, value)
    assert device_of_rank("cpu") == "cpu"
    with pytest.raises(DeviceError, match="cuda:0 is one device, and there are several ranks"):
        device_of_rank("cuda:0")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert device_of_rank("auto") == "cuda:1"
    monkeypatch.setenv("LOCAL_RANK", "2")
    with pytest.raises(DeviceError, match="number 2 on this machine, which has 2 CUDA devices"):
        device_of_rank("cuda")


def renames_the_run(runs: Path, moved: Path, at: int) -> Any:
    """Somebody moves the run's directory while a step is taken."""

    def rude(crew: Crew) -> None:
        learn = TrainingStep._learn

        def moving(training: TrainingStep, batch: Observations) -> Any:
            if crew.leads and training._phase[1:2] == (at,) and not moved.exists():
                (run,) = runs.iterdir()
                run.rename(moved)
            return learn(training, batch)

        TrainingStep._learn = moving  # type: ignore[method-assign,assignment]  # in a process of its own

    return rude


def test_ranks_whose_run_directory_is_renamed_stop_at_one_step_with_one_sentence(tmp_path: Path) -> None:
    runs, moved = tmp_path / "runs", tmp_path / "moved"

    def part(crew: Crew) -> tuple[str, int]:
        try:
            ended = session(crew, runs, rude=renames_the_run(runs, moved, at=2))
        except DirectoryLostError as error:
            return str(error), error.exit_code
        return "", ended["code"]

    led, followed = in_ranks(2, part)
    # The checkpoint of step 2 is being written meanwhile, and may notice before the row of step 3 does.
    told = rf"training stopped after step [23], whose checkpoint is there\. Go on with: jepa run --resume {moved}"
    assert re.search(rf"was renamed to {moved} while it was trained: {told}$", led[0])
    assert followed == ("", 1)
    assert led[1] == 1
    assert list(runs.iterdir()) == []
    assert session(ALONE, runs, moved)["step"] == 6
    assert [row["step"] for row in RunReader(moved).rows()] == [1, 2, 3, 4, 5, 6]
