"""Ports on 127.0.0.1: is it free, who holds it, which one is free."""

from __future__ import annotations

import socket

import psutil

from reku.foundation.errors import SetupError

LOOPBACK = "127.0.0.1"


def free_port() -> int:
    """A port that nobody holds at this moment."""
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        return int(probe.getsockname()[1])


def is_free(port: int) -> bool:
    """Whether a server could listen on `port` of 127.0.0.1 now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as servers do: TIME_WAIT is no obstacle
        try:
            probe.bind((LOOPBACK, port))
            probe.listen()
        except OSError:
            return False
    return True


def holder(port: int) -> psutil.Process | None:
    """The process that listens on `port`, if we may see it."""
    try:
        for connection in psutil.net_connections("tcp"):
            if connection.status != psutil.CONN_LISTEN or not connection.pid:
                continue
            if getattr(connection.laddr, "port", None) == port:
                return psutil.Process(connection.pid)
    except (psutil.AccessDenied, psutil.NoSuchProcess):
        return None
    return None


def require_free(port: int, variable: str) -> None:
    """Raises SetupError naming the port, its holder if visible, and the variable that chooses another."""
    if is_free(port):
        return
    process = holder(port)
    by = "another program"
    if process is not None:
        try:
            by = f"{process.name()} (pid {process.pid})"
        except psutil.NoSuchProcess:
            by = "a program that has just ended"
    raise SetupError(f"Port {port} is already taken by {by}. Stop it, or choose another port: {variable}=<port>.")
