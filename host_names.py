"""The names that the app is asked by: no other site's name, which could be made to point here.

An address cannot be made to point elsewhere: where the app listens on every address of the machine,
it answers by any address.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Iterable
from urllib.parse import urlsplit

from config import EVERY_ADDRESS, LOOPBACK_HOSTS


class HostNames:
    """The names of an app that listens on `host`, and those that it was given besides."""

    def __init__(self, host: str, besides: Iterable[str] = ()):
        self._any_address = host in EVERY_ADDRESS
        names = {host, *besides}
        if self._any_address:
            names |= {*LOOPBACK_HOSTS, socket.gethostname()}
        elif host in LOOPBACK_HOSTS:
            names |= {*LOOPBACK_HOSTS}
        self._names = {name.lower() for name in names}

    def serve(self, host: str) -> bool:
        """Whether the value of a Host header, with or without a port, is one of ours."""
        try:
            name = urlsplit(f"//{host}").hostname
        except ValueError:
            return False
        if name is None:
            return False
        return name in self._names or (self._any_address and _is_address(name))


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
