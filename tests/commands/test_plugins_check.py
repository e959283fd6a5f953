"""`jepa plugins check`."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.commands.test_plugins import run
from tests.conformance.test_subjects import PLUGIN


def test_a_component_that_keeps_its_contract_is_told_check_by_check(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, "check", "mean")
    assert code == 0
    assert out.startswith("aggregator mean · ")
    lines = [" ".join(line.split()) for line in out.splitlines()]
    assert "✔ masked-slots masked slots have no influence" in lines
    assert any(line.startswith("– after-step not applicable: it keeps no state") for line in lines)
    assert "failed" not in out


def test_a_failure_is_told_with_the_smallest_example_and_exits_with_one(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "path", list(sys.path))
    file = tmp_path / "plugin_to_check_by_command.py"
    file.write_text(PLUGIN)
    code, out, _ = run(capsys, "check", str(file))
    assert code == 1
    after = out.partition("✘ masked-slots")[2]
    assert "with 100 instead of zeros in masked slots: state[" in after
    assert "what to do: Put zeros or −inf in masked slots" in after
    assert "smallest example: B = 1, T = 1, N = 1" in after
    assert "1 failed" in after

    code, out, _ = run(capsys, "check", str(file), "--json")
    (checked,) = json.loads(out)
    (failed,) = (check for check in checked["checks"] if check["outcome"] == "failed")
    assert (code, checked["family"], checked["name"], failed["check"]) == (
        1,
        "aggregator",
        "sees_masked",
        "masked-slots",
    )
    assert failed["example"]["shapes"] == {"values": [1, 1, 1, 16], "mask": [1, 1, 1]}


WAITS = """
import time
from pathlib import Path

class WaitsConfig(SeesMaskedConfig):
    kind: ClassVar[str] = "waits"
    def build(self, facts):
        until = time.monotonic() + 60
        while not Path(__file__).with_name("go on").exists() and time.monotonic() < until:
            time.sleep(0.02)
        return SeesMasked()

@hookimpl(specname="jepa_aggregators")
def more(): return [WaitsConfig]
"""


def test_each_line_is_there_as_soon_as_it_is_known_into_a_pipe_too(tmp_path: Path) -> None:
    file = tmp_path / "plugin_that_waits.py"
    file.write_text(PLUGIN.replace("@hookimpl\n", "").replace("def jepa_aggregators", "def _none") + WAITS)
    command = [sys.executable, "-m", "jepa_core", "plugins", "check", str(file)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline().startswith("aggregator waits · ")
        assert process.stdout.readline() == "\n"
        first = process.stdout.readline()
        assert process.poll() is None
        assert first.split()[0] == "✔"
        (tmp_path / "go on").touch()
        rest = process.stdout.read()
    column = first.index(first.split(None, 2)[2])
    second = rest.splitlines()[0]
    assert second[column - 1] == " "
    assert second[column] == second.split(None, 2)[2][0]
    assert "1 failed" in rest
    assert process.returncode == 1


def test_what_is_not_there_is_a_usage_error(capsys: pytest.CaptureFixture[str]) -> None:
    code, _, err = run(capsys, "check", "atention")
    assert (code, 'Did you mean "attention' in err) == (2, True)
