"""Tables of numbers as text: what is read of each kind, and the line that is named where one cannot be read."""

from __future__ import annotations

import gzip
import io
import re
import subprocess
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from jepa_core.errors import DataError
from jepa_core.facts import DatasetFacts
from jepa_plugins.arrays.dataset import ArraysConfig
from jepa_plugins.arrays.files import ArrayFile, Header
from jepa_plugins.arrays.text_tables import read_text_table

TABLES = {
    "t.csv": b"x,y\n1.5,2\n3,4",
    "t.TSV": b"x\ty\n1.5\t2\n3\t4\n",
    "t.txt": b"x y\n1.5 2\n3  4\n",
    "no names.csv": b"1.5,2\n3,4\n",
    "names and units.csv": b"length,width\nm,m\n1.5,2\n3,4\n",
    "semicolons.csv": b"x;y\r\n1.5;2\r\n3;4\r\n\r\n",
    "tabs.csv": b"x\ty\n1.5\t2\n3\t4",
    "quoted.csv": b'"x","y"\n"1.5","2"\n"3","4"\n',
    "names with all.csv": b'"x, in m","the ""y""\nof it"\n1.5,2\n3,4\n',
    "mark.csv": b"\xef\xbb\xbf1.5,2\n3,4\n",
    "mark and names.csv": b"\xef\xbb\xbfx,y\n1.5,2\n3,4\n",
    "latin.csv": b"gr\xf6\xdfe,y\n1.5,2\n3,4\n",
    "wide.csv": "x,y\n1.5,2\n3,4\n".encode("utf-16"),
    "wide without a mark.csv": "x,y\n1.5,2\n3,4\n".encode("utf-16-le"),
    "wide without a mark, large end first.csv": "x,y\n1.5,2\n3,4\n".encode("utf-16-be"),
    "bars.csv": b"x|y\n1.5|2\n3|4\n",
    "the separator is said.csv": b"sep=;\r\nx;y\r\n1.5;2\r\n3;4\r\n",
    "the separator is said in quotes.csv": b'"SEP=,"\nx,y\n1.5,2\n3,4\n',
    "the separator is said above numbers.csv": b"sep=:\n1.5:2\n3:4\n",
    "packed.csv.gz": gzip.compress(b"x,y\n1.5,2\n3,4\n"),
    "packed.csv": gzip.compress(b"x,y\n1.5,2\n3,4\n"),
    "numpy.txt": b"# x y\n1.500000000000000000e+00 2.000000000000000000e+00\n3.0e+00 4.0e+00\n",
    "blanks.csv": b"\n x , y \n 1.5 , 2 \n   \n 3 , 4 \n",
    "open ends.csv": b"x,y,\n1.5,2,\n3,4,\n",
    "open ends below names.csv": b"x,y\n1.5,2,\n3,4,\n",
    "open ends without names.csv": b"1.5;2; \r\n3;4;\r\n",
    "open ends in quotes.tsv": b'"x"\t"y"\t\n"1.5"\t"2"\t\n"3"\t"4"\t\n',
    "an open end of names.csv": b"x,y,\n1.5,2\n3,4\n",
    "some open ends.csv": b"x,y,\n1.5,2,\n3,4\n",
    "pandas.csv": b",0,1\n0,1.5,2\n1,3,4\n",
    "pandas with names.csv": b",x,y\n0,1.5,2\n1,3,4\n",
    "R.csv": b'"","x","y"\n"1",1.5,2\n"2",3,4\n',
    "old Mac.csv": b"x,y\r1.5,2\r3,4\r",
    "quote's \n name.csv": b"x,y\n1.5,2\n3,4\n",
}


@pytest.mark.parametrize("name", TABLES)
def test_a_table_is_one_array_of_its_numbers(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(TABLES[name])
    assert ArrayFile(path).headers() == {"observations": Header((2, 2), "float32")}
    assert ArrayFile(path).read(("observations",))["observations"].tolist() == [[1.5, 2], [3, 4]]


def test_a_column_that_counts_is_left_out_only_where_it_has_no_name_and_that_is_said(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    for head, left_out in (
        (",x", "which has no name and"),
        ("Unnamed: 0,x", "called 'Unnamed: 0', which"),
        ("n,x", ""),
    ):
        path.write_text(f"{head}\n0,1.5\n1,3\n")
        table = read_text_table(path)
        assert table.arrays["observations"].shape == (2, 1 if left_out else 2)
        said = (f"not read: the first column, {left_out} counts the rows", "observed columns: 'x'")
        assert table.notes == (said if left_out else ("observed columns: 'n', 'x'",))
    path.write_text(",x\n0,1.5\n2,3\n")
    assert read_text_table(path).arrays["observations"].tolist() == [[0, 1.5], [2, 3]]


def test_columns_are_listed_and_those_that_rather_say_when_are_remarked_on(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    start, num_rows = 1.7e9, 40_000  # seconds that float32 does not tell apart
    rows = [f"{5 + row},{start + row / 10:.1f},7,{row % 3},{row % 5},{row % 2}" for row in range(num_rows)]
    path.write_text("\n".join(["step,time,unit,x,x,labels.y", *rows]))
    after = "and is observed nevertheless; leave out what the model is not to predict"
    assert read_text_table(path).notes == (
        "observed columns: 'step', 'time', 'unit', 'x', 'x'",
        f"'step': only counts the lines, {after}",
        f"'time': rises with every line, as times do, {after}",
        f"'unit': never changes, {after}",
        "'time': as float32 its values are rounded by up to 101, and they range over 4e+03 in all; subtract what they "
        "have in common",
        "several columns have one name, and all of them are observed: 'x'",
    )
    assert read_text_table(path).arrays["observations"].shape == (num_rows, 5)


def test_times_that_start_anew_with_every_task_are_remarked_on(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    rows = [f"{row // 100},{row % 100},{0.1 * (row % 100) ** 2},{row % 3}" for row in range(40_000)]
    path.write_text("\n".join(["tasks,step,time,x", *rows]))
    assert [note.partition(",")[0] for note in read_text_table(path).notes[1:]] == [
        "'step': only counts the lines",
        "'time': rises with every line",
    ]
    path.write_text("\n".join(["tasks,x", *(f"{row},{row % 3}" for row in range(100))]))
    assert read_text_table(path).notes == ("observed columns: 'x'",)


def test_of_many_columns_some_are_named(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    random = np.random.default_rng(0).normal(size=(50, 20))
    np.savetxt(path, random, delimiter=",", header=",".join(f"c{i}" for i in range(20)), comments="")
    assert read_text_table(path).notes == (
        "observed columns: 'c0', 'c1', 'c2', 'c3', 'c4', 'c5', 'c6', 'c7' and 12 more",
    )
    np.savetxt(path, random, delimiter=",")
    assert read_text_table(path).notes == ()


def test_columns_of_tasks_split_and_labels_are_arrays_of_these_names(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("x,labels.class,tasks,y,labels.size,split\n1.5,0,3,2,0.5,0\n3,1,4,4,1,1\n")
    arrays = read_text_table(path).arrays
    assert {name: (array.dtype.name, array.tolist()) for name, array in arrays.items()} == {
        "observations": ("float32", [[1.5, 2], [3, 4]]),
        "labels.class": ("int64", [0, 1]),
        "tasks": ("int64", [3, 4]),
        "labels.size": ("float64", [0.5, 1]),
        "split": ("int64", [0, 1]),
    }


def test_a_table_is_a_recording_like_the_same_numbers_as_an_array(tmp_path: Path) -> None:
    recording = np.random.default_rng(0).normal(size=(40_000, 3)).astype(np.float32)
    np.savetxt(tmp_path / "t.csv", recording, delimiter=",", header="x,y,z", fmt="%.9g")
    np.save(tmp_path / "t.npy", recording)
    of_text, of_array = (
        ArraysConfig(path=str(tmp_path / name), length=16).build(DatasetFacts(seed=0)) for name in ("t.csv", "t.npy")
    )
    assert of_text.space == of_array.space
    for one, other in ((of_text.train, of_array.train), (of_text.validation, of_array.validation)):
        assert one.observations["values"].equal(other.observations["values"])


REFUSED = {
    "a,b\n1,2\n3,\n": "line 3: column 'b' has no value. Fill it in (by what is between its neighbours, with the "
    "lines of docs/your-data.md, Missing values), or cut the recording there.",
    "a,b\n1,2\n\n3,NA\n": "line 4: column 'b' has no value (NA). ",
    "NA,NA\n1,2\n": "line 1: column 1 has no value (NA). ",
    "a,b\n1,2\nnan,3\n": "line 3: column 'a' has no value (nan). ",
    "a,b\n1,2\n1,inf\n": "line 3: column 'b' holds inf, which is no finite number.",
    "a;b\n1;2\n1,5;2\n": "line 3: column 'a' holds '1,5', with a decimal comma: write decimal points. This does it: tr",
    '"1,5",2\n3,4\n': "line 1: column 1 holds '1,5', with a decimal comma: write decimal points.",
    "a,b,\n1,2,\n3,,\n": "line 3: column 'b' has no value.",
    "a,b,\n1,2,\n3,4,5\n": "line 3: it has 3 values ('3', '4', '5'), and the lines before have 2. Give it one for each "
    "column, or leave it out.",
    "a,b\n1,\n2,3\n": "line 2: column 'b' has no value.",
    "date,a\n2026-01-01,2\n": "line 2: column 'date' holds text ('2026-01-01'), and only numbers are read. Leave "
    "that column out. This does it: cut -d, -f2 PATH > NEW",
    "a,date,b,c,place\n1,x,2,3,y\n": "line 2: column 'date' holds text ('x') and column 'place' holds text ('y'), and "
    "only numbers are read. Leave those columns out. This does it: cut -d, -f1,3,4 PATH > NEW",
    "a,b\n1,2\n3,4 m\n": "line 3: column 'b' holds text ('4 m'), and only numbers are read. 1 of its 2 values "
    "is text: write a number there, or leave the line out.",
    "a,b\n1,2\n1_0,3\n": "line 3: column 'a' holds text ('1_0'), and only numbers are read.",
    "a,labels.kind\n1,cat\n": "line 2: column 'labels.kind' holds text ('cat'), and only numbers are read. Number its",
    "a,b\n1,2\n3\n": "line 3: it has 1 value ('3'), and the lines before have 2.",
    "a,b,c\n1,2\n": "line 1 has 3 names, and line 2 2 values. Give each column one name, and each line a value of",
    "a\n1,5\n2,5\n": "line 1 has 1 name, and line 2 2 values.",
    "1,error\n3,4\n": "line 1: column 2 holds text ('error')",
    "tasks,tasks,a\n1,1,2\n": "two columns have one name, of tasks, tasks.",
    "tasks,split\n1,1\n": "every column is one of tasks, split: there are no observations.",
    "a,b\nx,y\n": "there is no line of numbers in it, a value for each column; line 2 holds 'x', 'y'. Give",
    "": "there is nothing in it. Give a table of numbers, a line for each step.",
    "\n\n": "there is nothing in it.",
    "a,b\n1,2\na,b\n3,4\n": "line 3: the names stand here again, as where tables were put below each other. Leave the "
    "line out; several recordings are told apart by a column tasks of whole numbers from 0.",
    "a,b\n1.5%,2\n3 %,4\n": "line 2: column 'a' holds '1.5%', a number with something beside it: write the number",
    "a,b\n€5,2\n€3,4\n": "line 2: column 'a' holds '€5', a number with something beside it: write the number",
    "a,b\n5 °C,2\n3 °C,4\n": "line 2: column 'a' holds '5 °C', a number with something beside it",
    "a;b\tc\n1;2\t1\n3;4\t2\n": "line 2: column 'a;b' holds '1;2', several numbers: part columns by one separator",
    'a,b\n1,2\n"3,4\n5,6\n': "line 3: it has 1 value ('3,4␊5,6'), and the lines before have 2. Give it one for each "
    "column, or leave it out. A quote in it is not closed where its value ends.",
    "a,b\nTrue,2\nFALSE,4\n": "line 2: column 'a' holds 'True', and only numbers are read: write 1 and 0.",
    "a,b\0\n1,2\n": "this is no table of text: it has bytes that no text has.",
}


@pytest.mark.parametrize("text", REFUSED)
def test_what_is_no_table_of_numbers_is_refused_with_its_line(tmp_path: Path, text: str) -> None:
    path = tmp_path / "t.csv"
    path.write_text(text, encoding="utf-8")
    told = re.escape(REFUSED[text].replace("PATH", str(path)).replace("NEW", "t-numbers.csv"))
    with pytest.raises(DataError, match=rf"^{re.escape(str(path))}[:,] {told}"):
        ArrayFile(path).headers()


def test_text_in_quotes_may_have_several_lines(tmp_path: Path) -> None:
    told = refusal(tmp_path / "t.csv", 'a,note\n1,"x\ny"\n2,"x,\n\ny"\n3,z\n,z\n')
    assert [line.partition(":")[0].strip() for line in told.split("\n")[:2]] == ["line 2", "line 8"]
    assert "line 2: column 'note' holds text ('x␊y')" in told
    assert "line 8: column 'a' has no value." in told
    unclosed = "a,b\n" + "1,2\n" * 100 + '"1,2\n' + "1,2\n" * 100
    assert refusal(tmp_path / "t.csv", unclosed).startswith("line 102: it has 1 value ('")


def test_the_line_is_right_far_down_and_behind_names_of_two_lines(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text('"a\nb",c\n' + "1,2\n" * 50_000 + "3,x\n" + "1,2\n" * 50_000)
    with pytest.raises(DataError, match="line 50003: column 'c' holds text"):
        ArrayFile(path).headers()


def refusal(path: Path, text: str, encoding: str = "utf-8") -> str:
    """What is said of a table, without its path."""
    path.write_text(text, encoding=encoding)
    with pytest.raises(DataError) as refused:
        read_text_table(path)
    return str(refused.value).removeprefix(f"{path}, ")


MENDED = {
    "decimal commas": ("a;b\n1,5;2\n3;4\n", [[1.5, 2], [3, 4]]),
    "dates": ("date,a\n2026-01-01,2\n2026-01-02,3\n", [[2], [3]]),
    "dates and decimal commas": ("date;a;b\n2026-01-01;1,5;2\n2026-01-02;3;4\n", [[1.5, 2], [3, 4]]),
    "the separator in quotes": ('note,a\n"ok, run 0",10.5\n"ok, run ""1""",11\n', [[10.5], [11]]),
    "the separator in quotes and decimal commas": ('a;"a; note"\n1,5;"x; y"\n3;"z\nz"\n', [[1.5], [3]]),
    "tabs": ("a\tnote\tb\n1\tx\t2\n3\ty\t4\n", [[1, 2], [3, 4]]),
    "tabs in quotes": ('a\tnote\tb\n1\t"x\ty"\t2\n3\ty\t4\n', [[1, 2], [3, 4]]),
    "an empty column": ("a,b,c\n1,,2\n3,,4\n", [[1, 2], [3, 4]]),
    "old Mac": ("a,note\r1,x\r3,y\r", [[1], [3]]),
    "commas in quotes": ('a,b\n"1,5",2\n"3,25","4,0"\n', [[1.5, 2], [3.25, 4]]),
    "thousands with commas": ("a;b\n1,000;2\n1,234,567;3.5\n", [[1000, 2], [1234567, 3.5]]),
    "thousands with commas in quotes": ('a,b\n"1,000.5",2\n"1,234",3\n', [[1000.5, 2], [1234, 3]]),
    "thousands of India": ("a\tb\n12,34,567\t2\n1,000\t3\n", [[1234567, 2], [1000, 3]]),
    "thousands with points": ("a;b\n1.000,5;2\n1.234.567;1.000\n", [[1000.5, 2], [1234567, 1000]]),
    "thousands with blanks": ("a;b\n1 000,5;2\n-1 234 567;3\n", [[1000.5, 2], [-1234567, 3]]),
    "thousands with blanks that do not break": ("a;b\n1\u00a0000;2\n12\u202f345,5;3\n", [[1000, 2], [12345.5, 3]]),
    "thousands with apostrophes and dates": ("d;a\nx;1'000\ny;1'234.5\n", [[1000], [1234.5]]),
    "names that are numbers": ("2019,2020,2021\n1.5,2,3\n4,5,6.5\n7,9,8\n", [[1.5, 2, 3], [4, 5, 6.5], [7, 9, 8]]),
}


@pytest.mark.parametrize("name", MENDED)
def test_the_command_that_is_advised_mends_a_copy_and_leaves_every_file_as_it_is(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    text, values = MENDED[name]
    path = tmp_path / "my lab's-numbers.csv"
    taken = tmp_path / "my lab's-numbers-2.csv"
    taken.write_text("mine")
    told = refusal(path, text)
    subprocess.run(["sh", "-c", re.split(r"This [\w ]+: ", told)[1]], check=True)
    assert path.read_text(encoding="utf-8") == text.replace("\r", "\n")
    assert taken.read_text() == "mine"
    assert read_text_table(tmp_path / "my lab's-numbers-3.csv").arrays["observations"].tolist() == values


def test_no_command_is_advised_that_would_spoil_a_packed_table_or_one_of_utf_16(tmp_path: Path) -> None:
    assert refusal(tmp_path / "t.csv", "a;date\n1,5;x\n", "utf-16").count(">") == 0
    path = tmp_path / "packed.csv"
    path.write_bytes(gzip.compress(b"a;date\n1,5;x\n"))
    with pytest.raises(DataError, match="Leave that column out") as refused:
        read_text_table(path)
    assert ">" not in str(refused.value)


def test_a_column_of_groups_may_be_tasks(tmp_path: Path) -> None:
    told = refusal(tmp_path / "t.csv", "subject,a\n" + "B,1\n" * 3 + "A,2\n" * 3)
    assert told.startswith(
        "line 2: column 'subject' holds text ('B'), and only numbers are read. If column 'subject' tells recordings "
        "apart, call it tasks and write whole numbers from 0 ('B' is 0, 'A' is 1); else leave that column out. This"
    )
    stamps = "".join(f"10:{step % 60:02d},{step}\n" for step in range(500))
    for text in ("tasks,kind,a\n0,x,1\n0,x,2\n", f"time,a\n{stamps}"):
        assert "tells recordings apart" not in refusal(tmp_path / "t.csv", text)


def test_of_a_column_of_numbers_with_some_texts_these_are_counted_and_it_is_not_left_out(tmp_path: Path) -> None:
    rows = ["0.5,1"] * 5000
    rows[2000] = rows[4000] = "<0.05,1"
    assert refusal(tmp_path / "t.csv", "\n".join(["a,b", *rows])) == (
        "line 2002: column 'a' holds text ('<0.05'), and only numbers are read. 2 of its 5,000 values are text: write "
        "numbers there."
    )


def test_of_many_columns_with_some_texts_three_are_told_of_and_the_others_counted(tmp_path: Path) -> None:
    line = ",".join(f"<{column}" for column in range(9))
    told = refusal(tmp_path / "t.csv", "\n".join([",".join("abcdefghi"), *["1,2,3,4,5,6,7,8,9"] * 20, line])).split(
        "\n"
    )
    assert len(told) == 4
    assert told[3] == (
        "  line 22: there are texts among the numbers of more columns, too: 1 in column 'd', 1 in column 'e', 1 in "
        "column 'f', 3 in 3 more."
    )


def test_a_column_of_infinite_and_missing_values_is_not_called_empty(tmp_path: Path) -> None:
    assert "empty" not in refusal(tmp_path / "t.csv", "a,b\n1,inf\n2,\n")


def test_missing_values_are_counted_over_the_whole_table(tmp_path: Path) -> None:
    rows = ["1,2,3"] * 40_000
    rows[10], rows[20_000], rows[39_999] = "1,,3", "NA,nan,3", "1,?,3"
    assert refusal(tmp_path / "t.csv", "\n".join(["a,b,c", *rows])) == (
        "line 12: column 'b' has no value. 4 of 120,000 values are missing: 3 in column 'b', 1 in column 'a'. Fill "
        "them in (by what is between neighbours, with the lines of docs/your-data.md, Missing values), or cut the "
        "recording at each."
    )


def test_all_faults_of_a_table_are_said_together(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    told = refusal(path, "date;a;b\nx;1,5;2\ny;;3,5\nz;inf;<1\nu;1;2\n")
    assert told.split("\n") == [
        "line 2: column 'date' holds text ('x'), and only numbers are read. Leave that column out.",
        "  line 2: column 'a' holds '1,5', with a decimal comma: write decimal points. 2 values have a comma: 1 in "
        "column 'a', 1 in column 'b'.",
        "  line 3: column 'a' has no value. Fill it in (by what is between its neighbours, with the lines of "
        "docs/your-data.md, Missing values), or cut the recording there.",
        "  line 4: column 'b' holds text ('<1'), and only numbers are read. 1 of its 4 values is text: write a number "
        "there, or leave the line out.",
        "  line 4: column 'a' holds inf, which is no finite number.",
        "  This leaves out what has no numbers and writes decimal points: cut -d';' -f2,3 "
        f"{path} | tr , . > t-numbers.csv",
    ]
    assert refusal(path, "a,b\n1,\n3\n").endswith(
        "\n  line 3: it has 1 value ('3'), and the lines before have 2. Give it one for each column, or leave it out."
    )


def test_a_file_that_was_cut_off_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "cut.csv.gz"
    path.write_bytes(gzip.compress(b"1,2\n" * 100)[:-9])
    with pytest.raises(DataError, match=r"cut\.csv\.gz: this file is damaged: .* and ends too early\. Copy or save it"):
        ArrayFile(path).headers()


def test_a_line_without_end_is_refused_before_it_is_held(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_bytes(gzip.compress(b"1,2\n" + b"1" * (1 << 26)))
    with pytest.raises(DataError, match=r"line 2: it has more than 16,777,216 characters, as no table has\."):
        ArrayFile(path).headers()


def test_a_table_that_changes_is_read_again(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    for text, values in (("1\n2\n", [[1], [2]]), ("1\n23\n", [[1], [23]])):
        path.write_text(text)
        assert read_text_table(path).arrays["observations"].tolist() == values


def test_memory_is_that_of_the_numbers(tmp_path: Path) -> None:
    path, rows = tmp_path / "t.csv", 200_000
    text = io.StringIO()
    np.savetxt(text, np.random.default_rng(0).normal(size=(1000, 8)), delimiter=",", fmt="%.18e")
    path.write_text(text.getvalue() * (rows // 1000))
    tracemalloc.start()
    try:
        read_text_table(path)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert path.stat().st_size > 40_000_000
    assert peak < 2.2 * 4 * 8 * rows + 16_000_000
