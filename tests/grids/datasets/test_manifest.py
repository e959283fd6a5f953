"""Manifests: records to sequences, and what is said about records that cannot become one."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest
import torch

from jepa_core.contracts import SequenceDataset
from jepa_core.errors import DataError, RecipeError
from jepa_core.facts import DatasetFacts
from jepa_plugins.grids.datasets.manifest import ManifestConfig
from jepa_plugins.grids.nulls.equal_cells import EqualCellsConfig
from tests.grids.nulls.ranking import retrieval_of

FACTS = DatasetFacts(seed=0)
PAIRS_50K = Path(__file__).parents[2].parent / "shared" / "data" / "grid-pairs-50k.jsonl.gz"


def frames(*colours: int, side: int = 2) -> dict[str, Any]:
    """A record of one-coloured grids."""
    return {"frames": [[[colour] * side] * side for colour in colours]}


def write(path: Path, *records: object) -> Path:
    lines = "".join(f"{record if isinstance(record, str) else json.dumps(record)}\n" for record in records)
    path.write_bytes(gzip.compress(lines.encode()) if path.suffix == ".gz" else lines.encode())
    return path


def build(path: Path, **settings: Any) -> SequenceDataset:
    return ManifestConfig(path=str(path), **{"validation_share": 0.5, **settings}).build(FACTS)


def colours(dataset: SequenceDataset) -> list[list[int]]:
    """The colour in the corner of each grid of each sequence, sorted by sequence."""
    grids = torch.cat([dataset.train.observations["grid"], dataset.validation.observations["grid"]])
    return sorted(grids[:, :, 0, 0].tolist())


def test_the_last_frame_is_the_target_and_the_last_context_grids_count(tmp_path: Path) -> None:
    path = write(tmp_path / "m.jsonl", frames(1, 2, 3, 4), frames(5, 6, 7, 8, 9))
    assert colours(build(path)) == [[1, 2, 3, 4], [6, 7, 8, 9]]


def test_inputs_and_outputs_are_records_of_one_context_grid(tmp_path: Path) -> None:
    records = [{"input": [[n]], "output": [[n + 1]], "id": f"p{n}"} for n in (1, 3)]
    dataset = build(write(tmp_path / "m.jsonl", *records), context_length=1)
    assert colours(dataset) == [[1, 2], [3, 4]]
    assert dataset.task_names == ("p1", "p3")


def test_gzipped_manifests_read_alike(tmp_path: Path) -> None:
    records = frames(1, 2, 3, 4), frames(5, 6, 7, 8)
    plain, zipped = (build(write(tmp_path / name, *records)) for name in ("m.jsonl", "m.jsonl.gz"))
    assert plain.fingerprint == zipped.fingerprint


def test_what_is_compressed_under_another_name_or_begins_with_a_mark_reads_alike(tmp_path: Path) -> None:
    records = frames(1, 2, 3, 4), frames(5, 6, 7, 8)
    plain = write(tmp_path / "m.jsonl", *records)
    expected, content = colours(build(plain)), plain.read_bytes()
    marked = b"\xef\xbb\xbf" + content
    for number, other in enumerate(
        (gzip.compress(content), marked, gzip.compress(marked), b"\xef\xbb\xbf\n" + content)
    ):
        (tmp_path / f"other{number}").write_bytes(other)
        assert colours(build(tmp_path / f"other{number}")) == expected
    (tmp_path / "plain.gz").write_bytes(content)
    assert colours(build(tmp_path / "plain.gz")) == expected


def test_an_id_that_is_the_number_of_another_line_is_not_that_line_s(tmp_path: Path) -> None:
    records = {**frames(1, 2, 3, 4), "id": 2}, frames(5, 6, 7, 8), {**frames(1, 1, 1, 1), "id": "3"}, frames(2, 2, 2, 2)
    assert len(build(write(tmp_path / "m.jsonl", *records)).task_names) == 4


def test_a_home_of_nobody_is_told(tmp_path: Path) -> None:
    with pytest.raises(
        RecipeError, match=r"^~nobody-of-this-name/m\.jsonl: there is no home of ~nobody-of-this-name\. "
    ):
        build(Path("~nobody-of-this-name/m.jsonl"))


def test_records_with_too_few_grids_are_counted_in_an_error(tmp_path: Path) -> None:
    path = write(tmp_path / "m.jsonl", frames(1, 2), frames(1, 2, 3, 4), frames(1, 2, 3))
    with pytest.raises(DataError, match=r"2 of 3 records have fewer grids.*context_length = 3.*short_context"):
        build(path)


def test_short_context_repeat_fills_up_with_the_earliest_grid_and_says_so(tmp_path: Path) -> None:
    path = write(tmp_path / "m.jsonl", frames(1, 2), frames(3, 4, 5), frames(6, 7, 8, 9))
    dataset = build(path, short_context="repeat")
    assert colours(dataset) == [[1, 1, 1, 2], [3, 3, 4, 5], [6, 7, 8, 9]]
    assert "2 of 3 records" in dataset.notes[0]


def test_grids_are_packed_to_the_largest_side_of_the_data(tmp_path: Path) -> None:
    dataset = build(write(tmp_path / "m.jsonl", frames(1, 1, 1, 1, side=2), frames(1, 1, 1, 1, side=5)))
    assert dataset.train.observations["grid"].shape == (1, 4, 5, 5)
    assert {int(part.observations["size"][0, 0, 0]) for part in (dataset.train, dataset.validation)} == {2, 5}


def test_records_of_one_task_stay_on_one_side(tmp_path: Path) -> None:
    records = [{**frames(1, 2, 3, 4), "task": f"t{number % 4}"} for number in range(20)]
    dataset = build(write(tmp_path / "m.jsonl", *records))
    assert dataset.task_names == ("t0", "t1", "t2", "t3")
    assert len(dataset.train) == len(dataset.validation) == 10
    assert not set(dataset.train.tasks.tolist()) & set(dataset.validation.tasks.tolist())


def test_rule_traces_become_labels_when_every_record_has_one(tmp_path: Path) -> None:
    traces = [["move"], ["move", "grow"], ["move"], ["grow"]]
    records = [{**frames(1, 2, 3, 4), "rule_trace": [{"primitive": name} for name in trace]} for trace in traces]
    dataset = build(write(tmp_path / "m.jsonl", *records))
    labels = dict(
        pair
        for part in (dataset.train, dataset.validation)
        for pair in zip(part.tasks.tolist(), part.labels["rule"].tolist(), strict=True)
    )
    assert labels == {0: 0, 1: 1, 2: 0, 3: 2}
    assert not build(write(tmp_path / "n.jsonl", *records, frames(1, 2, 3, 4))).train.labels


def test_limit_takes_the_first_records_and_looks_at_no_others(tmp_path: Path) -> None:
    path = write(tmp_path / "m.jsonl", frames(1, 2, 3, 4), frames(5, 6, 7, 8), "not JSON")
    assert colours(build(path, limit=2)) == [[1, 2, 3, 4], [5, 6, 7, 8]]


@pytest.mark.parametrize(
    ("record", "complaint"),
    [
        ("{", "unexpected end"),
        ("[1]", "is not a JSON object"),
        ({"input": [[1]]}, "output is not a non-empty list"),
        ({"frames": [[[1]]]}, "at least 2 grids"),
        ({"frames": [[[1]], [[1], [1, 2]]]}, r"frames\[1\] has rows of 1 to 2 cells"),
        ({"input": [[12]], "output": [[1]]}, "input has a cell 12"),
        ({"input": [[1, 2]], "output": [[1, True]]}, "output has a cell True"),
        ({**frames(1, 2, 3, 4), "id": False}, "task or id must be"),
        ({**frames(1, 2, 3, 4), "rule_trace": [{"name": "move"}]}, "rule_trace must be"),
        ({**frames(1, 2, 3, 4), "rule_trace": 3}, "rule_trace must be"),
        ({**frames(1, 2, 3, 4), "rule_trace": [{"primitive": 3}]}, "rule_trace must be"),
        ({**frames(1, 2, 3, 4), "task": [1]}, "task or id must be"),
    ],
)
def test_malformed_records_are_counted_and_the_first_is_shown(tmp_path: Path, record: object, complaint: str) -> None:
    path = write(tmp_path / "m.jsonl", frames(1, 2, 3, 4), "", record, "nonsense", frames(1, 2, 3, 4))
    with pytest.raises(DataError, match=rf"m\.jsonl:3: .*{complaint}") as caught:
        build(path)
    assert "2 of 4 records are malformed" in str(caught.value)


def test_files_that_are_missing_empty_or_damaged_are_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"missing\.jsonl: there is no such file"):
        build(tmp_path / "missing.jsonl")
    with pytest.raises(DataError, match=r"empty\.jsonl holds no records"):
        build(write(tmp_path / "empty.jsonl"))
    damaged = write(tmp_path / "damaged.jsonl.gz", frames(1, 2, 3, 4))
    damaged.write_bytes(damaged.read_bytes()[:-12])
    with pytest.raises(DataError, match=r"damaged\.jsonl\.gz: this file is damaged: .* and ends too early"):
        build(damaged)


def test_without_a_path_the_error_says_what_to_give_and_where_it_comes_from() -> None:
    with pytest.raises(RecipeError, match=r"--set data\.path=FILE\.jsonl\.gz") as caught:
        ManifestConfig().build(FACTS)
    for wanted in ('"input"', '"output"', '"frames"', "generator of synthetic ARC-like tasks"):
        assert wanted in str(caught.value)


@pytest.mark.skipif(not PAIRS_50K.exists(), reason="the file of 50,000 grid pairs is not there")
def test_two_per_cent_of_50000_pairs_validate_and_cell_counting_ranks_them_as_the_seed_reports() -> None:
    dataset = ManifestConfig(path=str(PAIRS_50K), context_length=1).build(FACTS)
    assert (len(dataset.train), len(dataset.validation)) == (49_000, 1_000)
    baseline = retrieval_of(dataset, EqualCellsConfig())
    assert baseline.mrr == pytest.approx(0.346, abs=0.002)
    assert baseline.top1 == pytest.approx(0.297, abs=0.002)
