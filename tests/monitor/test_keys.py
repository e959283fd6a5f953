from __future__ import annotations

from jepa_monitor.keys import ALL_KEYS, RUN_KEYS, Key, known_keymap, shown_key, shown_keys
from jepa_monitor.screens.help import help_groups


def by_id(name: str) -> Key:
    return next(key for key in ALL_KEYS if key.id == name)


def test_ids_are_unique_and_every_key_says_what_it_does_in_a_line() -> None:
    ids = [key.id for key in ALL_KEYS]
    assert len(set(ids)) == len(ids)
    assert all(key.help and len(key.help) <= 40 and key.label for key in ALL_KEYS)


def test_the_keys_that_users_are_promised_are_there() -> None:
    promised = "? q tab h j k l 1 2 3 4 5 / y s x + - [ ] 0 enter f space a v r d ctrl+p"
    known = {shown for key in ALL_KEYS for shown in shown_keys(key, {})}
    assert set(promised.split()) <= known


def test_a_remapped_key_is_shown_as_remapped() -> None:
    smooth = by_id("smooth")
    assert shown_key(smooth, {}) == "s"
    assert shown_key(smooth, {"smooth": "slash"}) == "/"
    groups = help_groups(RUN_KEYS, {"smooth": "ctrl+z,Z"})
    keys = [binding.key for group in groups for binding in group.bindings if binding.description == smooth.help]
    assert keys == ["ctrl+z", "Z"]


def test_of_a_keymap_only_known_actions_with_keys_are_kept() -> None:
    given = {"smooth": "z", "fly": "w", "log": 3, "axis": " "}
    assert known_keymap(given.items()) == {"smooth": "z"}
