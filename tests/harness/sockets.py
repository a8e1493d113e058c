"""On which addresses processes listen, from the kernel's own tables, and a port for one that is to listen."""

from __future__ import annotations

import os
import random
import socket
from collections.abc import Iterable
from pathlib import Path

LOOPBACK = {"0100007F", "00000000000000000000000001000000", "0000000000000000FFFF00000100007F"}


def sockets_listening() -> dict[str, str]:
    """inode -> address of each listening TCP socket."""
    found = {}
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        for line in Path(table).read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == "0A":  # LISTEN
                found[fields[9]] = fields[1].rpartition(":")[0]
    return found


def addresses_of(pids: Iterable[int]) -> set[str]:
    """The addresses on which these processes listen."""
    listening, addresses = sockets_listening(), set()
    for pid in pids:
        try:
            links = [os.readlink(descriptor) for descriptor in Path(f"/proc/{pid}/fd").iterdir()]
        except OSError:
            continue
        inodes = {link[8:-1] for link in links if link.startswith("socket:[")}
        addresses |= {listening[inode] for inode in inodes & set(listening)}
    return addresses


def free_port() -> int:
    """A port that stays free until it is used: neither Ray nor the system gives any of its range to somebody else."""
    while True:
        port = random.SystemRandom().randrange(20_000, 32_768)
        with socket.socket() as tried:
            try:
                tried.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
