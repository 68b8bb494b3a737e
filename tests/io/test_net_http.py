"""Requests out of bytes, within limits, and answers as bytes."""

import json

import pytest

from stentor.io.net import http
from stentor.io.net.http import BODY_BYTES_MAX, PIPELINED_MAX, RequestReader, encode
from stentor.model.http import Response

MAX = 1_024


def read(data, step=0):
    """-> (requests, code of the refusal) of `data`, fed whole or in pieces of `step` bytes."""
    reader, requests = RequestReader(MAX), []
    for at in range(0, len(data), step or len(data)):
        requests += reader.feed(data[at : at + (step or len(data))])
        if reader.refused:
            return requests, (reader.refused.status, json.loads(reader.refused.body)["code"])
    return requests, None


GET = b"GET /live/t/opus?from=5&burst=2 HTTP/1.1\r\nHost: x\r\nICY-MetaData: 1\r\n\r\n"


@pytest.mark.parametrize("step", [0, 1, 7])
def test_a_request_is_the_same_however_it_comes(step):
    (request,), refused = read(GET, step)
    assert refused is None
    assert (request.method, request.path, request.keep_alive) == ("GET", "/live/t/opus", True)
    assert request.query == {"from": "5", "burst": "2"}
    assert request.headers == {"host": "x", "icy-metadata": "1"}


def test_old_clients_need_no_host_and_get_no_second_request():
    (request,), _ = read(b"GET / HTTP/1.0\r\n\r\n")
    assert not request.keep_alive


def test_requests_in_a_row():
    requests, _ = read(b"GET /a HTTP/1.1\r\nHost: x\r\n\r\nGET /b HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    assert [(request.path, request.keep_alive) for request in requests] == [("/a", True), ("/b", False)]


def test_a_small_body_is_dropped():
    (request, other), _ = read(b"POST /j HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello" + GET)
    assert (request.method, other.method) == ("POST", "GET")


def test_the_absolute_form_and_the_asterisk():
    assert read(b"GET http://x/a?b=c HTTP/1.1\r\nHost: x\r\n\r\n")[0][0].path == "/a"
    assert read(b"OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n")[0][0].path == "*"


def test_an_upgrade_is_declined_by_answering_and_closing():
    (request,), refused = read(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\nPRI * HTTP/2")
    assert (request.path, request.keep_alive, refused) == ("/", False, None)


@pytest.mark.parametrize(
    ("data", "refused"),
    [
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", (400, "bad-request")),  # TLS on a plain port
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", (400, "bad-request")),
        (b"GET / HTTP/9.9\r\n\r\n", (400, "bad-request")),
        (b"GET / HTTP/1.1\r\nHost : x\r\n\r\n", (400, "bad-request")),
        (b"GET / HTTP/1.1\r\nHost: x\r\nA: b\nC: \x00\r\n\r\n", (400, "bad-request")),
        (b"GET / HTTP/1.1\r\n\r\n", (400, "bad-host")),
        (b"GET / HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n", (400, "bad-host")),
        (b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab", (400, "bad-request")),
        (
            b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            (400, "bad-request"),
        ),
        (b"GET /" + b"a" * MAX + b" HTTP/1.1\r\nHost: x\r\n\r\n", (431, "headers-too-large")),
        (b"GET / HTTP/1.1\r\nHost: x\r\nA: " + b"a" * MAX + b"\r\n\r\n", (431, "headers-too-large")),
        (b"GET / HTTP/1.1\r\nHost: x\r\n" + b"A: b\r\n" * MAX + b"\r\n", (431, "headers-too-large")),
        (b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9999\r\n\r\n" + b"a" * 9_999, (413, "body-too-large")),
        (b"GET /?" + b"&".join(b"a%d=1" % k for k in range(20)) + b" HTTP/1.1\r\nHost: x\r\n\r\n", (400, "bad-target")),
    ],
)
def test_what_is_refused_and_why(data, refused):
    assert read(data) == ([], refused)
    assert read(data, 1)[1] == refused


def test_headers_without_an_end_are_cut_off():
    for filling in (b"A: b\r\n", b"a"):
        reader, fed = RequestReader(MAX), 0
        reader.feed(b"GET / HTTP/1.1\r\nHost: x\r\nX")
        while not reader.refused:
            reader.feed(filling)
            fed += len(filling)
            assert fed <= MAX + BODY_BYTES_MAX
        assert reader.refused.status == 431


def test_a_long_pipeline_is_answered_as_far_as_it_is_allowed():
    requests, refused = read(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n" * (PIPELINED_MAX + 1))
    assert (len(requests), refused) == (PIPELINED_MAX, (400, "pipeline-too-long"))


def test_what_came_whole_before_the_misuse_still_counts():
    requests, refused = read(GET + b"junk\r\n\r\n")
    assert (len(requests), refused) == (1, (400, "bad-request"))


def test_an_answer_as_bytes():
    head, _, body = encode(Response(200, (("A", "b"),), b"hello"), keep_alive=True).partition(b"\r\n\r\n")
    first, *lines = head.decode().split("\r\n")
    assert (first, body) == ("HTTP/1.1 200 OK", b"hello")
    assert {line.split(": ")[0] for line in lines} == {"Date", "A", "Content-Length", "Connection"}
    assert "Connection: keep-alive" in lines


def test_head_has_the_length_of_the_body_and_no_body():
    data = encode(Response(200, (), b"hello"), head=True)
    assert data.endswith(b"\r\n\r\n") and b"Content-Length: 5\r\n" in data


def test_an_endless_answer_has_no_length_and_closes():
    data = encode(Response(200, (), None), keep_alive=True)
    assert b"Content-Length" not in data and b"Connection: close" in data
    assert b"Content-Length" not in encode(Response(204))


def test_heads_with_what_is_of_one_person_are_not_kept() -> None:
    before = http._start.cache_info().currsize
    for name in ("Location", "Stentor-Ticket"):
        head = http.encode(Response(307, ((name, "/live/only-mine/mp3"),)))
        assert f"{name}: /live/only-mine/mp3\r\n".encode() in head
    assert http._start.cache_info().currsize == before


def test_what_proxies_forward_is_one_list_however_many_lines_it_has():
    head = b"GET / HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: 1.1.1.1, 2.2.2.2\r\nx-forwarded-for: 3.3.3.3\r\n\r\n"
    (request,), _ = read(head)
    assert request.headers["x-forwarded-for"] == "1.1.1.1, 2.2.2.2, 3.3.3.3"
