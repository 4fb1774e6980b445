"""Where a provider may be: what is refused as it is written, as it resolves, and as it connects."""

from __future__ import annotations

import http.server
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx2
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from api_address import AddressRefused, AddressRule, GuardedTransport, http_client, same_origin

PUBLIC = "93.184.216.34"


def rule(*addresses: str, local: bool = False) -> AddressRule:
    """The rule in a world where every name is at `addresses`."""
    return AddressRule(local, lambda host, port: list(addresses or (PUBLIC,)))


@pytest.mark.parametrize(
    ("url", "kept"),
    [
        ("https://api.openai.com/v1", "https://api.openai.com/v1"),
        (" https://api.deepseek.com/ ", "https://api.deepseek.com"),
        ("http://example.com:8080/a/b/v1/", "http://example.com:8080/a/b/v1"),
        ("https://[2606:4700::1111]/v1", "https://[2606:4700::1111]/v1"),
    ],
)
def test_an_address_on_the_internet_is_taken(url: str, kept: str):
    assert rule().check(url) == kept


@pytest.mark.parametrize(
    "url",
    [
        "",
        "api.openai.com",
        "ftp://example.com",
        "file:///etc/passwd",
        "javascript:alert(1)",
        "https://",
        "https://user:pass@example.com",
        "https://key@example.com/v1",
        "https://@example.com/v1",
        "https://example.com/v1?key=1",
        "https://example.com/#a",
        "https://exa mple.com",
        "https://example.com\\@evil.com",
        "https://example.com:99999",
        "https://example.com:0",
        "https://example.com/\u202e",
        "https://[::1",
        "https://" + "a" * 600 + ".com",
    ],
)
def test_what_is_no_address_of_an_api_is_refused(url: str):
    with pytest.raises(AddressRefused) as refused:
        rule().check(url)
    assert set(refused.value.fields) == {"api_url"}


NEVER = [
    "169.254.169.254", "169.254.0.1", "fe80::1", "fe80::1%eth0", "::ffff:169.254.169.254",
    "64:ff9b::a9fe:a9fe", "2002:a9fe:a9fe::1", "fd00:ec2::254", "100.100.100.200", "168.63.129.16",
    "0.0.0.0", "::", "224.0.0.1", "ff02::1", "240.0.0.1", "255.255.255.255", "192.0.2.1",
]  # fmt: skip
LOCAL = [
    "127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.1.1",
    "fd12:3456::1", "100.64.1.1",
]  # fmt: skip


@pytest.mark.parametrize("address", NEVER)
@pytest.mark.parametrize("local", [False, True])
def test_metadata_and_the_like_are_refused_whatever_is_allowed(address: str, local: bool):
    with pytest.raises(AddressRefused):
        rule(PUBLIC, address, local=local).check("https://innocent.example.com/v1")


@pytest.mark.parametrize("address", LOCAL)
def test_this_house_is_refused_unless_local_providers_are_allowed(address: str):
    with pytest.raises(AddressRefused, match="LOCAL_PROVIDERS=on"):
        rule(address).check("https://innocent.example.com/v1")
    assert rule(address, local=True).check("http://llm.lan/v1") == "http://llm.lan/v1"


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "2130706433", "0x7f.1", "0177.0.0.1", "localhost", "[::1]", "0"]
)
def test_other_ways_to_write_this_computer_are_seen_through(host: str):
    with pytest.raises(AddressRefused):
        AddressRule(allow_local=False).check(f"http://{host}:8000/v1")


def test_a_name_that_does_not_resolve_yet_is_taken():
    def nowhere(host: str, port: int) -> list[str]:
        raise OSError("no such name")

    assert AddressRule(False, nowhere).check("https://later.example.com") == (
        "https://later.example.com"
    )


def test_an_origin_is_scheme_host_and_port():
    assert same_origin("https://a.com/v1", "https://A.com:443/v2")
    for other in ("http://a.com", "https://b.com", "https://a.com:444", "nonsense"):
        assert not same_origin("https://a.com/v1", other)


# ------------------------------------------------------------------------------- connections


class Answers(http.server.BaseHTTPRequestHandler):
    """Says who was asked for; `/large` has no end, `/packed` is compressed, `/moved` sends on.

    `/trickling` sends a header every now and then, for seconds.
    """

    def do_GET(self) -> None:
        if self.path == "/trickling":
            self.trickle()
            return
        said = (self.headers["Host"] or "").encode()
        if self.path == "/moved":
            self.send_response(302)
            self.send_header("Location", "/")
        else:
            self.send_response(200)
        if self.path == "/packed":
            self.send_header("Content-Encoding", "gzip")
        if self.path == "/large":
            said = b"x" * 5000
        self.send_header("Content-Length", str(len(said)))
        self.end_headers()
        self.wfile.write(said)

    def trickle(self) -> None:
        self.wfile.write(b"HTTP/1.1 200 OK\r\n")
        with suppress(OSError):  # the one who asked has gone
            for number in range(100):
                self.wfile.write(b"X-%d: a\r\n" % number)
                time.sleep(0.05)

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server.server_address[1]
    server.shutdown()
    server.server_close()


def test_a_connection_goes_to_the_address_that_was_looked_at(port: int):
    with http_client(rule("127.0.0.1", local=True), 5) as client:
        answer = client.get(f"http://llm.lan:{port}/")
    assert answer.text == f"llm.lan:{port}"


def test_a_name_that_changes_its_address_reaches_nothing(port: int):
    addresses = iter([PUBLIC, "127.0.0.1", "127.0.0.1"])
    rebinding = AddressRule(False, lambda host, port: [next(addresses)])
    url = rebinding.check(f"http://rebinding.example.com:{port}")
    with http_client(rebinding, 5) as client, pytest.raises(httpx2.UnsupportedProtocol):
        client.get(f"{url}/")


def test_no_redirect_is_followed(port: int):
    with http_client(rule("127.0.0.1", local=True), 5) as client:
        assert client.get(f"http://llm.lan:{port}/moved").status_code == 302


def test_an_answer_that_is_too_large_or_compressed_is_not_read(port: int):
    allowed = rule("127.0.0.1", local=True)
    transport = GuardedTransport(allowed, 5, largest_answer_bytes=4096)
    with httpx2.Client(transport=transport) as client:
        with pytest.raises(httpx2.ReadError, match="too large"):
            client.get(f"http://llm.lan:{port}/large")
        with pytest.raises(httpx2.DecodingError):
            client.get(f"http://llm.lan:{port}/packed")


def test_an_answer_that_takes_too_long_is_not_waited_for(port: int):
    transport = GuardedTransport(rule("127.0.0.1", local=True), answer_seconds=-1)
    with httpx2.Client(transport=transport) as client, pytest.raises(httpx2.ReadTimeout):
        client.get(f"http://llm.lan:{port}/")


def test_headers_that_trickle_in_are_not_waited_for_either(port: int):
    transport = GuardedTransport(rule("127.0.0.1", local=True), answer_seconds=0.3)
    started = time.monotonic()
    with (
        httpx2.Client(transport=transport, timeout=0.3) as client,
        pytest.raises(httpx2.ReadTimeout),
    ):
        client.get(f"http://llm.lan:{port}/trickling")
    assert time.monotonic() - started < 2


# --------------------------------------------------------------------------------------- TLS


@pytest.fixture
def tls_port(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """A server whose certificate is for `llm.lan` alone, and is trusted."""
    certificate = tmp_path / "llm.pem"
    certificate.write_bytes(certificate_for("llm.lan"))
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    yield server.server_address[1]
    server.shutdown()
    server.server_close()


def certificate_for(host: str) -> bytes:
    """A key and a certificate that it has signed itself, as PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host)])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    return (
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        + certificate.public_bytes(serialization.Encoding.PEM)
    )  # fmt: skip


def test_a_certificate_is_held_to_the_name_and_not_to_the_address(tls_port: int):
    with http_client(rule("127.0.0.1", local=True), 5) as client:
        assert client.get(f"https://llm.lan:{tls_port}/").text == f"llm.lan:{tls_port}"
        with pytest.raises(httpx2.ConnectError, match=r"(?i)certificate"):
            client.get(f"https://other.lan:{tls_port}/")
