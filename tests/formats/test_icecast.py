import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stentor.formats.icecast import CHUNK_LINE_BYTES_MAX, Body, Head, Malformed, parse_head

BASIC = "Basic " + base64.b64encode(b"source:to:ken").decode()
PUT = (
    f"PUT /live HTTP/1.1\r\nHost: studio:8005\r\nAuthorization: {BASIC}\r\nUser-Agent: Lavf\r\n"
    "Content-Type: Audio/Ogg; codecs=opus\r\nExpect: 100-Continue\r\nIce-Public: 0\r\n\r\n"
)


def head(method: str = "PUT", **headers: str) -> Head:
    return Head(method, "/", "HTTP/1.1", {name.replace("_", "-"): value for name, value in headers.items()})


def test_a_head_says_who_sends_what():
    parsed = parse_head(PUT.encode())
    assert (parsed.method, parsed.target, parsed.version) == ("PUT", "/live", "HTTP/1.1")
    assert (parsed.password, parsed.content_type, parsed.expects_continue) == ("to:ken", "audio/ogg", True)


@pytest.mark.parametrize("version", ["HTTP/1.0", "ICE/1.0"])
def test_source_of_old(version):
    parsed = parse_head(f"SOURCE /live {version}\nauthorization: {BASIC}\n\n".encode())
    assert (parsed.method, parsed.password, parsed.content_type, parsed.expects_continue) == (
        "SOURCE",
        "to:ken",
        "",
        False,
    )


@pytest.mark.parametrize(
    "value", ["", "Bearer abc", "Basic", "Basic !!!", "Basic " + base64.b64encode(b"\xff").decode()]
)
def test_what_is_no_basic_authorization_is_no_password(value):
    assert head(authorization=value).password == ""


@pytest.mark.parametrize(
    "text", ["", "PUT /\r\n", "PUT / HTTP/2.0\r\n", "P\0T / HTTP/1.1\r\n", "PUT / HTTP/1.1\r\nno colon\r\n", "\r\n\r\n"]
)
def test_what_is_no_head_is_refused(text):
    with pytest.raises(Malformed):
        parse_head(text.encode())


@given(st.binary(max_size=300))
def test_any_bytes_are_a_head_or_are_not(data):
    try:
        parsed = parse_head(data)
    except Malformed:
        return
    assert isinstance(parsed.password + parsed.content_type, str)


def take(body: Body, data: bytes, cuts: list[int]) -> bytes:
    audio, start = b"", 0
    for end in [*sorted(cut % (len(data) + 1) for cut in cuts), len(data)]:
        audio += body.receive(data[start:end])
        start = end
    return audio


@given(st.lists(st.binary(min_size=1, max_size=50), max_size=6), st.lists(st.integers(0, 500), max_size=8))
def test_chunks_come_out_whole_however_they_are_cut(chunks, cuts):
    wire = b"".join(b"%X;x=y\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks) + b"0\r\nTrailer: x\r\n\r\nbeyond"
    body = Body(head(transfer_encoding="chunked"))
    assert take(body, wire, cuts) == b"".join(chunks) and body.ended


def test_a_body_with_a_length_ends_there_and_one_without_never():
    sized, endless = Body(head(content_length="5")), Body(head())
    assert sized.receive(b"abc") == b"abc" and not sized.ended
    assert sized.receive(b"defg") == b"de" and sized.ended
    assert endless.receive(b"abc") == b"abc" and not endless.ended
    assert not Body(head("SOURCE", content_length="0")).ended


@pytest.mark.parametrize(
    "wire", [b"x\r\n", b"-1\r\n", b"3\r\nabcd\r\n", b"123456789\r\n", b"1" * (CHUNK_LINE_BYTES_MAX + 1)]
)
def test_what_is_no_chunk_is_refused(wire):
    with pytest.raises(Malformed):
        Body(head(transfer_encoding="chunked")).receive(wire)


@pytest.mark.parametrize("length", ["-1", "five", "1e3", "١"])
def test_what_is_no_length_is_refused(length):
    with pytest.raises(Malformed):
        Body(head(content_length=length))
