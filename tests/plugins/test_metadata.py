"""Names and versions of installed distributions: what the standard library's own reader says of them."""

from __future__ import annotations

from importlib.metadata import PathDistribution, distributions
from pathlib import Path

import pytest

from jepa_core.discovery.source import name_and_version


def test_of_all_that_is_installed_they_are_those_that_the_whole_metadata_gives() -> None:
    installed = list(distributions())
    assert len(installed) > 20
    assert [name_and_version(each) for each in installed] == [
        (each.metadata["Name"], each.version) for each in installed
    ]


@pytest.mark.parametrize(
    ("metadata", "read"),
    [
        (b"Name: mine\nVersion: 1.0\n\nName: other\nVersion: 2\n", ("mine", "1.0")),
        (b"Metadata-Version: 2.1\r\nname:\tmine \r\nVERSION: 1.0\r\n\r\nName: other\r\n", ("mine", "1.0")),
        (b"Summary: no name\nVersion: 1.0\n\nName: other\n", ("", "1.0")),
        (b"", ("", "")),
        (b"Name: mine\nAuthor: \xff\n", ("", "")),
    ],
    ids=["a README", "other letters and ends of lines", "no name", "empty", "not UTF-8"],
)
def test_they_are_the_headers_alone_and_of_a_damaged_one_empty(
    tmp_path: Path, metadata: bytes, read: tuple[str, str]
) -> None:
    (tmp_path / "METADATA").write_bytes(metadata)
    assert name_and_version(PathDistribution(tmp_path)) == read


def test_of_metadata_that_is_not_there_they_are_empty(tmp_path: Path) -> None:
    assert name_and_version(PathDistribution(tmp_path)) == ("", "")
