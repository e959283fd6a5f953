from __future__ import annotations

import asyncio

import pytest
from textual.app import App

from jepa_monitor.alerts import Alert
from jepa_monitor.board.notify import MOST_CHARACTERS, Notifier, desktop_notification, notification_text, notifier_for


def alert(message: str = "relational loss near zero") -> Alert:
    return Alert(key="k", subject="rollback B", severity="warning", message=message)


def test_a_notification_names_the_newest_alert_the_number_of_others_and_the_run() -> None:
    text = notification_text("mine-2026", [alert("first"), alert("second")])
    assert text == "rollback B: second (and 1 more) - mine-2026"


def test_bell_and_desktop_notification_are_written_at_once() -> None:
    written: list[str] = []
    Notifier(write=written.append).notify("mine", [alert()])
    assert written == ["\a\x1b]9;jepa: rollback B: relational loss near zero - mine\a"]


@pytest.mark.parametrize(
    ("bell", "desktop", "expected"), [(True, False, ["\a"]), (False, False, []), (False, True, ["\x1b]9;jepa: x\a"])]
)
def test_each_can_be_switched_off(bell: bool, desktop: bool, expected: list[str]) -> None:
    written: list[str] = []
    Notifier(write=written.append, bell=bell, desktop=desktop).notify("mine", [alert()])
    assert [text[: len(each)] if "]9;" not in each else each for text, each in zip(written, expected, strict=True)] == (
        expected
    )


def test_nothing_is_written_without_alerts_or_without_a_terminal() -> None:
    written: list[str] = []
    Notifier(write=written.append).notify("mine", [])
    Notifier(write=None).notify("mine", [alert()])
    assert written == []


@pytest.mark.parametrize(
    "payload", ["\x1b]52;c;eA==\a", "\x9d9;x\x9c", "a\nb", "\x00", "4;1;50", "x" * 10_000, "\u202e"]
)
def test_a_payload_cannot_leave_the_notification(payload: str) -> None:
    sequence = desktop_notification(payload)
    assert sequence.startswith("\x1b]9;jepa: ")
    assert sequence.endswith("\a")
    inside = sequence[len("\x1b]9;") : -1]
    assert inside.isprintable()
    assert len(inside) <= MOST_CHARACTERS + len("jepa: ")


def test_in_tmux_the_sequence_travels_in_an_envelope() -> None:
    assert desktop_notification("x", in_tmux=True) == "\x1bPtmux;\x1b\x1b]9;jepa: x\a\x1b\\"


def test_in_an_application_without_a_terminal_nothing_is_written() -> None:
    async def notifier() -> Notifier:
        app: App[None] = App()
        async with app.run_test():
            return notifier_for(app, environment={"TMUX": "/tmp/socket"})

    made = asyncio.run(notifier())
    assert made.write is None
    assert made.in_tmux
