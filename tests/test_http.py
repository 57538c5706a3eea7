import asyncio
import logging
import socket
import ssl
import threading
import traceback
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, suppress
from ipaddress import ip_network
from time import monotonic
from typing import Any

import orjson
import pytest
import trustme
from hypothesis import given, settings
from hypothesis import strategies as st

from automations.http import (
    Answer,
    Http,
    HttpError,
    NotSent,
    OutcomeUnknown,
    Refused,
    check_headers,
    check_url,
)
from automations.http import client as http_client
from automations.http.guard import resolve_with_system
from automations.http.urls import read_url
from tests.canaries import CANARY
from tests.receivers import (
    Hold,
    Receiver,
    drip,
    encode,
    hang_up,
    in_turn,
    never_answer,
    refusing_port,
    reply,
    reply_bytes,
    reset,
)

LOOPBACK = (ip_network("127.0.0.0/8"), ip_network("::1/128"))
SHORT_SECONDS = 0.3
LONG_SECONDS = 20.0

authority = trustme.CA()
client_context = ssl.create_default_context()
authority.configure_trust(client_context)


class Names:
    """A name server in a test's hands: the answers a name gives in turn, the last one for all later lookups."""

    def __init__(self, answers: dict[str, list[list[str]]]) -> None:
        self._answers = answers
        self.lookups: list[str] = []

    async def __call__(self, host: str, port: int) -> Sequence[str]:
        self.lookups.append(host)
        turns = self._answers.get(host)
        if turns is None:
            raise OSError(-2, "Name or service not known")
        return turns.pop(0) if len(turns) > 1 else turns[0]


MakeClient = Callable[..., Http]


@pytest.fixture
async def make_client() -> AsyncIterator[MakeClient]:
    """Clients that may call the loopback unless told otherwise, closed at the end."""
    async with AsyncExitStack() as stack:

        def make(**options: Any) -> Http:
            given = {"allowed_networks": LOOPBACK, "ssl_context": client_context, "resolve": Names({})}
            client = Http(**{**given, **options})
            stack.push_async_callback(client.aclose)
            return client

        yield make


@pytest.fixture
def client(make_client: MakeClient) -> Http:
    return make_client()


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with Receiver() as running:
        yield running


async def post(
    client: Http, url: str, *, content: bytes = b"{}", destination: str = "a", timeout_seconds: float = LONG_SECONDS
) -> Answer:
    return await client.post(
        url,
        content=content,
        headers={"Content-Type": "application/json", "X-Token": CANARY},
        destination=destination,
        timeout_seconds=timeout_seconds,
    )


async def connected(client: Http, receiver: Receiver) -> None:
    """Leave a connection open, so that a short limit that follows runs out after sending and not before."""
    receiver.behaviour = reply()
    assert (await post(client, receiver.url)).status_code == 200


# What arrives, and what is answered


@pytest.mark.parametrize(
    ("content", "received"), [(b'{"run": "nightly"}', {"run": "nightly"}), (b"\xff no JSON", "\ufffd no JSON")]
)
async def test_the_echo_answers_with_what_it_was_sent_and_asks_nobody(
    make_client: MakeClient, content: bytes, received: Any
) -> None:
    names = Names({})
    answer = await post(make_client(resolve=names, allowed_networks=()), "https://echo.invalid/x", content=content)
    assert (answer.status_code, orjson.loads(answer.body)) == (200, {"received": received})
    assert names.lookups == []


async def test_the_echo_keeps_no_more_than_any_answer(client: Http) -> None:
    assert len((await post(client, "https://echo.invalid", content=b"x" * 10_000)).body) == http_client.KEPT_BYTES


async def test_a_post_arrives_as_it_was_given(client: Http, receiver: Receiver) -> None:
    url = f"{receiver.url}/services/a%2Fb/%7Eü?sig=a%2Bb+c#fragment"
    answer = await client.post(
        url, content=b"\x00body", headers={"X-Name": " größe ", "user-agent": "mine"}, destination="a"
    )
    assert (answer.status_code, answer.body) == (200, b"ok")
    [request] = receiver.requests
    assert (request.method, request.body) == ("POST", b"\x00body")
    assert request.path == "/services/a%2Fb/%7E%C3%BC?sig=a%2Bb+c"
    assert request.headers == {
        "host": receiver.url.removeprefix("http://"),
        "accept": "*/*",
        "accept-encoding": "identity",
        "x-name": "größe".encode().decode("latin-1"),
        "user-agent": "mine",
        "content-length": "5",
    }


async def test_a_get_has_no_body(client: Http, receiver: Receiver) -> None:
    await client.request("GET", f"{receiver.url}?a=1", destination="a")
    [request] = receiver.requests
    assert (request.method, request.path, request.body) == ("GET", "/?a=1", b"")
    assert "content-length" not in request.headers


async def test_an_empty_post_says_that_it_is_empty(client: Http, receiver: Receiver) -> None:
    await post(client, receiver.url, content=b"")
    assert receiver.requests[0].headers["content-length"] == "0"


async def test_a_large_body_arrives_whole(client: Http, receiver: Receiver) -> None:
    content = bytes(range(256)) * 4096
    await post(client, receiver.url, content=content)
    assert receiver.requests[0].body == content


@pytest.mark.parametrize("status", [200, 202, 204, 304, 400, 410, 429, 500, 503, 599])
async def test_every_status_is_an_answer(client: Http, receiver: Receiver, status: int) -> None:
    receiver.behaviour = reply(status, b"")
    assert (await post(client, receiver.url)).status_code == status


async def test_header_names_are_lower_case_and_equal_ones_joined(client: Http, receiver: Receiver) -> None:
    receiver.behaviour = reply_bytes(
        b"HTTP/1.1 429 \r\nRetry-After: 7\r\nX-A: 1\r\nx-a: \xfc\r\nContent-Length: 0\r\n\r\n"
    )
    answer = await post(client, receiver.url)
    assert answer.headers == {"retry-after": "7", "x-a": "1, ü", "content-length": "0"}


async def test_an_answer_is_kept_as_it_came(client: Http, receiver: Receiver) -> None:
    receiver.behaviour = reply(200, b"\x1f\x8b-not-unpacked", {"Content-Encoding": "gzip"})
    assert (await post(client, receiver.url)).body == b"\x1f\x8b-not-unpacked"


async def test_an_answer_without_length_ends_with_its_connection(client: Http, receiver: Receiver) -> None:
    receiver.behaviour = reply_bytes(b"HTTP/1.0 200 OK\r\n\r\nto the end", then_close=True)
    assert (await post(client, receiver.url)).body == b"to the end"


async def test_a_chunked_answer_is_put_together(client: Http, receiver: Receiver) -> None:
    receiver.behaviour = reply_bytes(
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n1\r\n!\r\n0\r\n\r\n"
    )
    assert (await post(client, receiver.url)).body == b"ok!"


async def test_interim_answers_are_passed_over(client: Http, receiver: Receiver) -> None:
    receiver.behaviour = reply_bytes(b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + encode(202, b"then"))
    answer = await post(client, receiver.url)
    assert (answer.status_code, answer.body) == (202, b"then")


async def test_of_an_answer_the_first_4_kb_are_kept(client: Http, receiver: Receiver) -> None:
    body = bytes(range(256)) * 200
    receiver.behaviour = reply(200, body)
    assert (await post(client, receiver.url)).body == body[:4096]
    assert (await post(client, receiver.url)).body == body[:4096]
    assert receiver.connections == 1


async def test_an_answer_over_64_kb_is_cut_off_and_not_waited_for(client: Http, receiver: Receiver) -> None:
    receiver.behaviour = reply_bytes(b"HTTP/1.1 200 OK\r\nContent-Length: 9999999\r\n\r\n" + b"x" * 200_000)
    answer = await post(client, receiver.url)
    assert (answer.status_code, answer.body) == (200, b"x" * 4096)
    await receiver.wait_for_disconnects()
    receiver.behaviour = reply()
    assert (await post(client, receiver.url)).body == b"ok"


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("location", ["http://10.0.0.1/", "http://169.254.169.254/latest", "/elsewhere", "file:///etc"])
async def test_a_redirect_is_an_answer_and_never_followed(
    client: Http, receiver: Receiver, status: int, location: str
) -> None:
    receiver.behaviour = reply(status, b"", {"Location": location})
    answer = await post(client, receiver.url)
    assert (answer.status_code, answer.headers["location"]) == (status, location)
    assert len(receiver.requests) == 1


async def test_proxies_of_the_environment_are_not_used(
    make_client: MakeClient, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    with refusing_port() as port:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{port}")
        assert (await post(make_client(), receiver.url)).status_code == 200


# What may be called: each of these would reach something of ours

ADDRESSES = """
    0.0.0.0 0.1.2.3 10.0.0.1 10.255.255.255 100.64.0.1 100.100.100.200 127.0.0.1 127.1.2.3 127.255.255.255
    168.63.129.16 169.254.169.254 169.254.170.2 172.16.0.1 172.31.255.255 192.0.0.192 192.0.2.1 192.88.99.1
    192.168.0.1 198.18.0.1 198.51.100.1 203.0.113.1 224.0.0.1 240.0.0.1 255.255.255.255
    [::] [::1] [0:0:0:0:0:0:0:1] [::ffff:127.0.0.1] [::ffff:7f00:1] [::ffff:10.0.0.1] [0:0:0:0:0:ffff:a9fe:a9fe]
    [::127.0.0.1] [64:ff9b::127.0.0.1] [64:ff9b::a00:1] [64:ff9b:1::1] [2001::1] [2001:db8::1] [2002:7f00:1::]
    [3fff::1] [fc00::1] [fd00:ec2::254] [fe80::1] [fec0::1] [ff02::1] [5f00::1] [100::1]
    127.0.0.1. 127。0。0。1 localhost localhost.
""".split()

URL_FORMS = [
    "http://127.1:{port}/",
    "http://127.0.1:{port}/",
    "http://2130706433:{port}/",
    "http://017700000001:{port}/",
    "http://0x7f000001:{port}/",
    "http://0x7f.1:{port}/",
    "http://0x7f.0.0.0x1:{port}/",
    "http://0X7F.0.0.1:{port}/",
    "http://0177.0.0.1:{port}/",
    "http://127.0.0.01:{port}/",
    "http://127.0.0.1.:{port}/x y",
    "http://127.1.:{port}/",
    "http://0:{port}/",
    "http://0x:{port}/",
    "http://1.2.3.256:{port}/",
    "http://127.0.0.1.5:{port}/",
    "http://١٢٧.0.0.1:{port}/",
    "http://①②⑦.0.0.1:{port}/",
    "http://ⓛocalhost:{port}/",
    "http://loc\u00adalhost:{port}/",
    "http://%31%32%37.0.0.1:{port}/",
    "http://127.0.0.1%00.hooks.example:{port}/",
    "http://127.0.0.1%2f@hooks.example:{port}/",
    "http://[127.0.0.1]:{port}/",
    "http://[::1%25lo]:{port}/",
    "http://[fe80::1%25eth0]:{port}/",
    "http://[fe80::1%eth0]:{port}/",
    "http://[::1:{port}/",
    "http://[v1.::1]:{port}/",
    "http://::1:{port}/",
    "http://user@127.0.0.1:{port}/",
    "http://user:password@127.0.0.1:{port}/",
    "http://@127.0.0.1:{port}/",
    "http://hooks.example@127.0.0.1:{port}/",
    "http://hooks.example:80@127.0.0.1:{port}/",
    "http://127.0.0.1:{port}\\@hooks.example/",
    "http://127.0.0.1\\.hooks.example:{port}/",
    "http:\\\\127.0.0.1:{port}/",
    "http:/127.0.0.1:{port}/",
    "http:127.0.0.1:{port}/",
    "http:///127.0.0.1:{port}/",
    "//127.0.0.1:{port}/",
    "127.0.0.1:{port}/",
    "",
    "http://",
    "http://:{port}/",
    "http://127.0.0.1:{port}/\r\nX-Injected: 1",
    "http://127.0.0.1:{port}/a\nb",
    "http://127.0.0.1:{port}/a\tb",
    "http://127.0.0.1:{port}/a\x00b",
    "http://127.0.0.1:{port}/a\x7fb",
    "http://127.0.0.1:{port}/a\u2028b",
    "http://127.0.0.1:{port}/a\u00a0b",
    "http://127.0.0.1:{port}/\ud800",
    " http://127.0.0.1:{port}/",
    "http://127.0.0.1:{port}/ ",
    "http://127.0.0.1 :{port}/",
    "http://127.0.0.1:{port}:80/",
    "http://127.0.0.1:99999/",
    "http://127.0.0.1:-1/",
    "http://127.0.0.1:port/",
    "http://127.0..1:{port}/",
    "http://.:{port}/",
    "http://-hooks.example:{port}/",
    "http://hooks,example:{port}/",
    "http://" + "a" * 64 + ".example:{port}/",
    "http://" + "a." * 127 + "example:{port}/",
    "http://hooks.example:{port}/" + "a" * 4096,
    "ftp://127.0.0.1:{port}/",
    "file:///etc/passwd",
    "gopher://127.0.0.1:{port}/_",
    "dict://127.0.0.1:{port}/",
    "ws://127.0.0.1:{port}/",
    "unix:///var/run/docker.sock",
    "http+unix://%2Fvar%2Frun%2Fdocker.sock/",
    "javascript:alert(1)",
    "data:text/plain,a",
]

NAME_ANSWERS = [
    ["127.0.0.1"],
    ["10.0.0.1"],
    ["169.254.169.254"],
    ["::1"],
    ["fd00:ec2::254"],
    ["fe80::1%eth0"],
    ["::ffff:127.0.0.1"],
    ["64:ff9b::10.0.0.1"],
    ["8.8.8.8", "10.0.0.1"],
    ["10.0.0.1", "8.8.8.8"],
    ["2606:4700::1", "127.0.0.1"],
    ["8.8.8.8", "2606:4700::1", "1.1.1.1", "1.0.0.1", "9.9.9.9", "192.168.0.1"],
]


@pytest.mark.parametrize("host", ADDRESSES)
async def test_no_special_address_is_called(make_client: MakeClient, receiver: Receiver, host: str) -> None:
    strict = make_client(allowed_networks=(), resolve=resolve_with_system)
    with pytest.raises(Refused, match="which is not allowed; list its network"):
        await post(strict, f"http://{host}:{receiver.port}/")
    assert receiver.connections == 0


@pytest.mark.parametrize("form", URL_FORMS)
async def test_no_odd_url_is_called_even_where_the_loopback_is_allowed(
    make_client: MakeClient, receiver: Receiver, form: str
) -> None:
    names = Names({"hooks.example": [["127.0.0.1"]]})
    url = form.format(port=receiver.port)
    with pytest.raises(Refused):
        check_url(url)
    with pytest.raises(Refused):
        await post(make_client(resolve=names), url)
    assert (receiver.connections, names.lookups) == (0, [])


@pytest.mark.parametrize("addresses", NAME_ANSWERS)
async def test_no_name_with_a_special_address_among_its_own_is_called(
    make_client: MakeClient, receiver: Receiver, addresses: list[str]
) -> None:
    strict = make_client(allowed_networks=(), resolve=Names({"hooks.example": [addresses]}))
    with pytest.raises(Refused, match=r"hooks\.example resolves to the .* address"):
        await post(strict, f"http://hooks.example:{receiver.port}/")
    assert receiver.connections == 0


@pytest.mark.parametrize(
    "port", [0, 22, 23, 25, 110, 143, 445, 465, 587, 993, 995, 2375, 3306, 5432, 6379, 9200, 11211, 27017]
)
async def test_no_port_of_another_service_is_called(client: Http, port: int) -> None:
    with pytest.raises(Refused, match="port"):
        check_url(f"https://hooks.example:{port}/")
    with pytest.raises(Refused, match="port"):
        await post(client, f"http://127.0.0.1:{port}/")


@pytest.mark.parametrize(
    "url",
    [
        "https://hooks.example",
        "https://hooks.example/services/T0/B0/x?y=z#w",
        "HTTPS://HOOKS.EXAMPLE:8443/",
        "http://hooks.example:80/@user:a%40b",
        "http://bücher.example./",
        "http://my_service:8080/",
        "http://93.184.216.34/",
        "http://[2606:4700::1]:9/",
        "http://a1.2b.example/?to=ü",
    ],
)
def test_an_ordinary_url_passes(url: str) -> None:
    check_url(url)


@settings(deadline=None)
@given(st.text(), st.text(), st.sampled_from(["http://", "https://", "http://[", "//", ""]))
def test_any_text_passes_or_is_refused(host: str, rest: str, scheme: str) -> None:
    with suppress(Refused):
        check_url(f"{scheme}{host}/{rest}")


@settings(deadline=None)
@given(st.text(), st.text())
def test_any_header_passes_or_is_refused(name: str, value: str) -> None:
    with suppress(Refused):
        check_headers({name: value})


async def test_the_refusal_says_what_to_change(make_client: MakeClient) -> None:
    strict = make_client(allowed_networks=(), resolve=Names({"hooks.example": [["10.0.0.1"]]}))
    with pytest.raises(Refused) as by_name:
        await post(strict, "https://hooks.example/x")
    assert str(by_name.value) == (
        "hooks.example resolves to the private address 10.0.0.1, which is not allowed; "
        "list its network in AUTOMATIONS_ALLOWED_PRIVATE_NETWORKS to allow it"
    )
    with pytest.raises(Refused, match=r"^10\.0\.0\.1 is a private address, which is not allowed; "):
        await post(strict, "https://10.0.0.1/x")


async def test_an_allowed_network_opens_nothing_else(make_client: MakeClient, receiver: Receiver) -> None:
    narrow = make_client(allowed_networks=[ip_network("127.0.0.1/32")], resolve=Names({"both": [["127.0.0.1", "::1"]]}))
    assert (await post(narrow, receiver.url)).status_code == 200
    for host in ("127.0.0.2", "[::1]", "both"):
        with pytest.raises(Refused):
            await post(narrow, f"http://{host}:{receiver.port}/")


# Names


async def test_the_checked_address_is_dialled_without_a_second_lookup(
    make_client: MakeClient, receiver: Receiver
) -> None:
    names = Names({"hooks.example": [["127.0.0.1"], ["10.0.0.1"]]})
    client = make_client(resolve=names)
    url = f"http://hooks.example:{receiver.port}/"
    assert (await post(client, url)).status_code == 200
    assert receiver.requests[0].headers["host"] == f"hooks.example:{receiver.port}"
    assert names.lookups == ["hooks.example"]
    with pytest.raises(Refused, match="private address 10"):
        await post(client, url, destination="another, so with a connection of its own")
    assert names.lookups == ["hooks.example"] * 2
    assert receiver.connections == 1


async def test_the_next_address_is_dialled_where_one_refuses(make_client: MakeClient, receiver: Receiver) -> None:
    client = make_client(resolve=Names({"hooks.example": [["::1", "127.0.0.1"]]}))
    assert (await post(client, f"http://hooks.example:{receiver.port}/")).status_code == 200


async def test_ipv6_is_dialled(client: Http) -> None:
    async with Receiver(host="::1") as receiver:
        await post(client, receiver.url)
        assert receiver.requests[0].headers["host"] == f"[::1]:{receiver.port}"


@pytest.mark.parametrize(
    ("host", "looked_up"),
    [
        ("Hooks.Example.", "hooks.example"),
        ("bücher.example", "xn--bcher-kva.example"),
        ("xn--bcher-kva.example", "xn--bcher-kva.example"),
        ("my_service", "my_service"),
    ],
)
async def test_a_name_has_one_form(make_client: MakeClient, receiver: Receiver, host: str, looked_up: str) -> None:
    names = Names({looked_up: [["127.0.0.1"]]})
    await post(make_client(resolve=names), f"http://{host}:{receiver.port}/")
    assert receiver.requests[0].headers["host"] == f"{looked_up}:{receiver.port}"


async def test_a_host_header_names_no_default_port() -> None:
    targets = ("http://a.example:80/", "https://a.example:443/", "https://[2606:4700::1]/", "https://a.example:80/")
    hosts = [read_url(url).host_header for url in targets]
    assert hosts == ["a.example", "a.example", "[2606:4700::1]", "a.example:80"]


@pytest.mark.parametrize("answers", [{}, {"hooks.example": [[]]}])
async def test_a_name_without_address_is_not_sent(make_client: MakeClient, answers: dict[str, list[list[str]]]) -> None:
    with pytest.raises(NotSent, match=r"hooks\.example (cannot be resolved: Name or service not known|has no address)"):
        await post(make_client(resolve=Names(answers)), "https://hooks.example/")


async def test_calls_that_wait_for_one_name_share_its_lookup(make_client: MakeClient, receiver: Receiver) -> None:
    asked, answered = asyncio.Event(), asyncio.Event()
    lookups = []

    async def resolve(host: str, port: int) -> list[str]:
        lookups.append(host)
        asked.set()
        await answered.wait()
        return ["127.0.0.1"]

    client = make_client(resolve=resolve)
    url = f"http://hooks.example:{receiver.port}/"
    calls = [asyncio.create_task(post(client, url, destination=str(n))) for n in range(5)]
    abandoned = asyncio.create_task(post(client, url))
    await asked.wait()
    abandoned.cancel()
    answered.set()
    assert [answer.status_code for answer in await asyncio.gather(*calls)] == [200] * 5
    assert lookups == ["hooks.example"]


async def test_the_system_resolves_localhost() -> None:
    assert {"127.0.0.1", "::1"} & set(await resolve_with_system("localhost", 80))


# Headers


@pytest.mark.parametrize(
    "name",
    """
    Connection Content-Length Expect Host HTTP2-Settings Keep-Alive Proxy-Authorization Proxy-Connection TE Trailer
    Transfer-Encoding Upgrade connection HOST
    """.split(),
)
async def test_a_header_of_the_connection_is_refused(client: Http, receiver: Receiver, name: str) -> None:
    with pytest.raises(Refused):
        check_headers({name: "x"})
    with pytest.raises(Refused):
        await client.post(receiver.url, content=b"", headers={name: "x"}, destination="a")
    assert receiver.connections == 0


@pytest.mark.parametrize("name", ["", " ", "a b", "a:", "a\r\nb", "a\n", "ü", "a\x00", "(a)", "a/b", ":path"])
def test_a_header_name_that_is_no_token_is_refused(name: str) -> None:
    with pytest.raises(Refused, match="name has characters"):
        check_headers({name: "x"})


@pytest.mark.parametrize("value", ["a\r\nB: c", "a\nb", "a\rb", "a\x00b", "a\x0bb", "\x7f", "\ud800", "\n"])
def test_a_header_value_with_control_characters_is_refused(value: str) -> None:
    with pytest.raises(Refused, match="control character"):
        check_headers({"x-a": value})


def test_more_headers_than_a_server_would_take_are_refused() -> None:
    with pytest.raises(Refused, match="bytes"):
        check_headers({f"x-{n}": "a" * 1000 for n in range(33)})


@pytest.mark.parametrize("value", ["", "a", " a\tb ", "größe", "🙂", "Bearer a.b-c_d=="])
async def test_any_other_header_arrives(client: Http, receiver: Receiver, value: str) -> None:
    check_headers({"X-A_b.c": value})
    await client.post(receiver.url, content=b"", headers={"X-A_b.c": value}, destination="a")
    assert receiver.requests[0].headers["x-a_b.c"].encode("latin-1").decode() == value.strip()


# TLS


def server_context(*names: str, by: trustme.CA = authority) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    by.issue_cert(*names).configure_cert(context)
    return context


async def test_tls_is_made_with_the_name_though_the_address_is_dialled(make_client: MakeClient) -> None:
    names = Names({"hooks.example": [["127.0.0.1"]]})
    async with Receiver(ssl_context=server_context("hooks.example")) as receiver:
        client = make_client(resolve=names)
        for _ in range(2):
            answer = await post(client, f"https://hooks.example.:{receiver.port}/")
            assert (answer.status_code, answer.body) == (200, b"ok")
        assert receiver.server_names == ["hooks.example"]
        assert receiver.requests[0].headers["host"] == f"hooks.example:{receiver.port}"
        assert (receiver.connections, names.lookups) == (1, ["hooks.example"])


@pytest.mark.parametrize(
    "context",
    [
        server_context("other.example"),
        server_context("127.0.0.1"),
        server_context("hooks.example", by=trustme.CA()),
    ],
    ids=["another name", "the address dialled", "another authority"],
)
async def test_a_certificate_of_somebody_else_is_not_sent_to(make_client: MakeClient, context: ssl.SSLContext) -> None:
    client = make_client(resolve=Names({"hooks.example": [["127.0.0.1"]]}))
    async with Receiver(ssl_context=context) as receiver:
        with pytest.raises(NotSent, match=rf"^No TLS with hooks\.example:{receiver.port}: .*"):
            await post(client, f"https://hooks.example:{receiver.port}/")
        assert receiver.requests == []


async def test_a_certificate_may_name_an_address(client: Http) -> None:
    async with Receiver(ssl_context=server_context("127.0.0.1")) as receiver:
        assert (await post(client, receiver.url)).status_code == 200


async def test_public_authorities_alone_are_trusted_by_default(make_client: MakeClient) -> None:
    async with Receiver(ssl_context=server_context("127.0.0.1")) as receiver:
        with pytest.raises(NotSent, match="No TLS"):
            await post(make_client(ssl_context=None), receiver.url)


async def test_a_server_without_tls_is_not_sent_to(client: Http, receiver: Receiver) -> None:
    with pytest.raises(NotSent):
        await post(client, f"https://127.0.0.1:{receiver.port}/")
    assert receiver.requests == []


async def test_a_cut_answer_over_tls_ends_its_connection(client: Http) -> None:
    behaviour = in_turn(reply(200, b"x" * 500_000), reply())
    async with Receiver(behaviour, ssl_context=server_context("127.0.0.1")) as receiver:
        assert (await post(client, receiver.url)).body == b"x" * 4096
        await receiver.wait_for_disconnects()
        assert (await post(client, receiver.url)).body == b"ok"


# What was not sent, and what may have been


async def test_a_refused_connection_is_not_sent(client: Http) -> None:
    with refusing_port() as port, pytest.raises(NotSent, match=rf"^Connection refused by 127\.0\.0\.1:{port}$"):
        await post(client, f"http://127.0.0.1:{port}/")


@pytest.fixture
async def silent_port() -> AsyncIterator[int]:
    """Where a connection is taken and nothing is ever said, so that TLS does not come about."""
    done = asyncio.Event()

    async def serve(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await done.wait()
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        yield server.sockets[0].getsockname()[1]
        done.set()


async def test_a_connection_that_does_not_come_about_is_not_sent_within_its_own_limit(
    client: Http, silent_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http_client, "CONNECT_SECONDS", SHORT_SECONDS)
    with pytest.raises(NotSent, match=r"^No connection to .*( within 0\.3 seconds|: no answer)$"):
        await post(client, f"https://127.0.0.1:{silent_port}/")


async def test_a_connection_that_does_not_come_about_is_not_sent_within_the_whole_limit(
    client: Http, silent_port: int
) -> None:
    with pytest.raises(NotSent):
        await post(client, f"https://127.0.0.1:{silent_port}/", timeout_seconds=SHORT_SECONDS)


async def test_a_silent_name_server_is_not_sent(make_client: MakeClient) -> None:
    answered = asyncio.Event()

    async def resolve(host: str, port: int) -> list[str]:
        await answered.wait()
        raise OSError(-3, "Temporary failure in name resolution")

    with pytest.raises(NotSent):
        await post(make_client(resolve=resolve), "https://hooks.example/", timeout_seconds=SHORT_SECONDS)
    answered.set()


@pytest.mark.parametrize("behaviour", [never_answer, drip()], ids=["no answer", "dripping answer"])
async def test_a_time_out_after_sending_is_unknown_within_the_limit(
    client: Http, receiver: Receiver, behaviour: Any
) -> None:
    await connected(client, receiver)
    receiver.behaviour = behaviour
    started_at = monotonic()
    with pytest.raises(OutcomeUnknown, match=r"did not answer in full within 0\.3 seconds"):
        await post(client, receiver.url, timeout_seconds=SHORT_SECONDS)
    assert monotonic() - started_at < 5
    assert len(receiver.requests) == 2
    await receiver.wait_for_disconnects()


async def test_the_limit_of_the_client_counts_where_a_call_has_none(
    make_client: MakeClient, receiver: Receiver
) -> None:
    client = make_client(timeout_seconds=SHORT_SECONDS)
    await connected(client, receiver)
    receiver.behaviour = never_answer
    with pytest.raises(OutcomeUnknown):
        await client.post(receiver.url, content=b"", headers={}, destination="a")


async def test_the_limit_for_connecting_does_not_shorten_an_answer(
    client: Http, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http_client, "CONNECT_SECONDS", SHORT_SECONDS)
    receiver.behaviour = hold = Hold()
    call = asyncio.create_task(post(client, receiver.url))
    await receiver.wait_for(1)
    asyncio.get_running_loop().call_later(2 * SHORT_SECONDS, hold.release)
    assert (await call).status_code == 200


@pytest.mark.parametrize(
    "behaviour",
    [
        reset,
        hang_up,
        reply_bytes(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf", then_close=True),
        reply_bytes(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab", then_close=True),
        reply_bytes(b"HTTP/1.1 200 OK\r\nContent-Le", then_close=True),
        reply_bytes(b"SSH-2.0-OpenSSH_9.9\r\n\r\n"),
        reply_bytes(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab"),
        reply_bytes(b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 40_000),
    ],
    ids=["reset", "closed", "half a body", "half a chunk", "half a head", "not HTTP", "two lengths", "endless head"],
)
async def test_sending_without_a_whole_answer_is_unknown(client: Http, receiver: Receiver, behaviour: Any) -> None:
    receiver.behaviour = in_turn(behaviour, reply())
    with pytest.raises(OutcomeUnknown, match="it may have received the request"):
        await post(client, receiver.url)
    assert (await post(client, receiver.url)).status_code == 200
    assert [request.connection for request in receiver.requests] == [1, 2]


async def test_a_method_that_is_no_token_is_refused(client: Http, receiver: Receiver) -> None:
    with pytest.raises(Refused):
        await client.request("GET / HTTP/1.1\r\nX:", receiver.url, destination="a")
    assert receiver.requests == []


async def test_no_text_shows_a_secret(
    make_client: MakeClient, silent_port: int, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    client = make_client(resolve=Names({"private": [["10.0.0.1"]]}), timeout_seconds=SHORT_SECONDS)
    secret = f"{CANARY}?{CANARY}={CANARY}#{CANARY}"
    behaviours = [reply(200), reset, hang_up, never_answer, drip(), reply_bytes(b"not HTTP"), reply(200, b"x" * 99_999)]
    async with AsyncExitStack() as stack:
        receivers = [await stack.enter_async_context(Receiver(behaviour)) for behaviour in behaviours]
        urls = [f"{receiver.url}/{secret}" for receiver in receivers]
        port = stack.enter_context(refusing_port())
        urls += [f"http://127.0.0.1:{port}/{secret}", f"https://127.0.0.1:{silent_port}/{secret}"]
        urls += [
            f"http://{host}/{secret}"
            for host in ("private", "unknown", "0x7f.1", f"{CANARY}@a", f"{CANARY}:{CANARY}@a")
        ]
        urls += [
            f"http://a:25/{secret}",
            f"ftp://a/{secret}",
            f"http://a/{secret}\r\n",
            f"/{secret}",
            f"http:/{secret}",
        ]
        urls += [
            f"http://a:{CANARY}/",
            f"http://{CANARY}%/",
            f"{CANARY}://a/",
            f"https://{CANARY} /",
            "http://a/" + CANARY * 999,
        ]
        outcomes = await asyncio.gather(
            *(post(client, url, content=CANARY.encode(), timeout_seconds=SHORT_SECONDS) for url in urls),
            *(
                client.post(receivers[0].url, content=b"", headers=headers, destination="b")
                for headers in (
                    {CANARY + " ": CANARY},
                    {"x-a": CANARY + "\n"},
                    {"host": CANARY},
                    {f"proxy-{CANARY}": CANARY},
                    {CANARY: CANARY * 9999},
                )
            ),
            return_exceptions=True,
        )
    errors = [outcome for outcome in outcomes if isinstance(outcome, BaseException)]
    assert all(isinstance(error, HttpError) for error in errors)
    assert len(errors) >= len(outcomes) - 2  # two are ordinary answers
    assert len(caplog.records) > len(outcomes)
    for text in ("".join(traceback.format_exception(error)) for error in errors):
        assert CANARY not in text
    assert CANARY not in caplog.text


# Connections


async def test_a_connection_is_used_again(client: Http, receiver: Receiver) -> None:
    for _ in range(3):
        await post(client, receiver.url)
    assert [request.connection for request in receiver.requests] == [1, 1, 1]


async def test_a_connection_that_the_server_closed_is_not_used_again(client: Http, receiver: Receiver) -> None:
    receiver.behaviour = reply_bytes(encode(200, b"ok"), then_close=True)
    for _ in range(3):
        assert (await post(client, receiver.url)).status_code == 200
        await receiver.wait_for_disconnects()
    assert [request.connection for request in receiver.requests] == [1, 2, 3]


async def test_a_connection_that_closed_since_the_loop_last_looked_is_not_used_again(client: Http) -> None:
    may_close, closed = threading.Event(), threading.Event()

    def serve() -> None:
        for _ in range(2):
            connection, _ = listener.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(encode(200, b"ok"))
                may_close.wait(LONG_SECONDS)
            closed.set()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = threading.Thread(target=serve)
        server.start()
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/"
        assert (await client.request("GET", url, destination="a")).status_code == 200
        may_close.set()
        closed.wait(LONG_SECONDS)  # blocks the loop
        assert (await client.request("GET", url, destination="a")).status_code == 200
        server.join(LONG_SECONDS)


async def test_a_destination_that_moved_has_a_new_connection(client: Http, receiver: Receiver) -> None:
    async with Receiver() as other:
        for url in (receiver.url, other.url, other.url):
            await post(client, url)
        assert (len(receiver.requests), len(other.requests), other.connections) == (1, 2, 1)
    await receiver.wait_for_disconnects()


async def test_hanging_calls_do_not_delay_another_destination(client: Http, receiver: Receiver) -> None:
    receiver.behaviour = hold = Hold()
    hanging = [asyncio.create_task(post(client, receiver.url, destination="slow")) for _ in range(20)]
    await receiver.wait_for(16)
    async with Receiver() as other:
        assert (await post(client, other.url, destination="fast", timeout_seconds=5)).status_code == 200
    assert (len(receiver.requests), receiver.connections) == (16, 16)
    hold.release()
    assert [answer.status_code for answer in await asyncio.gather(*hanging)] == [200] * 20
    assert receiver.connections == 16


async def test_a_call_that_gets_no_place_is_not_sent(make_client: MakeClient, receiver: Receiver) -> None:
    client = make_client(connections_per_destination=1)
    receiver.behaviour = hold = Hold()
    first = asyncio.create_task(post(client, receiver.url))
    await receiver.wait_for(1)
    with pytest.raises(NotSent, match=r"No connection to .* came about"):
        await post(client, receiver.url, timeout_seconds=SHORT_SECONDS)
    hold.release()
    assert (await first).status_code == 200
    assert (await post(client, receiver.url)).status_code == 200
    assert len(receiver.requests) == 2


async def test_a_cancelled_call_gives_its_place_back(make_client: MakeClient, receiver: Receiver) -> None:
    client = make_client(connections_per_destination=1)
    receiver.behaviour = in_turn(never_answer, reply())
    call = asyncio.create_task(post(client, receiver.url))
    await receiver.wait_for(1)
    waiting = asyncio.create_task(post(client, receiver.url))
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    assert (await waiting).status_code == 200
    assert [request.connection for request in receiver.requests] == [1, 2]


async def test_failed_calls_give_their_places_back(make_client: MakeClient, receiver: Receiver) -> None:
    client = make_client(connections_per_destination=1)
    for behaviour in (reset, hang_up, never_answer, drip()):
        await connected(client, receiver)
        receiver.behaviour = behaviour
        with pytest.raises(OutcomeUnknown):
            await post(client, receiver.url, timeout_seconds=SHORT_SECONDS)
    with refusing_port() as port, pytest.raises(NotSent):
        await post(client, f"http://127.0.0.1:{port}/")
    await connected(client, receiver)


async def test_the_destination_unused_for_longest_loses_its_connections(
    client: Http, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http_client, "POOLS", 2)
    for destination in ("a", "b", "a", "c", "a", "b"):
        await post(client, receiver.url, destination=destination)
    assert [request.connection for request in receiver.requests] == [1, 2, 1, 3, 1, 4]


async def test_a_destination_in_use_keeps_its_connections(
    client: Http, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http_client, "POOLS", 1)
    receiver.behaviour = hold = Hold()
    calls = [asyncio.create_task(post(client, receiver.url, destination=str(n))) for n in range(3)]
    await receiver.wait_for(3)
    hold.release()
    assert [answer.status_code for answer in await asyncio.gather(*calls)] == [200] * 3
    await post(client, receiver.url, destination="0")
    assert receiver.connections == 3


async def test_an_idle_connection_is_closed(client: Http, receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_client, "IDLE_SECONDS", 0.02)
    for n in range(2):
        assert (await post(client, receiver.url)).status_code == 200
        await receiver.wait_for_disconnects()
        assert receiver.connections == n + 1


async def test_closing_lets_calls_under_way_end_and_takes_no_more(client: Http, receiver: Receiver) -> None:
    await post(client, receiver.url, destination="idle")
    receiver.behaviour = hold = Hold()
    call = asyncio.create_task(post(client, receiver.url))
    await receiver.wait_for(2)
    await client.aclose()
    hold.release()
    assert (await call).status_code == 200
    await receiver.wait_for_disconnects()
    with pytest.raises(RuntimeError):
        await post(client, receiver.url)
