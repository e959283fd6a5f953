"""Files are opened by one door, `plain_files`, which waits for no pipe and follows no link unless it is asked to."""

from __future__ import annotations

import ast
from pathlib import Path

from tests.architecture.test_source import ROOT, every_source, parsed

OPENING = {
    "open",
    "read_text",
    "read_bytes",
    "load_file",
    "safe_open",
    "fromfile",
    "memmap",
    "ZipFile",
    "serialize_file",
}
"""Names of functions and methods that open what a path leads to."""

OTHERWISE = {
    "jepa_core/plain_files.py": "the door",
    "jepa_core/cli.py": "/dev/null",
    "jepa_core/presentation/lasting_output.py": "/dev/null",
    "jepa_core/commands/completion.py": "scripts that come with the program",
    "jepa_core/commands/completing_fields.py": "the schema that comes with the program",
    "jepa_core/conformance/two_ranks.py": "/dev/null",
    "jepa_core/conformance/subjects.py": "pyproject.toml of the plugin's author",
    "jepa_core/discovery/source.py": "entry points of installed distributions",
    "jepa_core/launching.py": "notes of ranks in a folder of the launcher's own, and beside runs it began",
    "jepa_core/scaffold/new_plugin.py": "templates that come with the program",
    "jepa_core/benchmarking/whole_run.py": "the log of a process in a temporary folder",
    "jepa_core/ablation/run_process.py": "logs that this process has begun",
    "jepa_core/engine/affordable.py": "/sys",
    "jepa_core/engine/device.py": "/proc",
    "jepa_core/engine/checkpoint.py": "new files, and folders, of a checkpoint",
    "jepa_core/engine/embedding_files.py": "a new file, under a temporary name",
    "jepa_core/recipes/new_recipe.py": "a new file of the user's",
    "jepa_core/run_directory/checkpoint_contents.py": "seen to be plain before",
    "jepa_core/run_directory/lock.py": "folders",
    "jepa_core/rollback/child.py": "new files, and folders, of a run that is being made",
    "plugins/jepa_plugins/arrays/files.py": "seen to be plain before",
    "plugins/jepa_plugins/images/datasets/images.py": "an image that is open",
    "plugins/jepa_plugins/images/datasets/moving_digits.py": "data that comes with the program",
    "plugins/jepa_plugins/data_path.py": "a file that is open",
    "monitor/jepa_monitor/preferences.py": "the user's own choices",
    "monitor/jepa_monitor/panels/machine.py": "/proc",
    "monitor/jepa_monitor/demo/stage.py": "a recipe that comes with the program",
}
"""Module → what it opens by itself, which is no file of a run directory."""


def opens(path: Path) -> set[str]:
    """What a module opens without the door."""
    found = set()
    for node in ast.walk(parsed(path)):
        if not isinstance(node, ast.Call):
            continue
        called = ast.unparse(node.func)
        name = called.rpartition(".")[2]
        is_screen = called.startswith(("self.open", "self._navigation.open"))
        if (name in OPENING and not is_screen) or called in ("np.load", "numpy.load"):
            found.add(called)
    return found


@every_source
def test_files_are_opened_by_one_door(path: Path) -> None:
    module = str(path.relative_to(ROOT))
    if module not in OTHERWISE and "tests" not in path.parts:
        assert opens(path) == set(), "use jepa_core.plain_files, or say here what it opens"


def test_the_list_of_exceptions_is_no_longer_than_needed() -> None:
    assert [module for module in OTHERWISE if not opens(ROOT / module)] == []
