"""Requests in `control/`: written whole, read within limits, answered once."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jepa_core.errors import RunDirectoryError
from jepa_core.rollback.requests import (
    MAX_BYTES,
    MAX_PENDING,
    RequestAnswer,
    RollbackRequest,
    answer_to,
    close_request,
    pending_requests,
    write_request,
)
from jepa_core.run_directory.clock import Clock

WHOLE = RollbackRequest(scenario="B", to=8, set={"train": {"clip_norm": 1.0}}, use="gentle_vq")


def put(run: Path, content: bytes, name: str = "rollback-x.json") -> Path:
    path = run / "control" / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(content)
    return path


def test_a_request_is_read_as_it_was_written_and_the_oldest_comes_first(tmp_path: Path) -> None:
    moments = iter((30.0, 10.0, 20.0))
    clock = Clock(now=lambda: next(moments))
    paths = [write_request(tmp_path, WHOLE, clock) for _ in range(3)]
    pending = pending_requests(tmp_path)
    assert [found.path for found in pending] == [paths[1], paths[2], paths[0]]
    assert all(found.request == WHOLE for found in pending)


def test_two_requests_of_one_moment_have_two_files(tmp_path: Path) -> None:
    clock = Clock(now=lambda: 10.0)
    assert write_request(tmp_path, WHOLE, clock) != write_request(tmp_path, WHOLE, clock)


@pytest.mark.parametrize("accepted", [True, False])
def test_an_answer_stands_beside_its_request_and_ends_it(tmp_path: Path, accepted: bool) -> None:
    path = write_request(tmp_path, WHOLE)
    assert answer_to(path) is None
    answer = RequestAnswer(accepted=accepted, message="so it is", child="tiny-2" if accepted else "")
    closed = close_request(path, answer)
    assert closed is not None
    assert closed.name == f"{path.stem}.{'done' if accepted else 'refused'}.json"
    assert json.loads(closed.read_text())["request"]["scenario"] == "B"
    assert answer_to(path) == answer
    assert pending_requests(tmp_path) == ()


@pytest.mark.parametrize(
    ("content", "refusal"),
    [
        (b"", "cannot be read"),
        (b"{", "cannot be read"),
        (b"[]", "no JSON object"),
        (b"\xff\xfe", "cannot be read"),
        (b'{"scenario": 7}', "scenario is not the id"),
        (b'{"to": true}', "to is not a step"),
        (b'{"to": -1}', "to is not a step"),
        (b'{"to": 1.5}', "to is not a step"),
        (b'{"use": "../../etc/passwd"}', "use is not the bare name"),
        (b'{"set": [1]}', "set is not a table"),
        (b'{"set": {"a": null}}', "set is not a table"),
        (b'{"set": ' + b'{"a":' * 40 + b"1" + b"}" * 41, "set is not a table"),
        (b"[" * 5000, "cannot be read"),
        (b'{"more": 1}', "'more' is no field"),
        (b'{"scenario": "' + b"x" * MAX_BYTES + b'"}', "larger than 64 KiB"),
    ],
)
def test_what_is_no_request_is_refused_in_words_and_can_be_closed(tmp_path: Path, content: bytes, refusal: str) -> None:
    path = put(tmp_path, content)
    (found,) = pending_requests(tmp_path)
    assert found.request is None
    assert refusal in found.refusal
    assert close_request(path, RequestAnswer(accepted=False, message=found.refusal)) is not None
    assert pending_requests(tmp_path) == ()


def test_links_and_pipes_are_not_followed(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text('{"scenario": "B"}')
    put(tmp_path, b"")
    (tmp_path / "control" / "rollback-x.json").unlink()
    (tmp_path / "control" / "rollback-link.json").symlink_to(secret)
    os.mkfifo(tmp_path / "control" / "rollback-pipe.json")
    assert [found.request for found in pending_requests(tmp_path)] == [None, None]


def test_where_control_leads_elsewhere_nothing_is_read_written_or_removed_there(tmp_path: Path) -> None:
    elsewhere, run = tmp_path / "elsewhere", tmp_path / "run"
    elsewhere.mkdir()
    run.mkdir()
    (run / "control").symlink_to(elsewhere)
    path = put(run, b'{"scenario": "B"}')
    put(run, b'{"answer": {"message": "it is so"}}', "rollback-y.done.json")
    before = sorted(elsewhere.iterdir())

    assert pending_requests(run) == ()
    assert answer_to(path.with_name("rollback-y.json")) is None
    assert close_request(path, RequestAnswer(accepted=True, message="")) is None
    with pytest.raises(RunDirectoryError, match=r"cannot be written: control is no folder, or is a symbolic link\.$"):
        write_request(run, WHOLE)
    assert sorted(elsewhere.iterdir()) == before
    assert path.read_bytes() == b'{"scenario": "B"}'


def test_links_that_wait_under_the_names_of_answers_are_replaced(tmp_path: Path) -> None:
    theirs = tmp_path / "theirs"
    theirs.write_text("SECRET")
    path = write_request(tmp_path, WHOLE)
    for name in (f"{path.stem}.done.json", f".{path.stem}.done.json.{os.getpid()}.tmp"):
        path.with_name(name).symlink_to(theirs)
    assert close_request(path, RequestAnswer(accepted=True, message="so it is")) is not None
    assert theirs.read_text() == "SECRET"
    answer = answer_to(path)
    assert answer is not None
    assert answer.message == "so it is"


def test_other_files_are_no_requests_and_a_flood_is_taken_in_turn(tmp_path: Path) -> None:
    assert pending_requests(tmp_path) == ()
    for number in range(MAX_PENDING + 5):
        put(tmp_path, b"{}", f"rollback-{number:03d}.json")
    for name in ("rollback-000.done.json", "stop.json", ".rollback-1.json.7.tmp", "rollback-ö.json"):
        put(tmp_path, b"{}", name)
    pending = pending_requests(tmp_path)
    assert [found.path.name for found in pending] == [f"rollback-{number:03d}.json" for number in range(MAX_PENDING)]


def test_a_request_that_would_be_refused_is_not_written(tmp_path: Path) -> None:
    with pytest.raises(RunDirectoryError, match="use is not the bare name"):
        write_request(tmp_path, RollbackRequest(use="recipes/other.toml"))
    assert list(tmp_path.iterdir()) == []


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=10,
)
FIELDS = st.dictionaries(st.sampled_from(["scenario", "to", "set", "use", "x"]), JSON, max_size=4)


@given(content=FIELDS | JSON)
def test_any_json_is_a_request_or_refused(tmp_path_factory: pytest.TempPathFactory, content: Any) -> None:
    run = tmp_path_factory.mktemp("run")
    put(run, json.dumps(content).encode())
    (found,) = pending_requests(run)
    assert (found.request is None) == bool(found.refusal)
