from __future__ import annotations

import itertools
import os
import tempfile
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from jepa_core.run_directory import tail
from jepa_core.run_directory.tail import NewLines, Tail


class FileUnderATail(RuleBasedStateMachine):
    """Whatever is done to the file, after a poll the reader holds its complete lines: none twice, none lost."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.path = Path(self.folder.name) / "metrics.jsonl"
        self.tail = Tail(self.path)
        self.held: list[bytes] = []
        self.numbers = itertools.count()

    def teardown(self) -> None:
        self.folder.cleanup()

    def line(self) -> bytes:
        return b'{"step": %d}' % next(self.numbers)

    @property
    def content(self) -> bytes:
        return self.path.read_bytes() if self.path.exists() else b""

    @rule(count=st.integers(1, 30))
    def append_lines(self, count: int) -> None:
        with self.path.open("ab") as file:
            for _ in range(count):
                file.write(self.line() + b"\n")

    @rule(part=st.integers(1, 12))
    def append_part_of_a_line(self, part: int) -> None:
        with self.path.open("ab") as file:
            file.write(self.line()[:part])

    @rule(share=st.floats(0, 1))
    def truncate(self, share: float) -> None:
        if self.path.exists():
            os.truncate(self.path, int(share * len(self.content)))

    @rule(share=st.floats(0, 1), count=st.integers(1, 40))
    def truncate_and_grow_before_the_next_poll(self, share: float, count: int) -> None:
        self.truncate(share)
        self.append_lines(count)

    @rule(count=st.integers(0, 40))
    def replace(self, count: int) -> None:
        other = self.path.with_suffix(".new")
        other.write_bytes(b"".join(self.line() + b"\n" for _ in range(count)))
        other.replace(self.path)

    @rule()
    def replace_by_a_copy(self) -> None:
        if self.path.exists():
            other = self.path.with_suffix(".new")
            other.write_bytes(self.content)
            other.replace(self.path)

    @rule()
    def delete(self) -> None:
        self.path.unlink(missing_ok=True)

    @rule()
    def poll(self) -> None:
        news = self.tail.poll()
        if news.restarted:
            self.held.clear()
        self.held.extend(news.lines)
        assert self.held == self.content.split(b"\n")[:-1]

    @invariant()
    def nothing_incomplete_is_held(self) -> None:
        assert not any(b"\n" in line for line in self.held)


TestFileUnderATail = FileUnderATail.TestCase
TestFileUnderATail.settings = settings(max_examples=60, stateful_step_count=25, deadline=None)


@pytest.mark.slow
def test_ten_thousand_sequences_give_no_wrong_row() -> None:
    from hypothesis.stateful import run_state_machine_as_test

    thorough = settings(max_examples=10_000, stateful_step_count=20, deadline=None)
    run_state_machine_as_test(FileUnderATail, settings=thorough)


def polled(follower: Tail) -> NewLines:
    """All there is to read now."""
    polls = [follower.poll()]
    while polls[-1].more:
        polls.append(follower.poll())
    lines = tuple(line for news in polls for line in news.lines)
    return NewLines(lines=lines, restarted=any(news.restarted for news in polls), more=False)


def test_a_line_beyond_the_limit_is_passed_over_and_counted(tmp_path: Path) -> None:
    path = tmp_path / "m.jsonl"
    path.write_bytes(b"first\n" + b"x" * (3 * tail.MAX_LINE) + b"\nlast\n")
    follower = Tail(path)
    assert polled(follower).lines == (b"first", b"last")
    assert follower.too_long == 1


def test_an_endless_line_is_passed_over_while_it_grows(tmp_path: Path) -> None:
    path = tmp_path / "m.jsonl"
    follower = Tail(path)
    for _ in range(4):
        with path.open("ab") as file:
            file.write(b"x" * tail.MAX_LINE)
        assert polled(follower).lines == ()
    with path.open("ab") as file:
        file.write(b"\nlast\n")
    assert polled(follower).lines == (b"last",)
    assert follower.too_long == 1


def test_one_poll_reads_a_bounded_part_and_says_that_there_is_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tail, "POLL_BYTES", 1)
    monkeypatch.setattr(tail, "MAX_LINE", 20)
    path = tmp_path / "m.jsonl"
    path.write_bytes(b"".join(b"%d\n" % number for number in range(100)))
    follower, lines, more = Tail(path), list[bytes](), True
    while more:
        news = follower.poll()
        lines.extend(news.lines)
        more = news.more
        assert len(news.lines) < 20
    assert [int(line) for line in lines] == list(range(100))


@pytest.mark.parametrize("change", ["grown", "other", "cut", "gone"])
def test_another_tail_goes_on_from_a_position_if_the_file_is_still_the_same(tmp_path: Path, change: str) -> None:
    path = tmp_path / "m.jsonl"
    path.write_bytes(b"x" * (2 * tail.MAX_LINE) + b"\nfirst\nsecond\nthi")
    before = Tail(path)
    polled(before)
    after = Tail(path)
    after.go_on_from(before.position)
    match change:
        case "grown":
            path.write_bytes(path.read_bytes() + b"rd\n")
        case "other":
            path.write_bytes(path.read_bytes().replace(b"second", b"fourth"))
        case "cut":
            path.write_bytes(b"first\n")
        case "gone":
            path.unlink()
    news = polled(after)
    lines = {"grown": (b"third",), "other": (b"first", b"fourth"), "cut": (b"first",), "gone": ()}
    assert (news.lines, news.restarted) == (lines[change], change != "grown")
    assert after.too_long == (change in ("grown", "other"))


def test_a_file_that_is_not_there_yet_gives_nothing(tmp_path: Path) -> None:
    news = Tail(tmp_path / "m.jsonl").poll()
    assert (news.lines, news.restarted, news.more) == ((), False, False)


def test_a_directory_in_its_place_gives_nothing(tmp_path: Path) -> None:
    assert Tail(tmp_path).poll().lines == ()


def test_of_a_long_file_only_the_newest_lines_are_read_and_it_says_how_much_was_not(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    lines = [b"%06d" % number for number in range(1000)]
    path.write_bytes(b"\n".join(lines) + b"\n")
    following = Tail(path, newest_bytes=100)
    news = following.poll()
    assert (news.lines, news.restarted) == (tuple(lines[-14:]), False)
    assert following.passed_over == 7000 - 100
    assert following.too_long == 0
    with path.open("ab") as file:
        file.write(b"x" * 500 + b"\n")
    assert following.poll().lines == (b"x" * 500,)
    path.write_bytes(b"\n".join(reversed(lines)) + b"\n")
    news = following.poll()
    assert (news.lines, news.restarted) == (tuple(reversed(lines[:14])), True)
    path.write_bytes(b"short\n")
    news = following.poll()
    assert (news.lines, news.restarted, following.passed_over) == ((b"short",), True, 0)


def test_of_a_long_file_that_is_one_line_the_next_one_is_read(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    path.write_bytes(b"x" * 1000)
    following = Tail(path, newest_bytes=100)
    assert following.poll().lines == ()
    with path.open("ab") as file:
        file.write(b"end\nnext\n")
    assert following.poll().lines == (b"next",)
