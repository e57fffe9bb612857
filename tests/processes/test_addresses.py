"""Addresses of servers, with one that listens and one that does not."""

import socket

import pytest

from official_vision.processes.addresses import check_listening, is_address


@pytest.mark.parametrize(
    ("text", "holds"),
    [
        ("host:1", True),
        ("10.0.0.1:65535", True),
        ("[::1]:80", True),
        ("host", False),
        (":80", False),
        ("host:0", False),
        ("host:65536", False),
        ("host:-1", False),
        ("host:http", False),
    ],
)
def test_an_address_is_a_host_and_a_port(text, holds):
    assert is_address(text) == holds


def test_only_a_server_that_listens_is_there():
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"127.0.0.1:{server.getsockname()[1]}"
        check_listening(address, 1.0)
    with pytest.raises(ConnectionRefusedError):
        check_listening(address, 1.0)
