"""sightword on SLURM, or on this machine, from Python: `pip install submitit`.

    python examples/submitit_train.py --nodes 2 --gpus 8 --partition gpu -- \
        slip-vit-b16-yfcc15m --data 'yfcc/{00000..01468}.tar' --out runs/slip

What follows `--` is for `sightword train`. Every node runs torchrun, which starts a process for each GPU.
When the job's time is up or it is preempted, the run is saved and the job goes back into the queue.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import subprocess
import sys
from typing import Any

import submitit


class Train:
    """One node's torchrun."""

    def __init__(self, train: list[str], processes: int) -> None:
        self.train, self.processes = train, processes
        self.torchrun: subprocess.Popen[bytes] | None = None

    def __call__(self) -> int:
        """Train until the run has ended or was asked to stop.

        Raises:
            RuntimeError: torchrun failed on this node; the run's own message is in the job's log.
        """
        node = submitit.JobEnvironment()
        environment = {**os.environ, "TORCH_ELASTIC_SHUTDOWN_TIMEOUT": "60"}
        self.torchrun = subprocess.Popen(self.command(node), env=environment, preexec_fn=_deaf)
        code = self.torchrun.wait()
        if code:
            raise RuntimeError(f"torchrun ended with {code}; see above, and hang.json in the run's directory")
        return code

    def command(self, node: Any) -> list[str]:
        """The same on every node; the first one keeps the meeting point."""
        port = 20000 + int("".join(filter(str.isdigit, node.job_id)) or "0") % 10000
        first = node.hostnames[0] if node.num_nodes > 1 else "localhost"
        return [
            sys.executable, "-m", "torch.distributed.run", "--nnodes", str(node.num_nodes),
            "--nproc-per-node", str(self.processes), "--max-restarts", "3", "--rdzv-backend", "c10d",
            "--rdzv-endpoint", f"{first}:{port}", "--rdzv-id", node.job_id, "--rdzv-conf", "read_timeout=600",
            "-m", "sightword", "train", *self.train, "--resume", "latest",
        ]  # fmt: skip

    def checkpoint(self) -> submitit.helpers.DelayedSubmission:
        """Ask this node's processes to save, which asks those of all nodes; then the same again."""
        if self.torchrun is not None:
            with contextlib.suppress(ProcessLookupError, ChildProcessError):  # it has ended by itself
                os.kill(self.torchrun.pid, signal.SIGTERM)
                # Not Popen.wait, whose lock `__call__` holds: this runs in a signal handler.
                os.waitid(os.P_PID, self.torchrun.pid, os.WEXITED | os.WNOWAIT)
        return submitit.helpers.DelayedSubmission(Train(self.train, self.processes))

    __submitit_checkpoint__ = checkpoint  # its name after submitit 1.5


def _deaf() -> None:
    """SLURM sends submitit's signal to all processes of a job: whom it is not for would die of it."""
    for one in (signal.SIGUSR1, signal.SIGUSR2):
        signal.signal(one, signal.SIG_IGN)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--nodes", type=int, default=1)
    parser.add_argument("--gpus", type=int, default=0, help="of a node; 0 for a CPU")
    parser.add_argument("--processes", type=int, help="of a node; as many as GPUs")
    parser.add_argument("--partition")
    parser.add_argument("--hours", type=float, default=24)
    parser.add_argument("--logs", default="logs/%j")
    parser.add_argument("--cluster", choices=["slurm", "local", "debug"], help="found out")
    parser.add_argument("train", nargs="+", help="for sightword train, behind --")
    given = parser.parse_args()
    executor = submitit.AutoExecutor(folder=given.logs, cluster=given.cluster)
    executor.update_parameters(
        name="sightword", nodes=given.nodes, tasks_per_node=1, timeout_min=int(60 * given.hours)
    )
    if executor.cluster == "slurm":
        partition = {"slurm_partition": given.partition} if given.partition else {}
        executor.update_parameters(
            gpus_per_node=given.gpus, slurm_signal_delay_s=300, slurm_exclusive=True, **partition
        )
    elif given.gpus:
        executor.update_parameters(gpus_per_node=given.gpus)
    job = executor.submit(Train(given.train, given.processes or max(1, given.gpus)))
    print(f"job {job.job_id} on {executor.cluster}; its log: {job.paths.stderr}", flush=True)
    if executor.cluster != "slurm":
        job.result()


if __name__ == "__main__":
    main()
