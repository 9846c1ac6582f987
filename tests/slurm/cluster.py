"""A real SLURM on this machine: controller, munge and two node daemons on loopback, with counted GPUs.

Everything lives in one folder. Whatever is started carries the folder's name in its environment, so that exactly that
can be found and ended, jobs of a node that "dies" included. Needs the superuser (device nodes, munge) and Debian's
slurm-wlm and munge; ``why_not`` says what is missing.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

PROGRAMS = ("slurmctld", "slurmd", "munged", "sbatch", "srun", "squeue", "scancel", "scontrol", "mknod")
NODES = ("n1", "n2")
GPUS_PER_NODE = 2
_MARK = "MAMBA_TEST_CLUSTER"
_CONFIGURATION = """\
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={ports[0]}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/run/munge.socket
CryptoType=crypto/munge
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool/%n
SlurmctldPidFile={folder}/run/slurmctld.pid
SlurmdPidFile={folder}/run/slurmd-%n.pid
SlurmctldLogFile={folder}/log/slurmctld.log
SlurmdLogFile={folder}/log/slurmd-%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SwitchType=switch/none
MpiDefault=none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SchedulerType=sched/backfill
SchedulerParameters=bf_interval=2,sched_interval=2,batch_sched_delay=0,sched_min_interval=0
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory,CR_LLN
SlurmdParameters=config_overrides
ReturnToService=2
SlurmctldTimeout=30
SlurmdTimeout=10
InactiveLimit=0
OverTimeLimit=0
KillWait=20
MinJobAge=3600
MaxArraySize=1001
GresTypes=gpu
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
NodeName={nodes[0]} NodeHostname={host} NodeAddr=127.0.0.1 Port={ports[1]} {hardware}
NodeName={nodes[1]} NodeHostname={host} NodeAddr=127.0.0.1 Port={ports[2]} {hardware}
PartitionName=cpu Nodes=n[1-2] Default=YES MaxTime=INFINITE State=UP PriorityTier=2
PartitionName=gpu Nodes=n[1-2] MaxTime=INFINITE State=UP PriorityTier=1 GraceTime=20
PartitionName=urgent Nodes=n[1-2] MaxTime=INFINITE State=UP PriorityTier=3
"""
_HARDWARE = (
    f"CPUs=32 Boards=1 SocketsPerBoard=1 CoresPerSocket=32 ThreadsPerCore=1 RealMemory=128000 "
    f"Gres=gpu:h100:{GPUS_PER_NODE} State=UNKNOWN"
)


def why_not() -> str | None:
    """What is missing to run SLURM here; None where nothing is."""
    if os.geteuid() != 0:
        return "SLURM's test cluster needs the superuser"
    if missing := [name for name in PROGRAMS if shutil.which(name) is None]:
        return f"no {', '.join(missing)}: apt-get install slurm-wlm slurm-wlm-basic-plugins munge"
    return None


class Cluster:
    """Two nodes with two GPUs each; partitions ``cpu``, ``gpu`` and ``urgent``, which preempts ``gpu``."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.daemons: dict[str, subprocess.Popen[bytes]] = {}
        for name in ("dev", "run", "log", "state", "key", "bin", *(f"spool/{node}" for node in NODES)):
            (folder / name).mkdir(parents=True)
        # munged refuses a socket that others may not reach.
        folder.chmod(0o755)
        (folder / "key").chmod(0o700)
        key = folder / "key" / "munge.key"
        key.write_bytes(os.urandom(1024))
        key.chmod(0o600)
        for number in range(GPUS_PER_NODE):
            subprocess.run(["mknod", str(folder / "dev" / f"nvidia{number}"), "c", "1", "3"], check=True)
        self.configuration = folder / "slurm.conf"
        self.configuration.write_text(
            _CONFIGURATION.format(
                folder=folder, host=socket.gethostname(), ports=_free_ports(3), nodes=NODES, hardware=_HARDWARE
            )
        )
        devices = f"File={folder}/dev/nvidia[0-{GPUS_PER_NODE - 1}]"
        (folder / "gres.conf").write_text(f"AutoDetect=off\nNodeName=n[1-2] Name=gpu Type=h100 {devices}\n")
        # Snakemake's job step takes all SLURM_* out of the environment, where a configuration outside /etc is named.
        wrapper = folder / "bin" / "srun"
        wrapper.write_text(f'#!/bin/sh\nSLURM_CONF={self.configuration} exec {shutil.which("srun")} "$@"\n')
        wrapper.chmod(0o755)
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("SLURM")},
            "SLURM_CONF": str(self.configuration),
            "PATH": f"{folder / 'bin'}{os.pathsep}{os.environ['PATH']}",
            _MARK: str(folder),
        }

    def start(self) -> None:
        """Start all daemons and wait until both nodes take jobs."""
        folder = self.folder
        self._daemon(
            "munged",
            *("munged", "-F", f"--socket={folder}/run/munge.socket", f"--key-file={folder}/key/munge.key"),
            *(f"--log-file={folder}/log/munged.log", f"--pid-file={folder}/run/munged.pid"),
            f"--seed-file={folder}/run/munged.seed",
        )
        wait_for(lambda: (folder / "run" / "munge.socket").exists(), 10, "munged")
        self._daemon("slurmctld", "slurmctld", "-D", "-c")
        for node in NODES:
            self.start_node(node)
        wait_for(lambda: all(self.node_state(node) == "idle" for node in NODES), 30, "both nodes to be idle")

    def start_node(self, node: str) -> None:
        self._daemon(node, "slurmd", "-D", "-c", "-N", node)

    def restart_controller(self, seconds_down: float) -> None:
        """The controller dies and comes back with the state that it had saved."""
        self._end("slurmctld", signal.SIGTERM)
        time.sleep(seconds_down)
        self._daemon("slurmctld", "slurmctld", "-D")

    def kill_node(self, node: str) -> None:
        """A node dies without a word: its daemon and everything that jobs run there."""
        self._end(node, signal.SIGKILL)
        for process, environment in _processes_with(f"{_MARK}={self.folder}"):
            if f"SLURMD_NODENAME={node}" in environment:
                _kill(process)

    def stop(self) -> None:
        """End all that was started here, jobs too."""
        for name in list(self.daemons):
            self._end(name, signal.SIGKILL)
        while processes := [process for process, _ in _processes_with(f"{_MARK}={self.folder}")]:
            for process in processes:
                _kill(process)
            time.sleep(0.1)

    def run(self, *command: str) -> str:
        """The output of a SLURM command."""
        done = subprocess.run(command, env=self.environment, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, f"{' '.join(command)}: {done.stderr}"
        return done.stdout

    def node_state(self, node: str) -> str:
        done = subprocess.run(
            ["sinfo", "-h", "-N", "-n", node, "-p", "cpu", "-o", "%t"],
            env=self.environment,
            capture_output=True,
            text=True,
        )
        return done.stdout.strip()

    def jobs(self, **wanted: str) -> list[dict[str, str]]:
        """All jobs that the controller remembers, oldest first; ``wanted``: only those with these values."""
        columns = {
            "id": "%A",
            "state": "%T",
            "comment": "%k",
            "partition": "%P",
            "memory": "%m",
            "limit": "%l",
            "nodes": "%N",
            "node_count": "%D",
            "tres": "%b",
            "cpus": "%C",
            "name": "%j",
            "folder": "%Z",
        }
        lines = self.run("squeue", "-h", "-t", "all", "-S", "i", "-o", "|".join(columns.values())).splitlines()
        rows = [dict(zip(columns, line.split("|"), strict=True)) for line in lines]
        return [row for row in rows if all(row[name] == value for name, value in wanted.items())]

    def processes(self, argument: str) -> list[dict[str, str]]:
        """Environments of the running processes that have ``argument`` on their command line, but for their shells."""
        found = []
        for process, environment in _processes_with(f"{_MARK}={self.folder}"):
            command = _read(Path(f"/proc/{process}/cmdline")).split("\0")
            if argument in command:
                found.append(dict(entry.partition("=")[::2] for entry in environment))
        return found

    def describe(self, job: str) -> str:
        """``scontrol show job``."""
        return self.run("scontrol", "-d", "show", "job", job)

    def _daemon(self, name: str, *command: str) -> None:
        with (self.folder / "log" / f"{name}.out").open("ab") as log:
            self.daemons[name] = subprocess.Popen(
                command,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def _end(self, name: str, number: signal.Signals) -> None:
        daemon = self.daemons.pop(name)
        daemon.send_signal(number)
        daemon.wait(timeout=30)


def wait_for(condition: Callable[[], object], seconds: float, what: str) -> None:
    """Return when ``condition`` is true. Raises AssertionError after ``seconds``."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"waited {seconds:g} s for {what}"
        time.sleep(0.2)


def _free_ports(count: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [found.getsockname()[1] for found in sockets]
    for found in sockets:
        found.close()
    return ports


def _processes_with(variable: str) -> Iterator[tuple[int, list[str]]]:
    for path in Path("/proc").glob("[0-9]*/environ"):
        environment = _read(path).split("\0")
        if variable in environment:
            yield int(path.parent.name), environment


def _read(path: Path) -> str:
    """A file of /proc; nothing where its process has ended."""
    try:
        return path.read_bytes().decode(errors="replace")
    except OSError:
        return ""


def _kill(process: int) -> None:
    try:
        os.kill(process, signal.SIGKILL)
    except ProcessLookupError:
        pass
