"""Components that fail while a run trains: a few lines name them and what to do, and console.log has the traceback."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

import attrs
import pytest
import torch

from jepa_core.cli import main
from jepa_core.engine.component_faults import ComponentError, component_faults_told
from jepa_core.engine.memory_faults import OutOfMemory, smaller_batch
from jepa_core.errors import JepaError
from jepa_core.facts import PredictorFacts
from jepa_core.launching import says
from jepa_core.metrics import Metric
from jepa_core.recipes.reading import load_recipe
from jepa_core.registry import Registry, discover, installed
from jepa_core.run_directory.events import Event
from jepa_core.run_directory.reading import RunReader
from jepa_core.run_directory.status import read_status
from tests.engine.training import RARE, RecipeMaker, a_trainer, train
from tests.plugins.distributions import SitePackages, on_the_path

SOURCE = (Path(__file__).parent / "faulty_parts.py").read_text()
TABLES = {
    "encoder": "encoder",
    "quantizer": "quantizer",
    "aggregator": "aggregator",
    "predictor": "predictor",
    "loss": "losses.faulty",
    "augmentation": "augmentation.faulty",
}
RAISED = {
    "raises": "raised ValueError: no such luck (fake_plugin_faulty.py:",
    "long": "raised ValueError: one two three",
    "control": "raised ValueError: ␛[2J�31m�␇gone back (fake_plugin_faulty.py:",
    "mute": "raised Mute, whose text cannot be shown (fake_plugin_faulty.py:",
    "exits": "raised SystemExit: 0 (fake_plugin_faulty.py:",
    "backward": "raised ArithmeticError: no way back (fake_plugin_faulty.py:",
    "interrupts": "raised KeyboardInterrupt (fake_plugin_faulty.py:",
}
RETURNED = [
    ("encoder", "none", "returned None, Embeddings are asked for"),
    ("encoder", "tuple", "returned a tuple, Embeddings are asked for"),
    ("encoder", "shape", "returned values of shape (48, 9, 15), shape (48, 9, 16) is asked for"),
    ("encoder", "device", "returned values of device meta, that of its inputs is asked for: cpu"),
    ("encoder", "detached", "returned a result without gradient, one that reaches"),
    ("encoder", "spoils", "wrote to its inputs: it has to leave them as they were"),
    ("quantizer", "none", "returned None, Quantized is asked for"),
    ("quantizer", "dtype", "returned values of dtype torch.int64, a floating-point one is asked for"),
    ("encoder", "double", "returned values of dtype torch.float64, torch.float32 is asked for"),
    ("quantizer", "double", "returned values of dtype torch.float64, torch.float32 is asked for"),
    ("aggregator", "double", "returned dtype torch.float64, torch.float32 is asked for"),
    ("aggregator", "switches", "left gradients switched on or off (torch.set_grad_enabled)"),
    ("predictor", "double", "returned dtype torch.float64, torch.float32 is asked for"),
    ("quantizer", "detached", "returned a result without gradient"),
    ("quantizer", "spoils", "wrote to its inputs"),
    ("quantizer", "word", "reported a str as the metric faulty.figure, a scalar tensor is asked for"),
    ("quantizer", "undeclared", "reported the metric faulty.other, which its configuration's metrics do not declare"),
    ("aggregator", "none", "returned None, a tensor of shape (16, 16) is asked for"),
    ("aggregator", "number", "returned a float, a tensor of shape (16, 16) is asked for"),
    ("aggregator", "shape", "returned shape (16, 15), shape (16, 16) is asked for"),
    ("aggregator", "spoils", "wrote to its inputs"),
    ("predictor", "tuple", "returned a tuple, a tensor of shape (16, 16) is asked for"),
    ("predictor", "device", "returned device meta, that of its inputs is asked for: cpu"),
    ("predictor", "detached", "returned a result without gradient"),
    ("loss", "none", "returned None, a LossTerm is asked for"),
    ("loss", "number", "returned a float, a tensor of a scalar is asked for"),
    ("loss", "shape", "returned shape (16,), a scalar is asked for"),
    ("loss", "dtype", "returned dtype torch.int64, a floating-point one is asked for"),
    ("loss", "detached", "returned a result without gradient"),
    ("loss", "row", "reported shape (3,) as the metric faulty.figure, a scalar is asked for"),
    ("loss", "engines", "reported the metric loss.total, which is the run's own: it needs another name"),
    ("loss", "undeclared", "reported the metric faulty.other, which its configuration's metrics do not declare"),
    ("augmentation", "none", "returned None as a batch, Observations are asked for"),
    ("augmentation", "shape", "returned a batch with grid shape ("),
    ("augmentation", "dtype", "returned a batch with grid dtype torch.float64, torch.uint8 is asked for"),
    ("augmentation", "spoils", "wrote to the batch that it was given for a batch: it has to return a changed copy"),
]


@pytest.fixture
def registry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Registry]:
    """What there is once jepa-faulty 0.3 is installed."""
    site: SitePackages = on_the_path(tmp_path / "site", monkeypatch)
    site.put("faulty", SOURCE, version="0.3")
    installed.cache_clear()
    yield discover()
    installed.cache_clear()


def settings_of(family: str, fault: str) -> list[str]:
    table = TABLES[family]
    kind = [] if "." in table else [f"{table}.kind=faulty"]
    return [*kind, f"{table}.fault={fault}"]


def failed(registry: Registry, tiny: Path, run: Path, *overrides: str) -> JepaError:
    """What a training of the tiny recipe ends in."""
    recipe = load_recipe(tiny, overrides=(*RARE, *overrides), registry=registry).recipe
    run.mkdir(exist_ok=True)
    with pytest.raises(JepaError) as caught, component_faults_told(recipe, registry, run):
        train(a_trainer(recipe, run / "checkpoints"))
    return caught.value


@pytest.mark.parametrize(("family", "fault", "what"), RETURNED)
def test_what_a_component_wrongly_returns_is_told_with_its_name_origin_contract_and_remedy(
    registry: Registry, tiny_recipe_file: Path, tmp_path: Path, *, family: str, fault: str, what: str
) -> None:
    error = failed(registry, tiny_recipe_file, tmp_path / "run", *settings_of(family, fault))
    assert isinstance(error, ComponentError)
    lines = str(error).split("\n")
    assert lines[0].startswith(f"{family} 'faulty' of jepa-faulty 0.3 {what}"), lines[0]
    place = re.search(r" \(fake_plugin_faulty\.py:(\d+)\)\.$", lines[0])
    assert place is not None, lines[0]
    function = "def change(" if family == "augmentation" else "def forward("
    assert SOURCE.splitlines()[int(place[1]) - 1].strip().startswith(function)
    assert error.evidence["component"]["place"] == f"fake_plugin_faulty.py:{place[1]}"
    assert lines[1].startswith("Contract: ")
    assert lines[2].startswith("Remedy: jepa plugins check jepa-faulty tries it alone. Update jepa-faulty or tell its")
    assert "jepa autopsy" in lines[3]
    assert len(lines) == 4
    assert error.evidence["component"]["name"] == "faulty"


@pytest.mark.parametrize(
    ("family", "fault"), [*((family, "raises") for family in TABLES), *(("aggregator", fault) for fault in RAISED)]
)
def test_what_a_component_raises_is_told_with_the_line_of_its_source(
    registry: Registry, tiny_recipe_file: Path, tmp_path: Path, family: str, fault: str
) -> None:
    error = failed(registry, tiny_recipe_file, tmp_path / "run", *settings_of(family, fault))
    assert isinstance(error, ComponentError)
    first = str(error).split("\n")[0]
    assert first.startswith(f"{family} 'faulty' of jepa-faulty 0.3 {RAISED[fault]}"), first
    assert len(first) < 700
    assert str(error).isprintable() or str(error).count("\n") == 3
    log = (tmp_path / "run" / "console.log").read_text()
    assert "Traceback (most recent call last)" in log
    assert "fake_plugin_faulty.py" in log


def test_a_traceback_that_cannot_be_kept_is_said_to_be_nowhere(
    registry: Registry, tiny_recipe_file: Path, tmp_path: Path
) -> None:
    (tmp_path / "run" / "console.log").mkdir(parents=True)
    error = failed(registry, tiny_recipe_file, tmp_path / "run", *settings_of("aggregator", "raises"))
    assert "Its traceback: it cannot be kept: " in str(error)


@pytest.mark.parametrize(("fault", "at"), [("raises", "raise "), ("shape", "def forward(")])
def test_of_a_plugin_that_is_the_user_s_own_the_remedy_is_the_line(
    registry: Registry, tiny_recipe_file: Path, tmp_path: Path, fault: str, at: str
) -> None:
    site = SitePackages(tmp_path / "site")
    site.make_editable("faulty", version="0.3")
    error = failed(registry, tiny_recipe_file, tmp_path / "run", *settings_of("aggregator", fault))
    remedy = str(error).split("\n")[2]
    found = re.fullmatch(
        rf"Remedy: correct {site.folder}/fake_plugin_faulty\.py:(\d+); jepa plugins check jepa-faulty tries it alone\.",
        remedy,
    )
    assert found is not None, remedy
    assert SOURCE.splitlines()[int(found[1]) - 1].strip().startswith(at)


@pytest.mark.parametrize(("fault", "is_said"), [("raises", True), ("shape", False)])
def test_of_several_ranks_each_tells_what_was_raised_there_and_rank_0_what_all_found_alike(
    registry: Registry,
    tiny_recipe_file: Path,
    monkeypatch: pytest.MonkeyPatch,
    *,
    fault: str,
    is_said: bool,
) -> None:
    recipe = load_recipe(tiny_recipe_file, overrides=settings_of("aggregator", fault), registry=registry).recipe
    run = tiny_recipe_file.parent
    with pytest.raises(ComponentError) as caught, component_faults_told(recipe, registry, run, rank=1):
        train(a_trainer(recipe, run / "checkpoints"))
    assert str(caught.value).startswith("Rank 1: aggregator 'faulty' of jepa-faulty 0.3 ")
    monkeypatch.setenv("RANK", "1")
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert says(caught.value) == is_said


@pytest.mark.parametrize("fault", ["memory", "host_memory"])
def test_out_of_memory_names_the_setting_to_halve_its_values_and_the_memory_that_there_is(
    registry: Registry, tiny_recipe_file: Path, tmp_path: Path, fault: str
) -> None:
    error = failed(registry, tiny_recipe_file, tmp_path / "run", *settings_of("encoder", fault), "train.accumulate=3")
    assert isinstance(error, OutOfMemory)
    lines = str(error).split("\n")
    assert lines[0].startswith("Out of memory in encoder 'faulty' of jepa-faulty 0.3 (fake_plugin_faulty.py:")
    assert ("Tried to allocate 2.00 GiB" in lines[0]) == (fault == "memory")
    assert "GiB of it free. train.batch_size is 16, train.accumulate is 3." in lines[1]
    assert lines[2].endswith("--set train.batch_size=8 --set train.accumulate=6")
    assert len(lines) == 4


def test_a_micro_batch_that_is_halved_is_one_that_ranks_can_share() -> None:
    assert smaller_batch(512, 2) == {"train.batch_size": 256, "train.accumulate": 4}
    assert smaller_batch(12, 1, ranks=4) == {"train.batch_size": 4, "train.accumulate": 2}
    assert smaller_batch(1, 1) == {}


def test_a_fault_of_the_engine_passes_as_it_is(registry: Registry, tiny_recipe_file: Path, tmp_path: Path) -> None:
    recipe = load_recipe(tiny_recipe_file, registry=registry).recipe
    trainer = a_trainer(recipe, tmp_path / "checkpoints")
    trainer.step.meters.add = lambda *_: 1 / 0  # type: ignore[assignment, method-assign]
    with pytest.raises(ZeroDivisionError), component_faults_told(recipe, registry, tmp_path):
        train(trainer)


def events_of(run: Path) -> dict[str, Event]:
    return {event.name: event for event in RunReader(run).events()}


@pytest.mark.parametrize(
    ("family", "fault"), [("loss", "shape"), ("aggregator", "control"), ("predictor", "exits"), ("encoder", "memory")]
)
def test_a_run_ends_with_code_1_few_lines_and_an_event(
    registry: Registry,
    tiny_recipe_file: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    *,
    family: str,
    fault: str,
) -> None:
    folder = tiny_recipe_file.parent
    monkeypatch.chdir(folder)
    flags = [word for setting in settings_of(family, fault) for word in ("--set", setting)]
    with pytest.raises(SystemExit) as ended:
        main(["run", str(tiny_recipe_file), "--no-audit", *flags])
    assert ended.value.code == 1
    said = "".join(capsys.readouterr())
    assert len(said.strip().split("\n")) <= 6
    assert "Traceback (most recent" not in said
    assert f"{family} 'faulty' of jepa-faulty 0.3" in said
    (run,) = (folder / "runs").iterdir()
    status = read_status(run)
    assert status is not None
    assert (status.state, status.exit_code) == ("failed", 1)
    event = events_of(run)["failed"]
    if fault == "memory":
        assert commanded("autopsy", run) == 0
        assert f"Next: jepa run {run}/recipe.toml --set train.batch_size=8" in "".join(capsys.readouterr())
        return
    assert event.message.startswith(f"{family} 'faulty' of jepa-faulty 0.3 ")
    assert event.evidence["component"]["distribution"] == "jepa-faulty"
    assert "fake_plugin_faulty.py" in event.evidence["traceback"] or fault == "shape"
    assert "Traceback (most recent call last)" in (run / "console.log").read_text()
    # What it was is known, and readers do not take it for damaged.
    assert RunReader(run).recipe()["name"] == "tiny"
    assert RunReader(run).environment()["data_fingerprint"]
    assert commanded("rollback", run, "--to", "0", "--dry-run") == 0
    assert commanded("check", run) == 1
    assert "holds no row" in "".join(capsys.readouterr())
    assert commanded("run", "--resume", run) == 1
    told = "".join(capsys.readouterr())
    assert "no checkpoint in it can be used" in told
    assert f"Start a new run: jepa run {run}/recipe.toml" in told


def commanded(*arguments: object) -> int:
    with pytest.raises(SystemExit) as ended:
        main(list(map(str, arguments)))
    return int(ended.value.code or 0)


@attrs.frozen(kw_only=True)
class OfTorchConfig:
    """A predictor that is made of torch's modules alone."""

    kind: ClassVar[str] = "of_torch"
    metrics: ClassVar[tuple[Metric, ...]] = ()

    def build(self, facts: PredictorFacts) -> torch.nn.Module:
        return torch.nn.Sequential(torch.nn.Linear(facts.embedding_dim, 3))


def test_of_a_component_that_is_made_of_torch_s_modules_the_line_is_that_of_its_build(
    tiny_recipe: RecipeMaker, tmp_path: Path
) -> None:
    recipe = attrs.evolve(tiny_recipe(), predictor=OfTorchConfig())
    with pytest.raises(ComponentError) as caught, component_faults_told(recipe, installed(), tmp_path):
        train(a_trainer(recipe, tmp_path / "checkpoints"))
    line = inspect.getsourcelines(OfTorchConfig.build)[1]
    assert f"returned shape (16, 3), shape (16, 16) is asked for (test_component_faults.py:{line})." in str(
        caught.value
    )
