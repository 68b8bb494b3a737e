"""The certificate and its reload."""

import contextlib
import os
import shutil
import ssl

import pytest

from stentor.io.tls import Certificate, TlsError
from support.certs import certificate


@pytest.fixture
def files(tmp_path):
    return certificate(tmp_path)


def replace(files, others):
    for old, new in zip(files, others, strict=True):
        scratch = old.with_suffix(".new")
        shutil.copy(new, scratch)
        scratch.replace(old)


def test_nothing_to_tell_while_nothing_changes(files):
    held = Certificate(*files)
    assert not held.refresh() and not held.problem


def test_a_new_certificate_is_taken_up(files, tmp_path):
    held = Certificate(*files)
    before = held.expires
    replace(files, certificate(tmp_path, "next", days=9))
    assert held.refresh() and held.expires > before and not held.problem
    assert not held.refresh()


def test_an_expired_one_is_not_and_the_old_one_stays(files, tmp_path):
    held = Certificate(*files)
    before = held.expires
    replace(files, certificate(tmp_path, "old", days=-1))
    assert held.refresh() and "expired on" in held.problem and held.expires == before
    assert not held.refresh()
    replace(files, certificate(tmp_path, "next", days=9))
    assert held.refresh() and not held.problem


def test_half_of_a_change_waits_for_the_other_half(files, tmp_path):
    held = Certificate(*files)
    others = certificate(tmp_path, "next")
    shutil.copy(others[0], files[0])
    assert held.refresh() and "do not go together" in held.problem
    shutil.copy(others[1], files[1])
    assert held.refresh() and not held.problem


@pytest.mark.parametrize(
    "contents",
    [b"", b"-----BEGIN CERTIFICATE-----\nxx\n-----END CERTIFICATE-----\n", os.urandom(99)],
    ids=["nothing", "nonsense", "noise"],
)
def test_rubbish_changes_nothing(files, contents):
    held = Certificate(*files)
    files[0].write_bytes(contents)
    assert held.refresh() and "not a certificate" in held.problem
    files[0].unlink()
    assert held.refresh() and "No such file" in held.problem


def test_what_never_was_of_use_is_refused(files):
    files[1].unlink()
    with pytest.raises(TlsError, match="No such file"):
        Certificate(*files)


def test_an_expired_one_is_better_than_none_at_the_start(tmp_path):
    files = certificate(tmp_path, days=-1)
    held = Certificate(*files)
    assert "expired on" in held.problem
    replace(files, certificate(tmp_path, "next"))
    assert held.refresh() and not held.problem


AES_128, AES_256 = "ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-ECDSA-AES256-GCM-SHA384"


def shake_hands(client, server):
    """-> both ends, and what the client has yet to read, when neither has anything to say any more."""
    up, down = ssl.MemoryBIO(), ssl.MemoryBIO()
    peer = client.wrap_bio(down, up, server_hostname="localhost")
    own = server.wrap_bio(up, down, server_side=True)
    for one in (peer, own, peer, own, peer):
        with contextlib.suppress(ssl.SSLWantReadError):
            one.do_handshake()
    return peer, own, down


@pytest.mark.parametrize("order", [[AES_128, AES_256], [AES_256, AES_128]], ids=["128 first", "256 first"])
def test_the_peer_knows_best_which_cipher_is_cheap(files, order):
    """Seen in TLS 1.2, for `ssl` cannot order the suites of a client of TLS 1.3."""
    client = ssl.create_default_context(cafile=files[0])
    client.maximum_version = ssl.TLSVersion.TLSv1_2
    client.set_ciphers(":".join(order))
    peer, _, _ = shake_hands(client, Certificate(*files).context)
    assert peer.cipher()[0] == order[0]


def test_no_tickets(files):
    """In TLS 1.3 they would come right after the handshake, before any byte that was asked for."""
    _, own, unread = shake_hands(ssl.create_default_context(cafile=files[0]), Certificate(*files).context)
    assert own.version() == "TLSv1.3" and not unread.pending
