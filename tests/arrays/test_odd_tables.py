"""Tables of text that could be read in two ways, or not to their end: said with the line, never guessed in silence."""

from __future__ import annotations

import gzip
import subprocess
import time
from pathlib import Path

import numpy as np
import pytest

from jepa_core.errors import DataError
from jepa_core.facts import DatasetFacts
from jepa_plugins.arrays import table_lines
from jepa_plugins.arrays.dataset import ArraysConfig
from jepa_plugins.arrays.text_tables import TextTable, read_text_table
from jepa_plugins.series.space import SeriesSpace
from jepa_plugins.vectors.space import VectorSpace

STEPS = [f"{value:.2f},{value * 2:.2f}" for value in np.random.default_rng(0).normal(size=60)]


def table(folder: Path, text: str) -> TextTable:
    path = folder / "t.csv"
    path.write_text(text, encoding="utf-8")
    return read_text_table(path)


def refusal(folder: Path, text: str) -> str:
    with pytest.raises(DataError) as refused:
        table(folder, text)
    return str(refused.value).removeprefix(f"{folder / 't.csv'}")


def of_lines(*lines: str) -> str:
    return "\n".join(["a,b", *lines]) + "\n"


@pytest.mark.parametrize("names", ["0,1,2,3", "2019,2020,2021,2022", "5,10,15,20"])
def test_names_that_are_numbers_are_not_the_first_step(tmp_path: Path, names: str) -> None:
    rows = "".join(f"{value},{value + 3},{value * 2},1.5\n" for value in range(20))
    assert refusal(tmp_path, f"{names}\n{rows}").startswith(
        f": line 1 holds {', '.join(names.split(','))}, which count up, and the lines below do not. If they are names, "
        "leave that line out, or begin each with a letter; if they are values, write a line of names above it. This "
        "leaves it out: tail -n +2 "
    )
    above = table(tmp_path, f"a,b,c,d\n{names}\n{rows}")
    assert len(above.arrays["observations"]) == 21


def test_a_first_line_that_may_be_names_or_values_is_read_and_said(tmp_path: Path) -> None:
    noted = "line 1 holds 0, 1, which count up, and is read as values; if they are names, begin each with a letter"
    sine = table(tmp_path, "0,1\n0.0998,0.995\n0.1987,0.980\n")
    assert sine.arrays["observations"].shape == (3, 2)
    assert noted in sine.notes
    whole = table(tmp_path, "3,4,5\n7,1,1\n2,2,9\n")
    assert any(note.startswith("line 1 holds 3, 4, 5, which count up") for note in whole.notes)


@pytest.mark.parametrize(
    "text",
    [
        "0,1\n1,2\n2,3\n3,4\n",
        "1,2,3\n4,5,6\n7,8,9\n",
        "7\n8.5\n",
        "4,2\n1.5,2\n",
        "0,0,0\n1.5,2,3\n2,3,4\n",
        "3,7\n1,2\n",
    ],
)
def test_of_a_first_line_like_the_others_nothing_is_said(tmp_path: Path, text: str) -> None:
    assert not [note for note in table(tmp_path, text).notes if "count up" in note]


def test_blank_lines_among_the_values_are_counted_and_said(tmp_path: Path) -> None:
    found = table(tmp_path, of_lines(*STEPS[:10], "", "   ", *STEPS[10:20], "", *STEPS[20:]))
    assert found.arrays["observations"].shape == (60, 2)
    assert (
        "left out: 3 lines with nothing in them, from line 12 on; where that is a step without values or the end of a "
        "recording, mend the table"
    ) in found.notes
    (one,) = (note for note in table(tmp_path, of_lines("1,2", "", "3,4")).notes if note.startswith("left out"))
    assert one.startswith("left out: 1 line with nothing in it, from line 3 on;")


def test_blank_lines_about_the_values_say_nothing(tmp_path: Path) -> None:
    found = table(tmp_path, "\n\n" + of_lines("", *STEPS, "", ",", ",", ""))
    assert found.arrays["observations"].shape == (60, 2)
    assert not [note for note in found.notes if note.startswith("left out")]


def test_blank_lines_are_counted_from_one_block_of_lines_to_the_next(tmp_path: Path) -> None:
    many = [f"{step % 7},{step % 11}.5" for step in range(40_000)]
    found = table(tmp_path, of_lines(*many[:16_380], *[""] * 20, *many[16_380:]))
    assert any(note.startswith("left out: 20 lines with nothing in them, from line 16382 on;") for note in found.notes)


def test_separators_alone_are_steps_without_values(tmp_path: Path) -> None:
    assert refusal(tmp_path, of_lines(*STEPS[:10], ",", " , ", *STEPS[10:], ",")).startswith(
        ", line 12: column 'a' has no value. 4 of 124 values are missing: 2 in column 'a', 2 in column 'b'. Fill them"
    )


@pytest.mark.parametrize("beginning", [b"", b"a,b\n", b"a,b\n1,2\n"])
@pytest.mark.parametrize("blank", [b"\n", b",\n"])
def test_lines_with_nothing_in_them_do_not_go_on_without_end(
    tmp_path: Path, beginning: bytes, blank: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(table_lines, "_MOST_BLANK_LINES", 100_000)
    path = tmp_path / "t.csv.gz"
    path.write_bytes(gzip.compress(beginning + blank * 30_000_000, 1))
    started = time.perf_counter()
    with pytest.raises(DataError, match=r"more than 100,000 lines in a row have nothing in them, as no table has\."):
        read_text_table(path)
    assert time.perf_counter() - started < 20


def test_what_a_comma_means_is_asked_where_nothing_says_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    told = refusal(tmp_path, "a;b\n1,000;2\n12,345;3\n")
    first, point, thousand = told.split("\n")
    assert first == (
        ", line 2: column 'a' holds '1,000', 1000 or, with a decimal comma, 1.000: write which it is. 2 values have a "
        "comma: 2 in column 'a'."
    )
    for line, beginning, values in (
        (point, "  For a decimal comma: ", [[1.0, 2.0], [12.345, 3.0]]),
        (thousand, "  For thousands: ", [[1000.0, 2.0], [12345.0, 3.0]]),
    ):
        assert line.startswith(beginning)
        subprocess.run(["sh", "-c", line.removeprefix(beginning)], check=True)
        np.testing.assert_allclose(read_text_table(tmp_path / "t-numbers.csv").arrays["observations"], values)
    surely = refusal(tmp_path, "a;b\n1,000;2\n0,5;3\n")
    assert "'1,000', with a decimal comma: write decimal points. 2 values have a comma" in surely


def test_commas_with_two_meanings_are_not_mended_by_a_command(tmp_path: Path) -> None:
    told = refusal(tmp_path, "a;b\n1,000,000;2\n0,5;3\n")
    assert "commas part thousands in this table and stand before decimals, too" in told
    assert " > " not in told


@pytest.mark.parametrize("other", ["0.5", "1.25", "3.1415"])
def test_points_that_stand_before_decimals_too_are_not_taken_out(tmp_path: Path, other: str) -> None:
    told = refusal(tmp_path, f"a;b\n1.000,5;2\n1;{other}\n")
    assert told.startswith(", line 2: column 'a' holds '1.000,5', with its thousands parted: write 1000.5.")
    assert " > " not in told


def test_a_value_that_float32_does_not_hold_is_said_with_its_line(tmp_path: Path) -> None:
    assert refusal(tmp_path, of_lines(*STEPS[:10], "1,-1e39", *STEPS)) == (
        ", line 12: column 'b' holds -1e39, and the largest number that float32 holds is 3.4e+38. Correct it, or "
        "divide the column."
    )
    labels = table(tmp_path, "a,labels.size\n1,1e39\n2,0.5\n").arrays["labels.size"]
    assert labels.tolist() == [1e39, 0.5]


def damaged(content: bytes, how: str) -> bytes:
    packed = bytearray(gzip.compress(content))
    if how == "truncated":
        return bytes(packed[: len(packed) // 2])
    packed[{"flipped": len(packed) // 2, "another sum": len(packed) - 6}[how]] ^= 4
    return bytes(packed)


@pytest.mark.parametrize("how", ["truncated", "flipped", "another sum"])
def test_a_packed_table_that_is_damaged_is_called_so(tmp_path: Path, how: str) -> None:
    path = tmp_path / "t.csv.gz"
    for seed in range(8):
        steps = np.random.default_rng(seed).normal(size=(3000, 3))
        path.write_bytes(damaged("\n".join(",".join(f"{v:.4f}" for v in step) for step in steps).encode(), how))
        with pytest.raises(DataError) as refused:
            read_text_table(path)
        end = "ends too early" if how == "truncated" else "does not unpack to what it was"
        assert str(refused.value) == (
            f"{path}: this file is damaged: it was packed by gzip, and {end}. Copy or save it anew."
        )


def test_a_typeset_minus_is_a_minus(tmp_path: Path) -> None:
    assert table(tmp_path, of_lines("\u22121.5,2", "3,\u22124e\u22122")).arrays["observations"].tolist() == [
        [-1.5, 2],
        [3, np.float32(-0.04)],
    ]


@pytest.mark.parametrize("names", ["a,b", ",b", "a,labels.b", "tasks,b", "1.5,2"])
@pytest.mark.parametrize("rows", [5, 400])
def test_what_a_table_holds_is_known_by_its_beginning(tmp_path: Path, names: str, rows: int) -> None:
    path = tmp_path / "t.csv"
    lines = [f"{step // 2},{step % 7}" for step in range(rows)]
    path.write_text("\n".join([names, *lines, "spoilt"]), encoding="utf-8")
    assert ArraysConfig(path=str(path)).space is SeriesSpace
    with pytest.raises(DataError, match="spoilt"):
        ArraysConfig(path=str(path)).build(DatasetFacts(seed=0))


@pytest.mark.parametrize(("num_columns", "space"), [(32, SeriesSpace), (33, VectorSpace), (34, VectorSpace)])
@pytest.mark.parametrize("counts", [True, False])
@pytest.mark.parametrize("index", ["", "tasks", "name"])
def test_the_beginning_of_a_table_says_what_the_whole_says(
    tmp_path: Path, num_columns: int, space: type[SeriesSpace | VectorSpace], counts: bool, index: str
) -> None:
    path = tmp_path / "t.csv"
    values = np.random.default_rng(0).normal(size=(300, num_columns))
    names = ",".join([index, *(f"c{number}" for number in range(num_columns))])
    rows = [
        ",".join([str(step if counts else step // 30), *(f"{value:.3f}" for value in row)])
        for step, row in enumerate(values)
    ]
    path.write_text("\n".join([names, *rows]), encoding="utf-8")
    config = ArraysConfig(path=str(path), length=4, context_length=2)
    dataset = config.build(DatasetFacts(seed=0)) if index != "tasks" or not counts else None
    is_observed = index == "name" or (index == "" and not counts)
    expected = VectorSpace if is_observed and num_columns == 32 else space
    assert config.space is expected
    assert dataset is None or type(dataset.space) is expected


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("Task", "'Task' is observed as every other column; if it says the recording of a line, call it tasks"),
        ("SPLIT", "'SPLIT' is observed as every other column; if it says the side of a line, 0 or 1, call it split"),
        ("label", "'label' is observed as every other column; if it says the class of a line, call it labels.NAME"),
        ("labels.kind", ""),
        ("speed", ""),
    ],
)
def test_a_column_whose_name_is_nearly_that_of_another_array_is_remarked_on(
    tmp_path: Path, name: str, told: str
) -> None:
    notes = table(tmp_path, f"{name},b\n1,2\n0,3\n1,5\n").notes
    assert [note for note in notes if "as every other" in note] == ([told] if told else [])


def test_the_columns_of_a_long_command_are_ranges(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    names = [f"c{number}" for number in range(40)]
    cells = ["x" if number in (0, 10, 12) else str(number) for number in range(40)]
    told = refusal(tmp_path, f"{','.join(names)}\n{','.join(cells)}\n{','.join(cells)}\n")
    command = told.split("This does it: ")[1]
    assert command.startswith("cut -d, -f2-10,12,14-40 ")
    subprocess.run(["sh", "-c", command], check=True)
    assert read_text_table(tmp_path / "t-numbers.csv").arrays["observations"].shape == (2, 37)
    quoted = refusal(tmp_path, f"{','.join(names)}\n{','.join(cells).replace('x', chr(34) + 'x,y' + chr(34))}\n")
    subprocess.run(["sh", "-c", quoted.split("This does it: ")[1]], check=True)
    assert read_text_table(tmp_path / "t-numbers-2.csv").arrays["observations"].shape == (1, 37)


def test_lines_of_several_sensors_are_not_run_together(tmp_path: Path) -> None:
    lines = [f"{'xyz'[step % 3]},{step * step % 11}" for step in range(60)]
    assert refusal(tmp_path, "\n".join(["sensor,value", *lines])) == (
        ", line 2: column 'sensor' holds 'x', and only numbers are read. If it says what the line's values are of, "
        "give each of these a column (pandas.DataFrame.pivot); else leave that column out."
    )
    for texts in (["x"] * 60, ["1 %", "2 %"] * 30, [f"note {step}" for step in range(60)]):
        rows = [f"{text},{step}" for step, text in enumerate(texts)]
        assert "pivot" not in refusal(tmp_path, "\n".join(["sensor,value", *rows]))
