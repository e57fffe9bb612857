"""Addresses host:port of servers, and whether one listens there."""

from __future__ import annotations

import socket


def is_address(address: str) -> bool:
    """Returns whether a text is host:port with a port that TCP has."""
    host, _, port = address.rpartition(":")
    return bool(host) and port.isdecimal() and 0 < int(port) < 65536


def check_listening(address: str, timeout_sec: float) -> None:
    """Opens a connection and closes it.

    Args:
      address: host:port.
      timeout_sec: to wait for a connection.

    Raises:
      OSError: nothing listens there, or the host is unknown or out of reach.
    """
    host, _, port = address.rpartition(":")
    socket.create_connection((host, int(port)), timeout=timeout_sec).close()
