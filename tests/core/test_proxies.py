"""Who asks, behind proxies: only what listed ones say is believed."""

from __future__ import annotations

import pytest

from stentor.core.proxies import networks, source
from stentor.model.http import Request

LISTED = networks("10.0.0.0/8, 2001:db8::/32")


def asked(peer: str, forwarded: str = "") -> Request:
    return Request("GET", "/", {}, {"x-forwarded-for": forwarded} if forwarded else {}, source=peer)


@pytest.mark.parametrize(
    ("peer", "forwarded", "found"),
    [
        ("192.0.2.1", "", "192.0.2.1"),
        ("192.0.2.1", "203.0.113.9", "192.0.2.1"),  # not listed: whatever it says
        ("10.0.0.1", "", "10.0.0.1"),
        ("10.0.0.1", "203.0.113.9", "203.0.113.9"),
        ("10.0.0.1", "198.51.100.7, 203.0.113.9", "203.0.113.9"),  # the left one is the client's own word
        ("10.0.0.1", "203.0.113.9, 10.1.1.1, 10.2.2.2", "203.0.113.9"),
        ("::ffff:10.0.0.1", "203.0.113.9", "203.0.113.9"),
        ("2001:db8::1", "2001:db9::7", "2001:db9::7"),
        ("10.0.0.1", "nonsense", "10.0.0.1"),
        ("10.0.0.1", "203.0.113.9, nonsense, 10.2.2.2", "10.2.2.2"),
        ("10.0.0.1", "10.3.3.3", "10.3.3.3"),
        ("10.0.0.1", "203.0.113.9:4711, 10.2.2.2:80", "203.0.113.9"),
        ("10.0.0.1", "[2001:db9::7]:4711, [2001:db8::1]", "2001:db9::7"),
        ("10.0.0.1", "203.0.113.9, :::", "10.0.0.1"),
    ],
)
def test_the_address_of_whoever_asks(peer: str, forwarded: str, found: str) -> None:
    assert source(asked(peer, forwarded), LISTED) == found


def test_without_listed_proxies_nothing_is_believed() -> None:
    assert source(asked("10.0.0.1", "203.0.113.9"), ()) == "10.0.0.1"


def test_a_list_that_names_no_network() -> None:
    with pytest.raises(ValueError, match="elsewhere"):
        networks("10.0.0.0/8, elsewhere")
