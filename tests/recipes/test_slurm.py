"""The batch script for SLURM, under stand-ins for SLURM's commands and for `jepa`."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "recipes" / "slurm" / "train.sbatch"

COMMANDS = {
    # Two tasks; signals reach both, as those to srun do.
    "srun": """
        shift
        pids=()
        trap 'kill -TERM "${pids[@]}"' TERM
        for task in 0 1; do
            SLURM_PROCID=$task SLURM_LOCALID=$task SLURM_NTASKS=2 "$@" & pids+=($!)
        done
        code=0
        for pid in "${pids[@]}"; do
            wait "$pid" || code=$?
            while kill -0 "$pid" 2>/dev/null; do wait "$pid" || code=$?; done
        done
        exit $code
    """,
    "scontrol": """
        if [ "$1" = show ]; then echo node-a; echo node-b; else echo "$@" >> "$LOG/scontrol"; fi
    """,
    "jepa": """
        echo "$RANK $LOCAL_RANK $WORLD_SIZE $MASTER_ADDR $*" >> "$LOG/jepa"
        echo "$SRUN_CPUS_PER_TASK" >> "$LOG/cores"
        while [ $# -gt 1 ]; do shift; done
        trap 'mkdir -p "$1/a-run/checkpoints/step-7"; exit 143' TERM
        [ "${ENDS:-}" ] && exit "$ENDS"
        touch "$LOG/rank-$RANK"
        while :; do sleep 0.05; done
    """,
}


@pytest.fixture
def job(tmp_path: Path) -> dict[str, str]:
    """The environment of a job with SLURM's commands."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name, body in COMMANDS.items():
        (folder / name).write_text(f"#!/bin/bash\n{body}")
        (folder / name).chmod(0o755)
    return {
        "PATH": f"{folder}:{os.environ['PATH']}",
        "LOG": str(tmp_path),
        "JEPA_RUNS": str(tmp_path / "runs"),
        "SLURM_JOB_ID": "4711",
        "SLURM_CPUS_PER_TASK": "8",
        "SLURM_JOB_NODELIST": "node-[a-b]",
    }


def test_each_task_is_a_rank_and_the_run_s_code_is_the_job_s(job: dict[str, str], tmp_path: Path) -> None:
    arguments = [str(SCRIPT), "optimized", "--set", "name=a b"]
    assert subprocess.run(["bash", *arguments], env={**job, "ENDS": "0"}, check=False).returncode == 0
    lines = sorted((tmp_path / "jepa").read_text().splitlines())
    runs = f"--runs-dir {tmp_path}/runs/job-4711"
    assert (tmp_path / "cores").read_text() == "8\n8\n"
    assert lines == [f"{rank} {rank} 2 node-a run optimized --set name=a b {runs}" for rank in (0, 1)]
    assert subprocess.run(["bash", *arguments], env={**job, "ENDS": "1"}, check=False).returncode == 1
    assert not (tmp_path / "scontrol").exists()


def test_near_the_end_of_its_time_it_saves_and_is_queued_again_and_then_resumes(
    job: dict[str, str], tmp_path: Path
) -> None:
    typed = ["optimized", "--set", "a=1", "--plugin", "my own.py", "--set=b=2", "--auto-rollback"]
    shown = tmp_path / "shown"
    with shown.open("w") as file:
        first = subprocess.Popen(["bash", str(SCRIPT), *typed], env=job, stdout=file)
    deadline = time.monotonic() + 20
    while not all((tmp_path / f"rank-{rank}").exists() for rank in (0, 1)):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    first.send_signal(signal.SIGUSR1)
    assert first.wait(30) == 0
    assert "writes a checkpoint and stops" in shown.read_text()
    assert (tmp_path / "scontrol").read_text() == "requeue 4711\n"
    (tmp_path / "jepa").unlink()

    assert subprocess.run(["bash", str(SCRIPT), *typed], env={**job, "ENDS": "0"}, check=False).returncode == 0
    kept = "--plugin my own.py --auto-rollback"
    lines = (tmp_path / "jepa").read_text().splitlines()
    assert len(lines) == 2
    for line in lines:
        assert line.endswith(f"run --resume latest {kept} --runs-dir {tmp_path}/runs/job-4711")


def test_without_a_recipe_it_says_how_it_is_used(job: dict[str, str]) -> None:
    ended = subprocess.run(["bash", str(SCRIPT)], env=job, capture_output=True, text=True, check=False)
    assert ended.returncode == 2
    assert "RECIPE" in ended.stderr
