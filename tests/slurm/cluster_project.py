"""A project that runs on the test cluster, and training that waits for what a test does to it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from slurm.cluster import Cluster, wait_for
from workflow.workflow_project import Outcome, Project

RUN = "tiny-a"
STEPS = 10
WATCHED_STEP = 5
PROFILE = "workflow/profiles/slurm/config.yaml"

_TRAINING = {"steps": STEPS, "validate_every_steps": STEPS, "checkpoint_every_steps": 2}
_WAIT = """

def _wait_for_the_test(step: int) -> None:
    import time
    from pathlib import Path

    from mamba_narrative.training.stop import StopRequest

    if step in {steps}:
        Path({folder!r}, "reached").touch()
        while not (Path({folder!r}, "go").exists() or StopRequest.requested):
            time.sleep(0.05)
"""


class ClusterProject(Project):
    """Snakemake on the test cluster, with the profile as it is but for shorter waits."""

    def __init__(self, folder: Path, cluster: Cluster) -> None:
        super().__init__(folder)
        self.cluster = cluster
        self.started: list[subprocess.Popen[bytes]] = []

    def configure(self, change: Callable[[dict[str, Any]], object]) -> None:
        """Change the settings of the experiment."""
        path = self.folder / self.configuration
        settings = yaml.safe_load(path.read_text(encoding="utf-8"))
        change(settings)
        path.write_text(yaml.safe_dump(settings), encoding="utf-8")

    def configure_training(self, **settings: object) -> None:
        self.configure(lambda experiment: experiment["training"].update(settings))

    def start(self, *arguments: str) -> subprocess.Popen[bytes]:
        """Start snakemake as a user of the cluster does."""
        # Ctrl-C reaches it even where the tests run in the background, which ignores SIGINT and hands that on.
        command = ["env", "--default-signal=INT", sys.executable, "-m", "snakemake"]
        command += ["--configfile", self.configuration]
        command += ["--workflow-profile", "workflow/profiles/slurm"]
        command += ["--slurm-init-seconds-before-status-checks", "1", "--latency-wait", "5"]
        with (self.folder / "snakemake.out").open("wb") as output:
            process = subprocess.Popen(
                [*command, *arguments],
                cwd=self.folder,
                env=self.cluster.environment,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self.started.append(process)
        return process

    def stop(self) -> None:
        """End what a failed test has left running, its jobs too."""
        for process in self.started:
            if process.poll() is None:
                process.kill()
                process.wait()
        for job in self.jobs():
            if job["state"] in ("PENDING", "RUNNING"):
                self.cluster.run("scancel", job["id"])

    def finish(self, process: subprocess.Popen[bytes], seconds: float = 400) -> Outcome:
        """Wait for the end of what ``start`` started, which must be a good one."""
        outcome = self.end(process, seconds)
        assert outcome.code == 0, outcome.text[-8000:]
        return outcome

    def end(self, process: subprocess.Popen[bytes], seconds: float = 400) -> Outcome:
        process.wait(seconds)
        return Outcome(process.returncode, self.output())

    def output(self) -> str:
        return (self.folder / "snakemake.out").read_text(encoding="utf-8", errors="replace")

    def jobs(self) -> list[dict[str, str]]:
        """The SLURM jobs of this project, oldest first."""
        return self.cluster.jobs(folder=str(self.folder))

    def training_jobs(self) -> list[dict[str, str]]:
        return [job for job in self.jobs() if job["comment"].startswith("rule_train_run")]

    def running_job(self) -> dict[str, str]:
        """The training job, once training has come to the step where it waits."""
        wait_for(lambda: (self.folder / "reached").exists(), 180, "training to begin")
        (job,) = (job for job in self.training_jobs() if job["state"] == "RUNNING")
        return job

    def await_stop(self) -> None:
        """Wait until the training that waits was asked to stop; what SLURM was told reaches it later."""
        wait_for(lambda: "the step ends" in self.training_log(), 60, "the training to be asked to stop")

    def go(self) -> None:
        """Let the training go on that waits, now and at later attempts."""
        (self.folder / "go").touch()

    def weights(self) -> bytes:
        return (self.folder / "results" / "runs" / RUN / "model" / "model.safetensors").read_bytes()

    def record(self) -> dict[str, Any]:
        return json.loads((self.folder / "results" / "runs" / RUN / "run.json").read_text(encoding="utf-8"))

    def training_log(self) -> str:
        """What the newest attempt said."""
        return (self.folder / "results" / "logs" / "runs" / RUN / "train_run.log").read_text(encoding="utf-8")

    def logs_of_failed_jobs(self) -> str:
        """What the jobs printed that SLURM counts as failed."""
        logs = (self.folder / "results" / "logs" / "slurm" / "rule_train_run" / RUN).glob("*.log")
        return "".join(path.read_text(encoding="utf-8") for path in logs)


def only_one_run(experiment: dict[str, Any]) -> None:
    """Settings with the run ``RUN`` alone, of ``STEPS`` steps."""
    experiment["runs"] = {"mamba-sample": None, RUN: experiment["runs"][RUN]}
    experiment["training"].update(_TRAINING)


def make_watched(project: ClusterProject, steps: tuple[int, ...] = (WATCHED_STEP,)) -> None:
    """Change the project's training: before each of ``steps`` it waits for ``go`` or until it is asked to stop."""
    project.edit(
        "scripts/mamba_narrative/training/stop.py",
        lambda text: text.replace("self.requested = True", "StopRequest.requested = True"),
    )
    schedule = "scripts/mamba_narrative/training/schedule.py"
    begins = "        if step < self.warmup_steps:"
    project.edit(schedule, lambda text: text.replace(begins, f"        _wait_for_the_test(step)\n{begins}"))
    project.edit(schedule, lambda text: text + _WAIT.format(steps=steps, folder=str(project.folder)))
