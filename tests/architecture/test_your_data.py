"""`docs/your-data.md` cannot rot: its arrays are saved, its recipes run, its refusals are worded as the page says."""

from __future__ import annotations

import re
import tomllib
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from jepa_core.cli import main, program
from jepa_core.errors import DataError
from jepa_core.facts import DatasetFacts
from jepa_core.run_directory.reading import RunReader
from jepa_plugins.arrays.dataset import ArraysConfig
from jepa_plugins.arrays.readings import READINGS
from jepa_plugins.arrays.text_tables import read_text_table

PAGE = (Path(__file__).parents[2] / "docs" / "your-data.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)
RECIPES = {tomllib.loads(block)["name"]: block for language, block in BLOCKS if language == "toml"}
COMMANDS = "".join(block for language, block in BLOCKS if not language)
ENDINGS = (0, 4)
"""Finished, whether the one short epoch of a test is enough for the must or not."""

REFUSED = "refused.npz"
FEWER = {
    "dots": ["data.stride=7"],
    "film_files": ["data.stride=7"],
    "springs": ["data.stride=64"],
    "machine": ["data.stride=16"],
    "pendulums": ["data.stride=7"],
    "sand": ["data.limit=400"],
}
"""Fewer sequences, so that an epoch is a matter of a second."""


def run_blocks(blocks: list[tuple[str, str]]) -> None:
    """In the working directory, in their order, each on its own as a reader would paste it."""
    for language, block in blocks:
        if language == "python":
            exec(compile(block, "docs/your-data.md", "exec"), {"__name__": "page"})


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a reader has after saving all arrays and recipes of the page."""
    path = tmp_path_factory.mktemp("page")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(path)
        run_blocks([block for block in BLOCKS if REFUSED not in block[1]])
    for name, recipe in RECIPES.items():
        (path / f"{name}.toml").write_text(recipe, encoding="utf-8")
    return path


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_of_the_page_runs_on_its_data_and_is_compared_with_a_null(
    name: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    assert f"jepa run {name}.toml" in COMMANDS
    smaller = ["train.epochs=1", "train.batch_size=32", "diagnostics.validate_every_epochs=1", *FEWER[name]]
    flags = [argument for setting in smaller for argument in ("--set", setting)]
    with pytest.raises(SystemExit) as left:
        main(["run", f"{name}.toml", *flags, "--device", "cpu", "--no-audit", "--runs-dir", f"runs-{name}"])
    assert left.value.code in ENDINGS
    (run,) = (folder / f"runs-{name}").iterdir()
    *_, last = RunReader(run).rows()
    assert {"val.retrieval.mrr", "val.retrieval.null_mrr"} <= last.keys()
    verdict = RunReader(run).verdict()
    assert verdict is not None
    assert verdict.ending == "finished"


@pytest.mark.parametrize("name", RECIPES)
def test_a_result_on_the_page_names_a_null_that_is_on_for_its_data(name: str) -> None:
    printed = PAGE.partition(f"jepa run {name}.toml\n```\n")[2]
    result = re.match(
        r"\n```text\nVerdict: success · above ([\w ]+), the strongest null: .*?\n```\n", printed, re.DOTALL
    )
    assert result is not None
    assert f"strongest null ({result[1]})" in result[0]
    assert "near copies" in result[0]


def test_every_refusal_is_worded_as_the_page_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    pairs = [(block, told) for block, told in pairwise(BLOCKS) if REFUSED in block[1]]
    saved = [(block, told[1]) for block, told in pairs if block[0] == "python"]
    assert len(saved) >= 3
    for block, told in saved:
        run_blocks([block])
        with pytest.raises(DataError) as refused:
            ArraysConfig(path=REFUSED).build(DatasetFacts(seed=0))
        assert f"{refused.value}\n".replace(str(tmp_path), "/home/me") == told


def test_the_table_of_the_page_is_read_as_it_says(tmp_path: Path) -> None:
    (table,) = (block for language, block in BLOCKS if language == "csv")
    path = tmp_path / "table.csv"
    path.write_text(table, encoding="utf-8")
    arrays = read_text_table(path).arrays
    assert list(arrays) == ["observations", "tasks", "labels.is_running"]
    assert arrays["observations"].shape == (4, 2)


def test_gaps_are_filled_in_as_the_page_says(folder: Path) -> None:
    assert "### Missing values\n" in PAGE
    with pytest.raises(DataError, match=r"2 of 8 values are missing.* docs/your-data\.md, Missing values"):
        read_text_table(folder / "gaps.csv")
    filled = read_text_table(folder / "filled.csv").arrays["observations"]
    np.testing.assert_allclose(filled, [[0.12, -1.4], [0.15, -1.2], [0.18, -1], [0.21, -0.8]], rtol=1e-6)


def test_a_recipe_for_another_space_is_refused_as_the_page_says(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(folder)
    written = Path("dots.toml").read_text(encoding="utf-8")
    try:
        Path("dots.toml").write_text(written.replace('kind = "convnet"', 'kind = "series"'), encoding="utf-8")
        with pytest.raises(SystemExit) as left:
            main(["run", "dots.toml"])
    finally:
        Path("dots.toml").write_text(written, encoding="utf-8")
    assert left.value.code == 2
    (shown,) = (block for language, block in BLOCKS if language == "text" and block.startswith("dots.toml has"))
    assert capsys.readouterr().err.startswith(shown)


def test_a_long_recording_of_the_page_is_mapped_and_makes_views(folder: Path) -> None:
    dataset = ArraysConfig(path=str(folder / "long.npy"), length=64).build(DatasetFacts(seed=0))
    storages = {
        part.observations["values"].untyped_storage().data_ptr() for part in (dataset.train, dataset.validation)
    }
    assert len(storages) == 1


def test_a_note_on_the_page_is_what_the_dataset_says(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    notes, of_scales = (block for language, block in BLOCKS if language == "text" and block.startswith("  · "))
    dataset = ArraysConfig(path="pendulums.npz", observed_as="vectors").build(DatasetFacts(seed=0))
    assert notes == "".join(f"  · {note}\n" for note in dataset.notes)
    far = np.load("springs.npz")["observations"] * [0.5, 300] + [1013, 0]
    np.savez("far.npz", observations=far.astype(np.float32))
    *_, told = ArraysConfig(path="far.npz", length=16).build(DatasetFacts(seed=0)).notes
    assert of_scales == f"  · {told}\n"


def test_every_shape_that_is_read_is_in_the_table() -> None:
    columns = ["images", "series", "vectors"]
    rows = {
        cells[1].partition('"')[2].partition('"')[0]: dict(zip(columns, cells[2:5], strict=True))
        for cells in (line.split("|") for line in PAGE.splitlines() if line.startswith('| `"'))
    }
    told = {
        (holds, observed_as, shape)
        for holds, cells in rows.items()
        for observed_as, cell in cells.items()
        for shape in re.findall(r"\((.*?)\)", cell)
    }
    assert told == {(reading.holds, reading.observed_as, ", ".join(reading.dims)) for reading in READINGS}


def test_commands_and_flags_are_there() -> None:
    for command, rest in re.findall(r"\bjepa (run|eval|ablate|audit|monitor|plugins show)\b(.*)", COMMANDS):
        resolved = program()
        for word in command.split():
            resolved = resolved[word]
        accepted = {name for argument in resolved.assemble_argument_collection() for name in argument.names}
        assert set(re.findall(r"--[a-z-]+", rest)) <= accepted, command
