"""Two hosts on one machine: network namespaces with an address, a name and a cable between them."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO


@dataclass(frozen=True)
class Host:
    """One of the two.

    name: as `hostname` says there.
    space: its network namespace.
    card: its network interface.
    address: its own, in a network of the two.
    """

    name: str
    space: str
    card: str
    address: str

    def start(self, command: Sequence[str], log: IO[bytes], **environment: str) -> subprocess.Popen[bytes]:
        """Run something there, as a group of processes of its own; what it says goes into `log`."""
        there = ["ip", "netns", "exec", self.space, "unshare", "--uts", "sh", "-c"]
        named = ['hostname "$0" && exec "$@"', self.name, *command]
        every = {
            **os.environ,
            **environment,
            "GLOO_SOCKET_IFNAME": self.card,
            "NCCL_SOCKET_IFNAME": self.card,
        }
        return subprocess.Popen([*there, *named], env=every, stdout=log, stderr=log, start_new_session=True)

    def unplug(self) -> None:
        """Cut it off: packets are lost, connections are not told."""
        _ip("-n", self.space, "link", "set", self.card, "down")

    def plug(self) -> None:
        """Connect it again."""
        _ip("-n", self.space, "link", "set", self.card, "up")


def unable() -> str:
    """Why there can be no two hosts here, or ""."""
    missing = [name for name in ("ip", "unshare") if shutil.which(name) is None]
    if missing:
        return f"needs {' and '.join(missing)} (iproute2 and util-linux)"
    space = f"sightword{os.getpid()}x"
    tried = subprocess.run(["ip", "netns", "add", space], capture_output=True, text=True, check=False)
    if tried.returncode:
        return f"cannot make network namespaces ({tried.stderr.strip()}); run it as root"
    try:
        inside = ["ip", "netns", "exec", space, "unshare", "--uts", "hostname", "x"]
        tried = subprocess.run(inside, capture_output=True, text=True, check=False)
        return (
            f"cannot work in a namespace ({tried.stderr.strip()}); run it as root" if tried.returncode else ""
        )
    finally:
        _ip("netns", "del", space)


@contextmanager
def two_hosts() -> Iterator[tuple[Host, Host]]:
    """Two hosts that reach each other and nobody else."""
    own = os.getpid()
    pair = [
        Host(f"host-{x}", f"sightword{own}{x}", f"sw{own}{x}", f"10.77.0.{i}") for i, x in enumerate("ab", 1)
    ]
    try:
        for host in pair:
            _ip("netns", "add", host.space)
        first, second = pair
        _ip("link", "add", first.card, "netns", first.space, "type", "veth",
            "peer", "name", second.card, "netns", second.space)  # fmt: skip
        for host in pair:
            _ip("-n", host.space, "addr", "add", f"{host.address}/24", "dev", host.card)
            _ip("-n", host.space, "link", "set", "lo", "up")
            host.plug()
        yield first, second
    finally:
        for host in pair:
            if (Path("/run/netns") / host.space).exists():
                _ip("netns", "del", host.space)


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, capture_output=True)
