"""PROXY protocol version 2, as proxies send it."""

import struct
from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stentor.formats.proxy import BYTES_MAX, FIXED_BYTES, SIGNATURE, BadProxyHeader, Proxied, decode, missing


def header(source: str, command: int = 0x21, extra: bytes = b"") -> bytes:
    address = ip_address(source)
    packed = address.packed + ip_address("::1" if address.version == 6 else "127.0.0.1").packed
    body = packed + struct.pack(">HH", 40_000, 8_001) + extra
    return SIGNATURE + struct.pack(">BBH", command, 0x21 if address.version == 6 else 0x11, len(body)) + body


@given(st.ip_addresses(), st.binary(max_size=99))
def test_the_source_of_a_connection(source, extra):
    data = header(str(source), extra=extra)
    assert missing(data) == 0
    assert decode(data) == Proxied(str(source))


@given(st.ip_addresses(), st.data())
def test_it_is_read_without_a_byte_too_many(source, data):
    whole = header(str(source))
    have = b""
    while size := missing(have):
        have = whole[: len(have) + data.draw(st.integers(1, size))]
    assert have == whole


def test_a_health_check_has_no_source():
    assert decode(header("192.0.2.1", command=0x20)) == Proxied("")
    unspecified = SIGNATURE + struct.pack(">BBH", 0x21, 0x00, 0)
    assert (missing(unspecified), decode(unspecified)) == (0, Proxied(""))


@pytest.mark.parametrize("data", [b"GET / HTTP/1.1", b"PROXY TCP4 192.0.2.1", b"\r\n\r\n\0\r\nQUIX\n", b"\x16\x03"])
def test_what_is_no_such_header_is_known_at_once(data):
    with pytest.raises(BadProxyHeader, match="version 2"):
        missing(data)


def test_headers_at_odds_with_themselves():
    with pytest.raises(BadProxyHeader, match="at most"):
        missing(SIGNATURE + struct.pack(">BBH", 0x21, 0x11, BYTES_MAX - FIXED_BYTES + 1))
    with pytest.raises(BadProxyHeader, match="shorter"):
        decode(SIGNATURE + struct.pack(">BBH", 0x21, 0x11, 4) + b"1234")
    with pytest.raises(BadProxyHeader, match="not known"):
        decode(header("192.0.2.1", command=0x31))


@given(st.binary(max_size=64))
def test_any_bytes_are_survived(data):
    for start in (b"", SIGNATURE):
        whole = start + data
        try:
            if len(whole) >= FIXED_BYTES and missing(whole) <= 0:
                decode(whole)
        except BadProxyHeader:
            pass
