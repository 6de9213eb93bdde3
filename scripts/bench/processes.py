"""Servers to be measured: started, watched through /proc, ended by their own process."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_TICKS: Final = os.sysconf("SC_CLK_TCK")
_LISTENING: Final = "0A"
_PARENT, _USER, _AFTER_CHILDREN = 1, 11, 15  # fields of /proc/PID/stat behind the name


def free_port() -> int:
    """Return a port of the loopback interface that nobody uses."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass(frozen=True, slots=True)
class Server:
    """A process tree that serves on a loopback port."""

    process: subprocess.Popen[bytes]
    port: int

    def cpu(self) -> float:
        """Return the seconds, user and system, that the tree has taken."""
        return tree_cpu(self.process.pid)

    def workers(self) -> list[int]:
        """Return the processes below the first."""
        return _tree(self.process.pid)[1:]

    def memory(self) -> float:
        """Return MiB of one worker, what it shares counted in proportion (PSS)."""
        of_workers = [_pss(pid) for pid in self.workers() or [self.process.pid]]
        return max(of_workers)


@contextmanager
def serving(
    command: Sequence[str | Path],
    port: int,
    log: Path,
    *,
    environment: Mapping[str, str] | None = None,
    directory: Path | None = None,
) -> Iterator[Server]:
    """Run a server until the block ends."""
    with log.open("ab") as output:
        process = subprocess.Popen(  # noqa: S603 - the words are ours
            [str(word) for word in command],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env={**os.environ, **(environment or {})},
            cwd=directory,
        )
        try:
            _wait(port, process, log)
            yield Server(process, port)
        finally:
            _end(process)


def _wait(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    """Wait until it listens; a connection would hang `openssl ocsp`."""
    for _ in range(1200):
        if process.poll() is not None:
            raise SystemExit(
                f"{process.args!r} ended:\n{log.read_text('utf-8', 'replace')[-2000:]}"
            )
        if _listens(port):
            return
        time.sleep(0.05)
    raise SystemExit(f"{process.args!r} does not listen")


def _listens(port: int) -> bool:
    wanted = f":{port:04X}"
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/net/{table}").read_text("ascii").splitlines()[1:]:
            fields = line.split()
            if fields[1].endswith(wanted) and fields[3] == _LISTENING:
                return True
    return False


def _end(process: subprocess.Popen[bytes]) -> None:
    below = _tree(process.pid)[1:]
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(20)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        for pid in below:
            if _stat(pid):
                os.kill(pid, signal.SIGKILL)


# --- /proc ---------------------------------------------------------------------------------------


def tree_cpu(root: int) -> float:
    """Return the seconds, user and system, that a process and all that live below it took."""
    return sum(_cpu(pid) for pid in _tree(root))


def _stat(pid: int) -> list[str]:
    try:
        return Path(f"/proc/{pid}/stat").read_text("ascii", "replace").rpartition(")")[2].split()
    except OSError:
        return []


def _tree(root: int) -> list[int]:
    """Return a process and all below it."""
    below: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and (fields := _stat(int(entry.name))):
            below.setdefault(int(fields[_PARENT]), []).append(int(entry.name))
    found = [root]
    for pid in found:
        found += below.get(pid, [])
    return found


def _cpu(pid: int) -> float:
    return sum(int(ticks) for ticks in _stat(pid)[_USER:_AFTER_CHILDREN]) / _TICKS


def _pss(pid: int) -> float:
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text("ascii").splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) / 1024
    return 0.0
