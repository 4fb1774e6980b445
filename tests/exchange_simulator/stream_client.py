"""A websocket client for tests: waits for what it wants, and not longer than it must."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from websockets.sync.client import ClientConnection, connect

Json = Any
SECONDS = 10.0


class StreamClient:
    """A connection; messages come as JSON, or as the text where they are none."""

    def __init__(self, socket: ClientConnection):
        self.socket = socket

    def say(self, message: Json) -> None:
        self.socket.send(message if isinstance(message, str) else json.dumps(message))

    def hear(self, seconds: float = SECONDS) -> Json:
        text = self.socket.recv(seconds)
        try:
            return json.loads(text)
        except ValueError:
            return text

    def until(self, is_it: Callable[[Json], object]) -> Json:
        """The first message that is it; the others are dropped."""
        deadline = time.monotonic() + SECONDS
        while time.monotonic() < deadline:
            message = self.hear()
            if is_it(message):
                return message
        raise AssertionError("it never came")

    def ask(self, message: Json) -> Json:
        """Say it; the answer that has its id."""
        self.say(message)
        return self.until(lambda heard: isinstance(heard, dict) and "id" in heard)


@contextmanager
def streaming(url: str) -> Iterator[StreamClient]:
    with connect(url, open_timeout=SECONDS, close_timeout=1) as socket:
        yield StreamClient(socket)
