from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jepa_monitor.display import Display
from jepa_monitor.keys import ALL_KEYS
from jepa_monitor.preferences import (
    SWITCHED_OFF,
    Preferences,
    preferences_path,
    read_preferences,
    write_preferences,
)
from jepa_monitor.themes import THEMES


def test_they_lie_in_the_users_configuration_folder_unless_switched_off() -> None:
    assert preferences_path({"HOME": "/home/me"}) == Path("/home/me/.config/jepa/monitor.toml")
    assert preferences_path({"HOME": "/home/me", "XDG_CONFIG_HOME": "/etc/me"}) == Path("/etc/me/jepa/monitor.toml")
    assert preferences_path({"HOME": "/home/me", SWITCHED_OFF: "1"}) is None
    assert preferences_path({}) is None


@settings(deadline=None, max_examples=40)
@given(
    st.builds(
        Preferences,
        theme=st.sampled_from(sorted(THEMES)),
        keys=st.dictionaries(st.sampled_from([key.id for key in ALL_KEYS]), st.sampled_from(["z", "ctrl+z,Z"])),
        display=st.builds(
            Display,
            axis=st.sampled_from(["step", "epoch", "time"]),
            smoothing=st.integers(0, 3),
            filter=st.sampled_from(["", "rank", "val[.]"]),
            columns=st.integers(0, 9),
            rows=st.integers(0, 9),
            log=st.frozensets(st.text(max_size=8)),
        ),
        bell=st.booleans(),
        desktop_notifications=st.booleans(),
    )
)
def test_what_is_written_is_read_back(tmp_path_factory: pytest.TempPathFactory, preferences: Preferences) -> None:
    path = tmp_path_factory.getbasetemp() / "preferences" / "monitor.toml"
    assert write_preferences(path, preferences) == ""
    assert read_preferences(path).preferences == preferences


def test_without_a_file_or_a_place_for_one_there_are_defaults(tmp_path: Path) -> None:
    assert read_preferences(tmp_path / "none.toml").preferences == Preferences()
    assert read_preferences(None).preferences == Preferences()
    assert write_preferences(None, Preferences()) == ""


@pytest.mark.parametrize("content", [b"theme = ", b"\xff\xfe", b"a = {" * 40_000, b"\x00"])
def test_a_damaged_file_is_passed_over_and_told_of(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "monitor.toml"
    path.write_bytes(content)
    read = read_preferences(path)
    assert read.preferences == Preferences()
    assert "is passed over" in read.problem


def test_a_damaged_entry_leaves_the_others_alone(tmp_path: Path) -> None:
    path = tmp_path / "monitor.toml"
    text = 'theme = "pink"\nbell = false\n[charts]\ncolumns = 100\nfilter = "val["\naxis = "epoch"\n'
    path.write_text(text + '[keys]\nsmooth = "z"\nfly = "w"\nlog = 3\n')
    read = read_preferences(path)
    assert read.preferences == Preferences(bell=False, keys={"smooth": "z"}, display=Display(axis="epoch"))
    assert read.problem.endswith("passed over: theme, charts.filter, charts.columns, keys.fly, keys.log")


@pytest.mark.skipif(os.geteuid() == 0, reason="the superuser may write anywhere")
def test_a_place_that_cannot_be_written_is_told_of(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    assert "cannot be written" in write_preferences(tmp_path / "jepa" / "monitor.toml", Preferences())


def test_a_file_in_the_folders_place_is_told_of(tmp_path: Path) -> None:
    (tmp_path / "jepa").write_text("")
    assert "cannot be written" in write_preferences(tmp_path / "jepa" / "monitor.toml", Preferences())
