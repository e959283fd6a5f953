"""Checkpoints made to do harm: every command that reads one refuses in a sentence, and changes nothing."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from jepa_core.cli import main
from jepa_core.engine.checkpoint import same_tree
from jepa_core.engine.run_state import why_not
from jepa_core.engine.starting import Resumption
from jepa_core.engine.stored_model import choose_checkpoint, why_no_model
from jepa_core.errors import CheckpointError
from jepa_core.recipes.reading import load_recipe
from jepa_core.recipes.tables import Recipe
from jepa_core.registry import installed
from jepa_core.run_directory.reading import RunReader
from jepa_core.run_directory.stored_checkpoints import Checkpoint
from tests.conftest import TINY
from tests.engine.hostile_checkpoints import CORPUS, Seen
from tests.engine.training import a_trainer, snapshot, train
from tests.monitor.test_injection import FORBIDDEN

READERS: dict[str, tuple[Seen, tuple[str, ...]]] = {
    "checkpoints": ("files", ("checkpoints", "RUN", "verify")),
    "rollback": ("files", ("rollback", "RUN", "--to", "4", "--set", "optimizer.lr=0.001", "--dry-run")),
    "eval": ("model", ("eval", "RUN", "--step", "newest")),
    "embed": ("model", ("embed", "RUN", "-o", "OUT.npz")),
    "export": ("model", ("export", "RUN", "-o", "OUT.pt2")),
    "plot": ("model", ("plot", "RUN", "-o", "OUT.png")),
    "run": ("state", ("run", "--resume", "RUN")),
}
"""Every command that reads a checkpoint, and how much of one it looks at."""

ORDER: tuple[Seen, ...] = ("files", "model", "state")

_unpickled: list[str] = []


@pytest.fixture(scope="module", autouse=True)
def watched() -> None:
    """Notes what is unpickled; an audit hook stays for as long as the process."""
    sys.addaudithook(lambda event, given: _unpickled.append(str(given)) if event == "pickle.find_class" else None)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that was stopped after step 4, with checkpoints of steps 2 and 4."""
    folder = tmp_path_factory.mktemp("hostile")
    (folder / "tiny.toml").write_text(TINY)
    flags = ("--set", "checkpoint.every_steps=2", "--set", "checkpoint.keep=9", "--runs-dir", str(folder / "runs"))
    assert call("run", str(folder / "tiny.toml"), "--no-audit", *flags) == 0
    (run,) = (folder / "runs").iterdir()
    shutil.rmtree(run / "checkpoints" / "step-6")
    (run / "verdict.json").unlink()
    return run


@pytest.fixture
def run(trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of it, in a folder to work in."""
    monkeypatch.chdir(tmp_path)
    return Path(shutil.copytree(trained, tmp_path / "runs" / trained.name))


@pytest.fixture(scope="module")
def recipe(trained: Path) -> Recipe:
    return load_recipe(trained / "recipe.toml", registry=installed()).recipe


def call(*arguments: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    return int(ended.value.code or 0)


def state_of(folder: Path) -> dict[str, tuple[int, int]]:
    return {
        str(path.relative_to(folder)): (path.lstat().st_mtime_ns, path.lstat().st_size)
        for path in folder.rglob("*")
        if path.name != "run.lock"
    }


def readers_of(seen: Seen) -> Iterator[str]:
    for name, (looks_at, _) in READERS.items():
        if ORDER.index(looks_at) >= ORDER.index(seen):
            yield name


def test_the_corpus_is_large_enough() -> None:
    assert len(CORPUS) >= 100


@pytest.mark.parametrize("name", CORPUS)
def test_an_older_checkpoint_is_used_and_the_reason_is_given(name: str, run: Path, recipe: Recipe) -> None:
    CORPUS[name].make(run / "checkpoints" / "step-4")
    resumption = Resumption.of(run, recipe)
    assert resumption.checkpoint is not None
    assert resumption.step == 2
    (fault,) = resumption.damaged
    assert fault.startswith("step-4: ")
    assert len(fault) < 500
    assert not FORBIDDEN.intersection(fault.replace("\n", ""))
    if CORPUS[name].seen != "state":
        chosen = choose_checkpoint(RunReader(run), "newest", lambda found: why_no_model(recipe, found))
        assert (chosen.checkpoint.step, len(chosen.notes)) == (2, 1)


@pytest.mark.parametrize("name", list(CORPUS)[::4])
def test_with_no_other_checkpoint_it_is_refused_and_nothing_is_written(
    name: str, run: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    shutil.rmtree(run / "checkpoints" / "step-2")
    CORPUS[name].make(run / "checkpoints" / "step-4")
    before, unpickled = state_of(tmp_path), len(_unpickled)
    # All readers of all families take half a minute: here each of some families has one, every reader its turn.
    readers = list(readers_of(CORPUS[name].seen))
    reader = readers[list(CORPUS).index(name) // 4 % len(readers)]
    check_refused(reader, run, capfd)
    assert state_of(tmp_path) == before
    assert len(_unpickled) == unpickled
    assert not (tmp_path / "executed").exists()


@pytest.mark.slow
@pytest.mark.parametrize("name", CORPUS)
def test_every_reader_refuses_it(name: str, run: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    shutil.rmtree(run / "checkpoints" / "step-2")
    CORPUS[name].make(run / "checkpoints" / "step-4")
    before, unpickled = state_of(tmp_path), len(_unpickled)
    for reader in readers_of(CORPUS[name].seen):
        check_refused(reader, run, capfd)
        assert state_of(tmp_path) == before, reader
        assert len(_unpickled) == unpickled, reader


WHOLE = [name for name, hostile in CORPUS.items() if hostile.seen != "files"]
"""Those of which every file is as it should be."""


OF_OTHER_DATA = "a space of 10^9 cells"
"""Weights of another size fit in part; that the data is other is known once it is there."""


@pytest.mark.parametrize("inherits", [False, True])
@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.slow] * (number % 8 > 0)) for number, name in enumerate(WHOLE)]
)
def test_a_trainer_takes_all_of_it_or_nothing(
    name: str, run: Path, recipe: Recipe, tmp_path: Path, *, inherits: bool
) -> None:
    path = run / "checkpoints" / "step-4"
    CORPUS[name].make(path)
    checkpoint, trainer = Checkpoint(path, 4), a_trainer(recipe, tmp_path)
    before = snapshot(trainer)
    takes = trainer.inherit if inherits else trainer.resume
    fits = why_not(checkpoint, recipe, inherits=inherits) is None
    if fits and name != OF_OTHER_DATA:
        assert inherits
        takes(checkpoint)
        assert train(trainer).kind == "finished"
        return
    with pytest.raises(CheckpointError):
        takes(checkpoint)
    assert same_tree(trainer.state.read(), before)


def check_refused(reader: str, run: Path, capfd: pytest.CaptureFixture[str]) -> None:
    _, typed = READERS[reader]
    capfd.readouterr()
    assert call(*(str(run) if word == "RUN" else word for word in typed)) == 1
    printed, said = capfd.readouterr()
    told = printed if reader == "checkpoints" else said
    assert "step-4" in told, told
    assert "Traceback" not in printed + said
    assert len(said) < 2000
    assert not FORBIDDEN.intersection((printed + said).replace("\n", ""))


def test_a_resume_of_nothing_but_a_checkpoint_of_another_model_says_so(run: Path, recipe: Recipe) -> None:
    text = (run / "recipe.toml").read_text()
    assert "\ndim = 12" in text
    (run / "recipe.toml").write_text(text.replace("\ndim = 12", "\ndim = 10"))
    other = load_recipe(run / "recipe.toml", registry=installed()).recipe
    with pytest.raises(
        CheckpointError, match=r"step-4: the checkpoint's online does not fit the recipe: .*\n.*step-2"
    ) as no:
        Resumption.of(run, other)
    assert f"\n{run}/recipe.toml is not the recipe that they were made with" in str(no.value)
    assert f"Put it back as it was, and resume; with a change go on from there: jepa rollback {run} --to" in str(
        no.value
    )
