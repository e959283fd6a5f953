from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.text import Text

from jepa_core.presentation.wrapping import Command, FirstFitting, Hanging, Parts
from tests.presentation.consoles import printed

COMMAND = "jepa eval quickstart-20261129-083250 --set data.path=/a/folder/with/a/rather/long/name.npz"
# The longest takes ten columns, and has room beside the widest indent.
WORDS = st.lists(st.text(st.sampled_from("ab漢"), min_size=1, max_size=5), min_size=1, max_size=40)


def test_further_lines_begin_below_the_first_ones_words() -> None:
    assert printed(Hanging(Text("  ✔ one two three"), indent=4), width=12) == ["  ✔ one two", "    three"]


def test_what_has_room_is_one_line() -> None:
    assert printed(Hanging(Text("one two"), indent=4), width=7) == ["one two"]


def test_a_word_longer_than_a_line_is_broken_or_left_whole_for_copying() -> None:
    path = "runs/" + "x" * 30
    assert max(map(len, printed(Hanging(Text(f"at {path}"), indent=2), width=20))) == 20
    assert printed(Hanging(Text(f"at {path} now"), indent=2, overflow="ignore"), width=20) == [
        "at",
        f"  {path}",
        "  now",
    ]


@given(words=WORDS, width=st.integers(14, 60), indent=st.integers(0, 4))
def test_no_word_is_lost_and_no_line_longer(words: list[str], width: int, indent: int) -> None:
    lines = printed(Hanging(Text(" " * indent + " ".join(words)), indent), width=width)
    assert " ".join(lines).split() == words
    assert all(cell_len(line) <= width and line.startswith(" " * indent) for line in lines)


def test_a_line_ends_between_two_parts_and_never_within_one() -> None:
    parts = [Text("image 479: 1"), Text("image 1517: 5"), Text("image 2: 7")]
    shown = Parts(parts, " · ", label=Text("of "))
    assert printed(shown, width=40) == ["of image 479: 1 · image 1517: 5 ·", "image 2: 7"]
    assert printed(shown, width=32) == ["of image 479: 1 ·", "image 1517: 5 · image 2: 7"]


def test_a_label_longer_than_a_line_is_broken_and_parts_follow_its_last_word() -> None:
    shown = Parts([Text("a b"), Text("c d")], " · ", label=Text("some words before "))
    assert printed(shown, width=12) == ["some words", "before a b ·", "c d"]


def test_a_command_among_the_parts_stays_in_one_piece() -> None:
    command = Text(COMMAND, no_wrap=True, overflow="ignore")
    shown = Parts([Text("word " * 30), command, Text("(why)")], "  ", indent=4, overflow="ignore")
    assert f"    {COMMAND}" in printed(shown, width=60)


def test_a_command_has_its_reason_beside_it_or_below_it() -> None:
    shown = Command("Next: ", "jepa eval a", "the best checkpoint")
    assert printed(shown, width=80) == ["Next: jepa eval a        the best checkpoint"]
    assert printed(shown, width=25) == ["Next: jepa eval a", "      the best checkpoint"]
    assert printed(Command("Next: ", COMMAND, ""), width=40) == [f"Next: {COMMAND}"]


def test_of_several_ways_the_first_is_taken_that_breaks_no_line() -> None:
    ways = FirstFitting([Text("one two three"), Text("one two"), Text("a word")])
    assert [printed(ways, width=width) for width in (13, 12, 7)] == [["one two three"], ["one two"], ["one two"]]
    assert printed(ways, width=4) == ["a", "word"]
