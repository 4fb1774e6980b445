"""Where providers of language models may be: on the internet, and in this house only where allowed.

An address is looked at three times: as it is written, as its name resolves when it is saved, and as
it resolves for each connection, which then goes to the very address that was looked at, so that a
name that is answered differently the second time reaches nothing.
"""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Any, Self
from urllib.parse import SplitResult, urlsplit

import httpx2

from errors import InvalidInput

LONGEST_ADDRESS = 500
LARGEST_ANSWER_BYTES = 4_000_000
DEFAULT_PORTS = {"http": 80, "https": 443}

# What clouds answer to their machines with keys, and that stands outside of the link-local ranges.
METADATA_ADDRESSES = frozenset(
    ip_address(text)
    for text in ("fd00:ec2::254", "fd20:ce::254", "100.100.100.200", "168.63.129.16", "192.0.0.192")
)
# Private ones; the carriers' shared range is also that of private networks such as Tailscale's.
LOCAL_NETWORKS = tuple(
    ip_network(text)
    for text in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "fc00::/7")
)
TRANSLATED_PREFIX = ip_network("64:ff9b::/96")  # IPv6 addresses that lead to an IPv4 one

Address = IPv4Address | IPv6Address
Resolve = Callable[[str, int], list[str]]


class AddressRefused(InvalidInput):
    """An address that a provider may not have; `reason` is the word for why."""

    code = "address_refused"

    def __init__(self, why: str, reason: str = code):
        super().__init__(why, fields={"api_url": why}, reasons={"api_url": {"code": reason}})


def resolved(host: str, port: int) -> list[str]:
    """The addresses of a host. Raises OSError where it has none."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(entry[4][0]) for entry in found]


@dataclass(frozen=True, slots=True)
class AddressRule:
    """Which addresses may be asked; `allow_local`: this computer's and its network's too.

    `with_query`: an address may have a ? part, as those of webhooks have.
    """

    allow_local: bool
    resolve: Resolve = resolved
    with_query: bool = False

    def check(self, url: str) -> str:
        """`url` without a slash at its end. Raises AddressRefused.

        A name that does not resolve now is taken: it is looked at again at each connection.
        """
        parts = _split(url, with_query=self.with_query)
        with suppress(OSError):
            self.addresses(parts.hostname or "", _port(parts))
        return url.strip() if self.with_query else url.strip().rstrip("/")

    def addresses(self, host: str, port: int) -> list[str]:
        """Where `host` is, each of its addresses allowed. Raises AddressRefused, OSError."""
        try:
            found = self.resolve(host, port)
        except UnicodeError as error:  # no name that can be asked for
            raise AddressRefused(f"{host!r} is no name of a host.") from error
        for text in found:
            self._check_address(host, ip_address(text.partition("%")[0]))
        return found

    def _check_address(self, host: str, found: Address) -> None:
        address = _inner(found)
        if address in METADATA_ADDRESSES or address.is_link_local:
            raise AddressRefused(f"{host} is a link-local or cloud metadata address.")
        if address.is_unspecified or address.is_multicast:
            raise AddressRefused(f"{host} is no address of a server.")
        if _is_local(address):
            if not self.allow_local:
                raise AddressRefused(
                    f"{host} is on this computer or its network: LOCAL_PROVIDERS=on allows that.",
                    "address_local",
                )
        elif not address.is_global:
            raise AddressRefused(f"{host} is a reserved address.")


def same_origin(one: str, other: str) -> bool:
    """Whether both are of one scheme, host and port: what a key is given to."""
    try:
        return _origin(one) == _origin(other)
    except AddressRefused:
        return False


def http_client(rule: AddressRule, timeout_seconds: float) -> httpx2.Client:
    """A client for one provider: allowed addresses alone, no redirects, answers of bounded size.

    `timeout_seconds` is that of a whole answer. Its questions raise `httpx2.TransportError`s, of
    which UnsupportedProtocol says that the address is refused.
    """
    transport = GuardedTransport(rule, timeout_seconds)
    return httpx2.Client(transport=transport, timeout=timeout_seconds, follow_redirects=False)


class GuardedTransport(httpx2.BaseTransport):
    """Connects to the addresses that `rule` allows, and reads no answer that has no end.

    Answers come uncompressed: a few compressed bytes can be a great many.
    """

    def __init__(
        self,
        rule: AddressRule,
        answer_seconds: float,
        largest_answer_bytes: int = LARGEST_ANSWER_BYTES,
    ):
        self._rule = rule
        self._answer_seconds = answer_seconds
        self._largest_answer_bytes = largest_answer_bytes
        self._inner = httpx2.HTTPTransport()

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        """The answer from the address that was looked at."""
        deadline = time.monotonic() + self._answer_seconds
        host = request.url.host
        port = request.url.port or DEFAULT_PORTS[request.url.scheme]
        with _as_transport_error(request):
            address = self._rule.addresses(host, port)[0]
        # The name stays in the Host header and in the certificate's check.
        headers = request.headers.copy()
        headers["Accept-Encoding"] = "identity"
        looked_at = httpx2.Request(
            request.method,
            request.url.copy_with(host=address),
            headers=headers,
            stream=request.stream,
            extensions={**request.extensions, "sni_hostname": host},
        )
        response = self._begun(looked_at, deadline)
        assert isinstance(response.stream, httpx2.SyncByteStream)  # of a synchronous transport
        if response.headers.get("Content-Encoding", "identity") != "identity":
            response.close()
            raise httpx2.DecodingError("The answer is compressed, which was not asked for.")
        response.stream = BoundedStream(response.stream, self._largest_answer_bytes, deadline)
        return response

    def _begun(self, request: httpx2.Request, deadline: float) -> httpx2.Response:
        """The answer once its headers are there. Raises ReadTimeout where they are not in time.

        The time-outs of the library are those of one read, of which headers may need any number.
        """
        with ConnectionCutter(deadline - time.monotonic()) as cutter:
            request.extensions["trace"] = cutter.look
            try:
                return self._inner.handle_request(request)
            except httpx2.TransportError as error:
                if cutter.has_cut:
                    raise httpx2.ReadTimeout("The answer takes too long.") from error
                raise

    def close(self) -> None:
        """Close its connections."""
        self._inner.close()


class ConnectionCutter:
    """Cuts a connection, which it sees being made, when `seconds` are over before it is left."""

    def __init__(self, seconds: float):
        self.has_cut = False
        self._socket: socket.socket | None = None
        self._timer = threading.Timer(max(seconds, 0.0), self._cut)
        self._timer.daemon = True

    def __enter__(self) -> Self:
        self._timer.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._timer.cancel()

    def look(self, event: str, told: Mapping[str, Any]) -> None:
        """What the library calls its trace: at each step of a question."""
        if event in ("connection.connect_tcp.complete", "connection.start_tls.complete"):
            self._socket = told["return_value"].get_extra_info("socket")

    def _cut(self) -> None:
        self.has_cut = True
        if self._socket is not None:  # else it is being connected to, which has a time-out
            with suppress(OSError):  # it has been closed meanwhile
                socket.socket.shutdown(self._socket, socket.SHUT_RDWR)


class BoundedStream(httpx2.SyncByteStream):
    """A stream that ends with an error where it is larger or longer than it may be."""

    def __init__(self, stream: httpx2.SyncByteStream, largest_bytes: int, deadline: float):
        self._stream = stream
        self._left = largest_bytes
        self._deadline = deadline

    def __iter__(self) -> Iterator[bytes]:
        for chunk in self._stream:
            self._left -= len(chunk)
            if self._left < 0:
                raise httpx2.ReadError("The answer is too large.")
            if time.monotonic() > self._deadline:
                raise httpx2.ReadTimeout("The answer takes too long.")
            yield chunk

    def close(self) -> None:
        """Close the stream beneath."""
        self._stream.close()


@contextmanager
def _as_transport_error(request: httpx2.Request) -> Iterator[None]:
    """What a caller of httpx2 expects of a host that cannot be connected to."""
    try:
        yield
    except AddressRefused as error:
        raise httpx2.UnsupportedProtocol(error.message, request=request) from error
    except OSError as error:
        raise httpx2.ConnectError(
            f"The name does not resolve: {error}.", request=request
        ) from error


def _split(url: str, *, with_query: bool = False) -> SplitResult:
    text = url.strip()
    if len(text) > LONGEST_ADDRESS:
        raise AddressRefused("The address is too long.")
    if any(char.isspace() or not char.isprintable() or char == "\\" for char in text):
        raise AddressRefused("The address has a character that no address has.", "address_invalid")
    try:
        parts = urlsplit(text)
        host, port, user = parts.hostname, parts.port, parts.username
        httpx2.URL(text)
    except (ValueError, httpx2.InvalidURL) as error:
        raise AddressRefused("That is no address.", "address_invalid") from error
    if parts.scheme not in DEFAULT_PORTS or not host or port == 0:
        raise AddressRefused(
            "An address begins with https:// or http:// and a host.", "address_invalid"
        )
    if user is not None or parts.password is not None:
        raise AddressRefused(
            "An address has no user or password in it: the key has its own field.",
            "address_with_key",
        )
    if parts.fragment or (parts.query and not with_query):
        raise AddressRefused(
            "An address has no ? or # part: it is the base of the API.", "address_with_query"
        )
    return parts


def _origin(url: str) -> tuple[str, str, int]:
    parts = _split(url)
    return parts.scheme, parts.hostname or "", _port(parts)


def _port(parts: SplitResult) -> int:
    return parts.port or DEFAULT_PORTS[parts.scheme]


def _inner(address: Address) -> Address:
    """The IPv4 address that an IPv6 one stands for, if it does."""
    if isinstance(address, IPv4Address):
        return address
    if address.ipv4_mapped is not None:
        return address.ipv4_mapped
    if address.sixtofour is not None:
        return address.sixtofour
    if address in TRANSLATED_PREFIX:
        return IPv4Address(int(address) & 0xFFFFFFFF)
    return address


def _is_local(address: Address) -> bool:
    return address.is_loopback or any(address in network for network in LOCAL_NETWORKS)
