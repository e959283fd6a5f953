"""`jepa eval` on a run that was trained for a moment."""

from __future__ import annotations

from pathlib import Path

import orjson
import pytest

from jepa_core.cli import main
from jepa_core.commands.evaluate import evaluate
from jepa_core.errors import DataError
from jepa_core.recipes.faults import RecipeFaultsError
from jepa_core.run_directory.reading import RunReader
from tests.conftest import TINY


def call(*arguments: object) -> int:
    with pytest.raises(SystemExit) as caught:
        main([str(argument) for argument in arguments])
    return int(caught.value.code or 0)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory of a finished run on grids of side 9, some of whose tasks share a rule."""
    folder = tmp_path_factory.mktemp("evaluated")
    recipe = folder / "tiny.toml"
    recipe.write_text(TINY)
    data = ("--set", "data.side=9", "--set", "data.num_sequences=240", "--set", "data.validation_share=0.3")
    assert call("run", recipe, *data, "--set", "train.epochs=2", "--runs-dir", folder / "runs") == 0
    (run,) = (folder / "runs").iterdir()
    return run


def contents(run: Path) -> dict[Path, tuple[bytes, int]]:
    """Every file's bytes and time of change."""
    return {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in run.rglob("*") if path.is_file()}


def test_it_gives_what_the_runs_own_validation_gave(trained: Path, capsys: pytest.CaptureFixture[str]) -> None:
    evaluate(str(trained), json=True, step="newest")
    printed = orjson.loads(capsys.readouterr().out)
    row = list(RunReader(trained).rows(containing="val.retrieval.mrr"))[-1]
    assert printed["step"] == row["step"]
    assert printed["data"]["same_as_run"] is True
    recorded = {name: value for name, value in row.items() if name.startswith("val.")}
    assert printed["figures"] == pytest.approx(recorded)
    assert printed["model"]["mrr"] == pytest.approx(row["val.retrieval.mrr"])
    assert printed["nulls"]["figures"][0]["mrr"] == pytest.approx(row["val.retrieval.null_mrr"])


def test_it_changes_nothing_in_the_run(trained: Path) -> None:
    before = contents(trained)
    evaluate(str(trained))
    evaluate(str(trained), overrides=("data.seed=7",), step="newest", json=True)
    assert contents(trained) == before


def test_everything_stands_beside_what_learns_nothing(trained: Path, capsys: pytest.CaptureFixture[str]) -> None:
    evaluate(trained.name[:9], runs_dir=trained.parent)
    lines = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    assert lines[0].startswith(f"{trained.name} · step ")
    assert "(best: highest retrieval)" in lines[0]
    null = RunReader(trained).nulls().strongest
    assert null is not None
    assert f"retrieval model {null.title}" in lines
    assert any(line.startswith(f"nulls {null.title} {null.mrr:.3f} (") for line in lines)
    assert "probes of labels kNN linear" in lines
    for start in ("prediction", "encoder", "cells", "largest class"):
        assert sum(line.startswith(start) for line in lines) == 2, start  # for the rule and for the task
    for start in ("MRR", "top-1", "top-10", "rule", "task", "loss", "effective rank projection:", "codes", "order"):
        assert any(line.startswith(start) for line in lines), start
    assert "· the run's own data" in lines


def test_json_has_every_probe_by_neighbours_and_by_a_linear_map(
    trained: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    evaluate(str(trained), json=True, step="newest")
    printed = orjson.loads(capsys.readouterr().out)
    rule, task = printed["probes"]
    assert (rule["label"], task["label"]) == ("rule", "task")
    for probe in (rule, task):
        assert set(probe["beside"]) == {"cells"}  # a codebook started from data: the untrained network is not known
        for scores in (probe["prediction"], probe["encoder"], *probe["beside"].values()):
            assert scores.keys() == {"knn", "linear"}
            assert all(0 <= score <= 1 for score in scores.values())
        assert 0 < probe["constant"] < 1
    row = list(RunReader(trained).rows(containing="val.retrieval.mrr"))[-1]
    recorded = {kind: row[f"val.probe.rule.{kind}"] for kind in ("knn", "linear")}
    assert rule["prediction"] == pytest.approx(recorded)


def test_other_data_is_said_and_smaller_grids_are_padded(trained: Path, capsys: pytest.CaptureFixture[str]) -> None:
    evaluate(str(trained), overrides=("data.side=8", "data.num_sequences=60", "train.batch_size=5"))
    out = capsys.readouterr().out
    assert "validation split of 60 traces, 10 tasks of 6 orders each: 18 sequences, 18 different targets" in out
    assert "other data than the run's" in out


def test_a_manifest_can_be_evaluated_with_a_model_of_traces(
    trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    records = [{"frames": [[[n % 10, k]] for k in range(4)], "id": str(n)} for n in range(20)]
    manifest = tmp_path / "mine.jsonl"
    manifest.write_bytes(b"\n".join(map(orjson.dumps, records)))
    overrides = ("data.kind=manifest", f"data.path={manifest}", "data.validation_share=0.5")
    evaluate(str(trained), overrides=overrides, json=True)
    printed = orjson.loads(capsys.readouterr().out)
    assert printed["data"]["description"] == "20 sequences of mine.jsonl, 20 tasks"
    assert (printed["data"]["num_sequences"], printed["data"]["same_as_run"], printed["probes"]) == (10, False, [])


def test_data_that_does_not_fit_the_weights_is_refused_with_both_numbers(trained: Path) -> None:
    with pytest.raises(DataError, match="up to 9 × 9 cells, and this data has one of 12"):
        evaluate(str(trained), overrides=("data.side=12",))
    with pytest.raises(DataError, match="take 3 observations of context, and this data gives 4"):
        evaluate(str(trained), overrides=("data.context_length=4",))


@pytest.mark.parametrize(
    "override", ["losses.info_nce.weight=2", "train.seed=4", "name=x", "train={ seed = 4 }", "train=3"]
)
def test_what_the_weights_were_trained_with_cannot_be_set(trained: Path, override: str) -> None:
    with pytest.raises(RecipeFaultsError) as caught:
        evaluate(str(trained), overrides=(override, "data.seed=3", "train.precision=fp32"))
    (fault,) = caught.value.faults
    assert fault.where == f"--set {override}"


def test_a_fault_of_the_data_table_looks_like_any_other(trained: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call("eval", trained, "--set", "data.sied=8") == 2
    assert 'no field of this name in data. Did you mean "side"?' in capsys.readouterr().err
