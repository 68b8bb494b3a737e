import base64
import hashlib
import hmac

from hypothesis import given
from hypothesis import strategies as st

from stentor.formats.turn import IceServer, granted, link_header, parse_links

URLS = "turn:turn.example:3478?transport=udp, turns:[2001:db8::1]:5349?transport=tcp"


def test_credentials_are_those_of_the_draft():
    first, second = granted(URLS, "secret", "ann", 1_700_000_000)
    expected = base64.b64encode(hmac.new(b"secret", b"1700000000:ann", hashlib.sha1).digest()).decode()
    assert (first.username, first.credential) == ("1700000000:ann", expected)
    assert first.parts == ("turn", "turn.example", 3478, "udp") and second.parts == (
        "turns",
        "2001:db8::1",
        5349,
        "tcp",
    )


def test_a_link_header_and_back():
    servers = granted(URLS, "secret", "ann", 1)
    header = link_header(servers)
    assert header.startswith('<turn:turn.example:3478?transport=udp>; rel="ice-server"; username="1:ann"; credential="')
    assert parse_links(header + ', <https://x/>; rel="next"') == servers
    assert parse_links("") == []


def test_a_port_is_that_of_the_scheme():
    assert IceServer("turns:host").parts == ("turns", "host", 5349, "udp")
    assert IceServer("http://host").parts is None


@given(st.text(alphabet='<>;,="turn:rel-ice-server ', max_size=200))
def test_any_header_is_survived(header):
    assert isinstance(parse_links(header), list)
