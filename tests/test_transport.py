"""The HTTP client over real sockets: what it sends, what it makes of answers and failures, and where it does not go."""

from __future__ import annotations

import asyncio
import datetime
import gc
import itertools
import json
import socket
import ssl
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from tracklayer.demo.receiver import Answer, Behaviour, CloseMidBody, Drip, Echo, Hang, Raw, Receiver, Reset
from tracklayer.model.delivery import Failure, Request, Response
from tracklayer.transport import HttpTransport, name_lookup

LOOPBACK = [ip_network("127.0.0.0/8"), ip_network("::1/128")]
SECRET = "s3cret"


def request(url: str, **changes: Any) -> Request:
    fields: dict[str, Any] = {
        "method": "POST", "url": url, "headers": (("User-Agent", "TrackLayer/1"),), "body": b"{}",
        "timeout": 5.0, "connect_timeout": 2.0,
    }  # fmt: skip
    return Request(**(fields | changes))


def names(*answers: list[str]) -> Callable[[str, int], Any]:
    """A resolver that gives these answers one after the other; the last one repeats."""
    left = itertools.chain(answers, itertools.repeat(answers[-1]))

    async def resolve(host: str, port: int) -> list[str]:
        return next(left)

    return resolve


def answered(outcome: Response | Failure) -> Response:
    assert isinstance(outcome, Response), outcome
    return outcome


def failed(outcome: Response | Failure) -> Failure:
    assert isinstance(outcome, Failure), outcome
    return outcome


async def until(condition: Callable[[], bool]) -> None:
    """Wait for what another thread or the kernel does; no event tells of it."""
    for _ in range(1000):
        if condition():
            return
        await asyncio.sleep(0.005)
    raise AssertionError("it did not come to pass within 5 s")


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with Receiver() as running:
        yield running


@pytest.fixture
async def transport() -> AsyncIterator[HttpTransport]:
    made = HttpTransport(LOOPBACK)
    yield made
    await made.close()


# What is sent


async def test_method_path_headers_and_body_arrive_as_given_in_order(
    transport: HttpTransport, receiver: Receiver
) -> None:
    headers = (("X-One", "1"), ("Idempotency-Key", "dlv_1"), ("Zebra", "z"), ("Alpha", "a"), ("Alpha", "b"))
    response = answered(
        await transport.send(request(f"{receiver.url}/a%20b?c=d#e", method="PUT", headers=headers, body=b"\x00\xff"))
    )
    assert (response.status, response.body, response.truncated) == (200, b"ok", False)
    (got,) = receiver.requests
    assert (got.method, got.target, got.body) == ("PUT", "/a%20b?c=d", b"\x00\xff")
    assert got.headers[:5] == list(headers)
    added = dict(got.headers[5:])
    assert added == {
        "Accept": "*/*",
        "User-Agent": added["User-Agent"],
        "Host": f"127.0.0.1:{receiver.port}",
        "Content-Length": "2",
    }
    assert added["User-Agent"].startswith("TrackLayer/")


async def test_a_request_without_a_body_has_no_content_length(transport: HttpTransport, receiver: Receiver) -> None:
    await transport.send(request(receiver.url, method="GET", body=None))
    assert "content-length" not in {name.lower() for name, _ in receiver.requests[0].headers}


async def test_a_user_in_the_url_becomes_basic_authorization(transport: HttpTransport, receiver: Receiver) -> None:
    await transport.send(request(f"http://user:pw@127.0.0.1:{receiver.port}/"))
    assert ("Authorization", "Basic dXNlcjpwdw==") in receiver.requests[0].headers


async def test_the_environments_proxy_is_not_used(
    transport: HttpTransport, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:1")
    answered(await transport.send(request(receiver.url)))


async def test_no_cookie_is_kept(transport: HttpTransport, receiver: Receiver) -> None:
    receiver.default = Answer(headers=(("Set-Cookie", "a=b; Path=/"),))
    for _ in range(2):
        await transport.send(request(receiver.url))
    assert "Cookie" not in dict(receiver.requests[1].headers)


async def test_a_connection_is_used_again(transport: HttpTransport, receiver: Receiver) -> None:
    for number in range(20):
        await transport.send(request(f"{receiver.url}/{number}"))
    assert {got.connection for got in receiver.requests} == {1}


@pytest.mark.parametrize(
    "changes",
    [{"headers": (("X", f"{SECRET}\r\nY: 1"),)}, {"headers": ((f"{SECRET} X", "1"),)}, {"method": f"G T {SECRET}"}],
)
async def test_a_request_that_is_not_http_is_not_sent_and_not_shown(
    transport: HttpTransport, receiver: Receiver, changes: dict[str, Any]
) -> None:
    failure = failed(await transport.send(request(receiver.url, **changes)))
    assert failure.kind == "validate"
    assert SECRET not in failure.detail
    assert receiver.count == 0


@pytest.mark.parametrize(
    "url", ["", "nonsense", "//host/", "ftp://host/", "file:///etc/passwd", "http://", "http://a:99999/", "http://1.2.3.4.5/"]
)  # fmt: skip
async def test_what_is_not_an_http_url_is_refused(transport: HttpTransport, url: str) -> None:
    assert failed(await transport.send(request(url))).kind == "validate"


# What comes back


async def test_the_answers_headers_are_kept_with_lower_case_names(transport: HttpTransport, receiver: Receiver) -> None:
    receiver.default = Answer(429, (("Retry-After", "7"), ("X-A", "1"), ("x-a", "2")), b"slow down")
    response = answered(await transport.send(request(receiver.url)))
    assert (response.status, response.body) == (429, b"slow down")
    assert response.headers == (("retry-after", "7"), ("x-a", "1"), ("x-a", "2"), ("content-length", "9"))


async def test_a_header_outside_ascii_does_not_spoil_the_answer(transport: HttpTransport, receiver: Receiver) -> None:
    receiver.default = Answer(200, (("X-City", "Zürich"), ("X-A", "1")))
    response = answered(await transport.send(request(receiver.url)))
    assert dict(response.headers) == {"x-city": "(not ASCII)", "x-a": "1", "content-length": "2"}


async def test_headers_beyond_the_limit_are_left_out(transport: HttpTransport, receiver: Receiver) -> None:
    receiver.default = Answer(200, (("X-A", "1"), ("X-Big", "x" * 100_000)))
    response = answered(await transport.send(request(receiver.url)))
    assert (response.headers, response.truncated) == ((("x-a", "1"),), True)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_is_an_answer_and_is_not_followed(
    transport: HttpTransport, receiver: Receiver, status: int
) -> None:
    receiver.script("/a", Answer(status, (("Location", "/b"),)))
    response = answered(await transport.send(request(f"{receiver.url}/a")))
    assert response.status == status
    assert [got.target for got in receiver.requests] == ["/a"]


@pytest.mark.parametrize("size, truncated", [(0, False), (99, False), (100, False), (101, True), (20_000_000, True)])
async def test_the_body_is_read_up_to_the_limit(receiver: Receiver, size: int, truncated: bool) -> None:
    transport = HttpTransport(LOOPBACK, response_limit=100)
    receiver.default = Answer(body=b"x" * size)
    response = answered(await transport.send(request(receiver.url)))
    assert (len(response.body), response.truncated) == (min(size, 100), truncated)
    await transport.close()


async def test_the_connection_of_a_truncated_answer_is_closed(transport: HttpTransport, receiver: Receiver) -> None:
    receiver.default = Answer(body=b"x" * 20_000_000)
    answered(await transport.send(request(receiver.url)))
    await until(lambda: receiver.open_connections == 0)


async def test_a_compressed_body_is_not_inflated(transport: HttpTransport, receiver: Receiver) -> None:
    receiver.default = Answer(200, (("Content-Encoding", "gzip"),), b"\x1f\x8b not inflated")
    assert answered(await transport.send(request(receiver.url))).body == b"\x1f\x8b not inflated"


async def test_the_timings_tell_the_head_from_the_body(transport: HttpTransport, receiver: Receiver) -> None:
    await transport.send(request(receiver.url))  # makes the client
    receiver.default = Drip(100, b"x" * 20)
    timings = answered(await transport.send(request(receiver.url))).timings
    assert timings.resolve_ms is not None
    assert timings.first_byte_ms is not None
    assert 0 <= timings.resolve_ms <= timings.first_byte_ms <= timings.total_ms - 100


# Failures, told apart


BROKE = "{} broke the connection before its answer was complete: "
NOT_HTTP = "{} did not answer in valid HTTP: "
LATE = "{} did not answer completely within 0.2 s"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


@pytest.mark.parametrize(
    "behaviour, kind, detail",
    [
        (Reset(), "reset", BROKE + "Connection reset by peer"),
        (Raw(b""), "reset", BROKE + "connection closed before message completed"),
        (CloseMidBody(), "reset", BROKE + "end of file before message length reached"),
        (Raw(CHUNKED + b"5\r\nab"), "reset", BROKE + "end of file before message length reached"),
        (Raw(CHUNKED + b"5"), "reset", BROKE + "unexpected EOF during chunk size line"),
        (Raw(CHUNKED + b"zz\r\n"), "protocol", NOT_HTTP + "Invalid chunk size line: missing size digit"),
        (Raw(b"nonsense\r\n\r\n"), "protocol", NOT_HTTP + "invalid HTTP version parsed"),
        (
            Raw(b"HTTP/1.1 200 OK\r\nContent-Length: ten\r\n\r\n"),
            "protocol",
            NOT_HTTP + "invalid content-length parsed",
        ),
        (Answer(headers=(("X", "x" * 1_000_000),)), "protocol", NOT_HTTP + "message head is too large"),
        (Hang(), "timeout", LATE),
        (Drip(50), "timeout", LATE),
        (Drip(50, from_head=True), "timeout", LATE),
    ],
)
async def test_a_receiver_that_breaks_off_is_told_from_one_that_is_late_and_one_that_talks_nonsense(
    transport: HttpTransport, receiver: Receiver, behaviour: Behaviour, kind: str, detail: str
) -> None:
    receiver.default = behaviour
    url = f"http://{SECRET}:{SECRET}@127.0.0.1:{receiver.port}/{SECRET}?{SECRET}"
    sent = request(url, timeout=0.2, headers=(("Authorization", SECRET),), body=SECRET.encode())
    failure = failed(await transport.send(sent))
    assert failure.kind == kind
    assert failure.detail == detail.format(f"127.0.0.1:{receiver.port}")
    assert SECRET not in failure.detail
    assert failure.timings.total_ms < 1000
    await until(lambda: receiver.open_connections == 0)


@pytest.mark.parametrize("behaviour", [Hang(), Drip(2)])
async def test_a_silence_longer_than_the_read_timeout_ends_the_attempt(
    transport: HttpTransport, receiver: Receiver, behaviour: Behaviour
) -> None:
    receiver.default = behaviour
    failure = failed(await transport.send(request(receiver.url, read_timeout=0.1)))
    assert (failure.kind, failure.detail) == ("timeout", f"127.0.0.1:{receiver.port} was silent for 0.1 s")


async def test_a_drip_with_shorter_pauses_than_the_read_timeout_is_read_to_its_end(
    transport: HttpTransport, receiver: Receiver
) -> None:
    receiver.default = Drip(20, b"0123456789abcdef")
    response = answered(await transport.send(request(receiver.url, read_timeout=0.4)))
    assert response.body == b"0123456789abcdef"
    assert response.timings.total_ms > 400


async def test_a_port_that_nobody_listens_on_is_a_connect_failure(transport: HttpTransport) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        failure = failed(await transport.send(request(f"http://127.0.0.1:{port}/{SECRET}")))
    assert failure.kind == "connect"
    assert failure.detail == f"no connection to 127.0.0.1:{port}: Connection refused"


@contextmanager
def a_port_that_takes_no_connection() -> Iterator[int]:
    """A listening socket whose queue is full: the kernel leaves further SYNs unanswered."""
    with socket.socket() as listening, socket.socket() as first, socket.socket() as second:
        listening.bind(("127.0.0.1", 0))
        listening.listen(0)
        for filling in (first, second):
            filling.setblocking(False)
            filling.connect_ex(listening.getsockname())
        yield listening.getsockname()[1]


async def test_a_connection_that_is_never_taken_ends_at_the_connect_timeout(transport: HttpTransport) -> None:
    with a_port_that_takes_no_connection() as port:
        failure = failed(await transport.send(request(f"http://127.0.0.1:{port}/", connect_timeout=0.1)))
    assert (failure.kind, failure.detail) == ("timeout", f"no connection to 127.0.0.1:{port} within 0.1 s")


async def test_the_whole_timeout_covers_connecting_too(transport: HttpTransport) -> None:
    with a_port_that_takes_no_connection() as port:
        failure = failed(await transport.send(request(f"http://127.0.0.1:{port}/", timeout=0.1)))
    assert (failure.kind, failure.timings.total_ms < 1000) == ("timeout", True)


async def test_an_attempt_whose_time_is_over_is_not_sent(transport: HttpTransport, receiver: Receiver) -> None:
    answered(await transport.send(request(receiver.url)))  # the address is known from here on
    failure = failed(await transport.send(request(receiver.url, timeout=0.0)))
    assert (failure.kind, receiver.count) == ("timeout", 1)


async def test_a_broken_receiver_delays_no_other(transport: HttpTransport, receiver: Receiver) -> None:
    receiver.script("/hang", Hang())
    receiver.script("/drip", Drip(1))
    stuck = [asyncio.create_task(transport.send(request(receiver.url + path))) for path in ("/hang", "/drip") * 20]
    await receiver.wait_for(40)
    async with asyncio.timeout(2):
        answered(await transport.send(request(receiver.url)))
    assert not any(task.done() for task in stuck)
    for task in stuck:
        task.cancel()
    await asyncio.gather(*stuck, return_exceptions=True)


# TLS


def certificates(folder: Path, name: str) -> tuple[bytes, ssl.SSLContext]:
    """A root certificate (PEM), and a server's context with a certificate for `name` that the root has signed."""
    start = datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)
    end = datetime.datetime(2120, 1, 1, tzinfo=datetime.UTC)
    keys = [ec.generate_private_key(ec.SECP256R1()) for _ in range(2)]
    subjects = [x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, text)]) for text in ("root of a test", name)]
    extensions: list[x509.ExtensionType] = [
        x509.BasicConstraints(ca=True, path_length=None),
        x509.SubjectAlternativeName([x509.DNSName(name)]),
    ]
    root, leaf = (
        x509.CertificateBuilder(subjects[0], subject, key.public_key(), x509.random_serial_number(), start, end)
        .add_extension(extension, critical=False)
        .sign(keys[0], hashes.SHA256())
        .public_bytes(serialization.Encoding.PEM)
        for subject, key, extension in zip(subjects, keys, extensions, strict=True)
    )
    private = keys[1].private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (folder / "server.pem").write_bytes(leaf + private)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "server.pem")
    return root, context


async def test_https_to_a_name_with_a_trusted_certificate(tmp_path: Path) -> None:
    root, context = certificates(tmp_path, "receiver.test")
    transport = HttpTransport(LOOPBACK, resolver=names(["127.0.0.1"]), trust=root)
    async with Receiver(tls=context) as receiver:
        receiver.default = Echo()
        response = answered(await transport.send(request(f"https://receiver.test:{receiver.port}/")))
    assert ["Host", f"receiver.test:{receiver.port}"] in json.loads(response.body)["headers"]
    await transport.close()


@pytest.mark.parametrize(
    "name, trusted, reason", [("receiver.test", False, "UnknownIssuer"), ("other.test", True, "certificate not valid")]
)
async def test_a_bad_certificate_is_a_tls_failure(tmp_path: Path, name: str, trusted: bool, reason: str) -> None:
    root, context = certificates(tmp_path, name)
    transport = HttpTransport(LOOPBACK, resolver=names(["127.0.0.1"]), trust=root if trusted else None)
    async with Receiver(tls=context) as receiver:
        failure = failed(await transport.send(request(f"https://receiver.test:{receiver.port}/{SECRET}")))
        assert receiver.count == 0
    assert failure.kind == "tls"
    assert failure.detail.startswith(f"the TLS handshake with receiver.test:{receiver.port} failed: invalid peer")
    assert reason in failure.detail
    await transport.close()


async def test_a_receiver_that_speaks_no_tls_is_a_tls_failure(transport: HttpTransport, receiver: Receiver) -> None:
    assert failed(await transport.send(request(f"https://127.0.0.1:{receiver.port}/"))).kind == "tls"


async def test_a_tls_handshake_that_hangs_ends_at_the_connect_timeout(transport: HttpTransport) -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        url = f"https://127.0.0.1:{silent.getsockname()[1]}/"
        failure = failed(await transport.send(request(url, connect_timeout=0.2)))
    assert (failure.kind, "within 0.2 s" in failure.detail) == ("timeout", True)


# Names and addresses


@pytest.mark.parametrize(
    "host, address, reason",
    [
        ("127.0.0.1", "127.0.0.1", "loopback"),
        ("127.1", "127.0.0.1", "loopback"),
        ("0x7f000001", "127.0.0.1", "loopback"),
        ("2130706433", "127.0.0.1", "loopback"),
        ("0177.0.0.01", "127.0.0.1", "loopback"),
        ("①②⑦.0.0.1", "127.0.0.1", "loopback"),
        ("127。0。0。1", "127.0.0.1", "loopback"),
        ("%31%32%37.0.0.1", "127.0.0.1", "loopback"),
        ("127.0.0.1.", "127.0.0.1", "loopback"),
        ("0", "0.0.0.0", "unspecified"),
        ("[::1]", "::1", "loopback"),
        ("[::ffff:127.0.0.1]", "::ffff:7f00:1", "the IPv4-mapped form of 127.0.0.1, which is loopback"),
        ("[64:ff9b::a9fe:a9fe]", "64:ff9b::a9fe:a9fe", "the metadata service of a cloud"),
        ("169.254.169.254", "169.254.169.254", "the metadata service of a cloud"),
        ("user@10.0.0.1", "10.0.0.1", "private"),
    ],
)
async def test_an_address_in_the_url_is_refused_in_whatever_way_it_is_written(
    receiver: Receiver, host: str, address: str, reason: str
) -> None:
    transport = HttpTransport()
    failure = failed(await transport.send(request(f"http://{host}:{receiver.port}/{SECRET}")))
    assert failure.kind == "refused_address"
    assert f"its address {address} is " in failure.detail
    assert f"{reason}, and not in TRACKLAYER_ALLOW_NETWORKS" in failure.detail
    assert SECRET not in failure.detail
    assert receiver.connections_taken == 0
    await transport.close()


async def test_localhost_is_refused_by_the_address_that_the_system_gives_it(receiver: Receiver) -> None:
    transport = HttpTransport()
    failure = failed(await transport.send(request(f"http://localhost:{receiver.port}/")))
    assert (failure.kind, "is loopback" in failure.detail) == ("refused_address", True)
    assert receiver.connections_taken == 0
    await transport.close()


async def test_localhost_is_reached_where_loopback_is_allowed(transport: HttpTransport, receiver: Receiver) -> None:
    answered(await transport.send(request(f"http://localhost:{receiver.port}/")))
    assert ("Host", f"localhost:{receiver.port}") in receiver.requests[0].headers


async def test_one_private_address_among_public_ones_refuses_the_name(receiver: Receiver) -> None:
    transport = HttpTransport(resolver=names(["93.184.215.14", "2606:4700::1111", "127.0.0.1"]))
    failure = failed(await transport.send(request(f"http://mixed.test:{receiver.port}/")))
    assert failure.kind == "refused_address"
    assert failure.detail == (
        f"mixed.test (port {receiver.port}) was not contacted: its address 127.0.0.1 is loopback, and not in "
        "TRACKLAYER_ALLOW_NETWORKS"
    )
    assert receiver.connections_taken == 0
    await transport.close()


async def test_a_name_that_turns_private_is_refused_from_then_on(receiver: Receiver) -> None:
    allowed = [ip_network("127.0.0.1/32")]  # stands for the public address
    transport = HttpTransport(allowed, resolver=names(["127.0.0.1"], ["127.0.0.2"]), name_ttl=0)
    url = f"http://rebinding.test:{receiver.port}/"
    answered(await transport.send(request(url)))
    assert failed(await transport.send(request(url))).kind == "refused_address"
    assert receiver.count == 1
    await transport.close()


@pytest.mark.parametrize("host", ["localhost", "Pinned.test", "pinned.test.", "bücher.test", "a_b.test"])
async def test_the_connection_goes_to_the_checked_address_whatever_the_name_means_to_the_system(
    receiver: Receiver, host: str
) -> None:
    transport = HttpTransport(LOOPBACK, resolver=names(["127.0.0.3"]))
    failure = failed(await transport.send(request(f"http://{host}:{receiver.port}/")))
    assert failure.kind == "connect"  # the receiver listens on 127.0.0.1 only
    assert receiver.connections_taken == 0
    await transport.close()


async def test_the_next_address_is_tried_where_the_first_takes_no_connection_and_stays_the_first_choice(
    receiver: Receiver,
) -> None:
    asked = []

    async def resolve(host: str, port: int) -> list[str]:
        asked.append(host)
        return ["127.0.0.3", "127.0.0.1"]

    transport = HttpTransport(LOOPBACK, resolver=resolve, name_ttl=0)
    for _ in range(3):
        answered(await transport.send(request(f"http://two.test:{receiver.port}/")))
    assert receiver.count == 3
    assert {got.connection for got in receiver.requests} == {1}
    assert asked == ["two.test"] * 3
    await transport.close()


async def test_a_request_that_may_have_arrived_is_not_sent_to_the_next_address(receiver: Receiver) -> None:
    receiver.default = Reset()
    transport = HttpTransport(LOOPBACK, resolver=names(["127.0.0.1", "127.0.0.3"]))
    assert failed(await transport.send(request(f"http://two.test:{receiver.port}/"))).kind == "reset"
    assert receiver.count == 1
    await transport.close()


async def test_a_name_is_looked_up_once_for_many_requests_at_the_same_time(receiver: Receiver) -> None:
    asked, go_on = [], asyncio.Event()

    async def resolve(host: str, port: int) -> list[str]:
        asked.append((host, port))
        await go_on.wait()
        return ["127.0.0.1"]

    transport = HttpTransport(LOOPBACK, resolver=resolve)
    sending = [asyncio.create_task(transport.send(request(f"http://one.test:{receiver.port}/"))) for _ in range(10)]
    await until(lambda: bool(asked))
    go_on.set()
    for outcome in await asyncio.gather(*sending):
        answered(outcome)
    answered(await transport.send(request(f"http://one.test:{receiver.port}/")))
    assert asked == [("one.test", receiver.port)]
    await transport.close()


async def test_the_names_that_are_remembered_are_bounded(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(name_lookup, "_KEPT", 2)
    asked = []

    async def resolve(host: str, port: int) -> list[str]:
        asked.append(host)
        return ["127.0.0.1"]

    transport = HttpTransport(LOOPBACK, resolver=resolve)
    for host in ("a", "b", "b", "c", "b", "a"):
        answered(await transport.send(request(f"http://{host}.test:{receiver.port}/")))
    assert asked == ["a.test", "b.test", "c.test", "a.test"]
    await transport.close()


async def no_such_name(host: str, port: int) -> list[str]:
    raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")


async def no_answer(host: str, port: int) -> list[str]:
    await asyncio.Event().wait()
    raise AssertionError


@pytest.mark.parametrize(
    "resolver, detail",
    [
        (no_such_name, "the name gone.test (port 80) was not resolved: Name or service not known"),
        (no_answer, "the name gone.test (port 80) was not resolved within 0.1 s"),
        (names([]), "the name gone.test (port 80) has no address"),
    ],
)
async def test_a_name_without_an_address_is_a_dns_failure(resolver: Any, detail: str) -> None:
    transport = HttpTransport(LOOPBACK, resolver=resolver)
    failure = failed(await transport.send(request(f"http://gone.test/{SECRET}", connect_timeout=0.1)))
    assert (failure.kind, failure.detail) == ("dns", detail)
    assert failure.timings.total_ms < 1000
    await transport.close()


@pytest.mark.parametrize("host", ["nobody.invalid", "a..invalid", "." * 3, "x" * 70 + ".invalid"])
async def test_a_name_that_the_system_does_not_know_is_a_dns_failure(transport: HttpTransport, host: str) -> None:
    assert failed(await transport.send(request(f"http://{host}/"))).kind == "dns"


# Nothing is left behind


async def test_cancelling_returns_at_once_and_the_exchange_ends_at_its_timeout(
    transport: HttpTransport, receiver: Receiver
) -> None:
    receiver.default = Hang()
    sending = asyncio.create_task(transport.send(request(receiver.url, timeout=0.5)))
    await receiver.wait_for(1)
    sending.cancel()
    async with asyncio.timeout(0.3):
        with pytest.raises(asyncio.CancelledError):
            await sending
    await until(lambda: receiver.open_connections == 0)


async def test_cancelling_while_a_name_is_looked_up_leaves_it_to_the_others() -> None:
    go_on = asyncio.Event()

    async def resolve(host: str, port: int) -> list[str]:
        await go_on.wait()
        return ["10.0.0.1"]

    transport = HttpTransport(resolver=resolve)
    first, second = (asyncio.create_task(transport.send(request("http://name.test/"))) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()
    go_on.set()
    assert failed(await second).kind == "refused_address"
    assert first.cancelled()
    await transport.close()


async def test_the_oldest_client_goes_when_there_are_too_many_and_what_it_was_doing_ends_well(
    receiver: Receiver,
) -> None:
    transport = HttpTransport(LOOPBACK, client_limit=1)
    receiver.script("/slow", Answer(body=b"slow", delay=0.1))
    slow = asyncio.create_task(transport.send(request(f"{receiver.url}/slow")))
    await receiver.wait_for(1)
    answered(await transport.send(request(receiver.url, connect_timeout=3)))  # needs a client of its own
    assert answered(await slow).body == b"slow"
    await until(lambda: receiver.open_connections == 1)
    await transport.close()


async def test_closing_ends_what_is_under_way(transport: HttpTransport, receiver: Receiver) -> None:
    receiver.default = Hang()
    sending = asyncio.create_task(transport.send(request(receiver.url)))
    await receiver.wait_for(1)
    await transport.close()
    failure = failed(await sending)
    assert failure.kind == "reset"
    assert failure.detail == f"the exchange with 127.0.0.1:{receiver.port} was cut off: TrackLayer is stopping"


async def test_closing_leaves_no_connection_and_no_task(receiver: Receiver) -> None:
    before = asyncio.all_tasks()
    transport = HttpTransport(LOOPBACK, resolver=no_answer)
    reached = [await transport.send(request(f"http://127.0.0.1:{receiver.port}/")) for _ in range(3)]
    assert len(reached) == 3
    waiting = asyncio.create_task(transport.send(request("http://never.test/", connect_timeout=0.05)))
    assert failed(await waiting).kind == "dns"
    await transport.close()
    gc.collect()
    await until(lambda: receiver.open_connections == 0)
    assert asyncio.all_tasks() == before


async def test_a_process_that_closes_its_transport_ends_cleanly(receiver: Receiver) -> None:
    program = f"""
import asyncio
from ipaddress import ip_network
from tracklayer.model.delivery import Request
from tracklayer.transport import HttpTransport, name_lookup

async def main():
    transport = HttpTransport([ip_network("127.0.0.0/8")])
    request = Request(method="POST", url="{receiver.url}", headers=(), body=b"", timeout=5, connect_timeout=5)
    await asyncio.gather(*(transport.send(request) for _ in range(20)))
    await transport.close()

asyncio.run(main())
"""
    for _ in range(5):  # without the close, about one process in three dies in pyreqwest's thread while Python ends
        process = await asyncio.create_subprocess_exec(sys.executable, "-c", program)
        assert await asyncio.wait_for(process.wait(), 30) == 0
