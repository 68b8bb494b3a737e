"""Words between chunks."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stentor.formats import emsg

WORDS = st.dictionaries(st.text(), st.one_of(st.text(), st.integers(), st.booleans()), max_size=5)


@given(WORDS, st.integers(0, 2**40))
def test_what_is_packed_is_read(body, number):
    box = emsg.pack(body, number)
    assert int.from_bytes(box[:4], "big") == len(box)
    assert emsg.parse(box) == body


def test_a_box_by_the_standard():
    box = emsg.pack({"a": 1}, 5)
    assert box[4:12] == b"emsg" + bytes(4)
    scheme, value, rest = box[12:].split(b"\0", 2)
    assert (scheme, value) == (b"urn:stentor:say:1", b"")
    assert rest == bytes.fromhex("000003e8 00000000 ffffffff 00000005") + b'{"a":1}'


@pytest.mark.parametrize("at", [4, 8, 12, 30])
def test_anything_else_is_refused(at):
    box = bytearray(emsg.pack({"a": 1}, 5))
    box[at] ^= 0xFF
    with pytest.raises(emsg.NotWords):
        emsg.parse(bytes(box))


@given(st.binary(max_size=80))
def test_no_bytes_do_harm(data):
    with pytest.raises(emsg.NotWords):
        emsg.parse(data)
    with pytest.raises(emsg.NotWords):
        emsg.parse(emsg.pack({}, 1)[:-2] + data[:1] + b"x")
