"""The certificate of an installation: one TLS context for a role, reloaded in place when its files change.

Nobody who is connected notices a reload. Files that cannot be used (half written, of another key, expired) change
nothing: the certificate at hand goes on serving, and the reason can be shown.
"""

from __future__ import annotations

import ssl
from datetime import UTC, datetime
from pathlib import Path


class TlsError(ValueError):
    """These files are no certificate to serve with; the text says why."""


class Certificate:
    """`context` serves with what the files held when they were last of use. `problem` is what is wrong with them now.

    Raises `TlsError` if they never were of use. A role that starts with an expired certificate serves with it: better
    that than no show.
    """

    def __init__(self, chain: Path, key: Path) -> None:
        self._chain, self._key = chain, key
        self.expires = _check(chain, key)
        self.problem = _expired(chain, self.expires)
        self.context = _new_context()
        self.context.load_cert_chain(chain, key)
        self._stamp = self._look()

    def refresh(self) -> bool:
        """Take up changed files; -> whether there was anything to tell: a new certificate, or a new `problem`."""
        stamp = self._look()
        if stamp == self._stamp:
            return False
        self._stamp, told = stamp, self.problem
        try:
            self._take_up(_check(self._chain, self._key))
        except (TlsError, OSError) as error:
            self.problem = str(error)
            return self.problem != told
        return True

    def _take_up(self, expires: datetime) -> None:
        if problem := _expired(self._chain, expires):
            raise TlsError(problem)
        self.context.load_cert_chain(self._chain, self._key)
        self.expires, self.problem = expires, ""

    def _look(self) -> tuple[tuple[int, int, int], ...]:
        """What changes with the files, through any symbolic links."""
        found = []
        for path in (self._chain, self._key):
            try:
                stat = path.stat()
                found.append((stat.st_mtime_ns, stat.st_ino, stat.st_size))
            except OSError:
                found.append((0, 0, 0))
        return tuple(found)


def _new_context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    context.options &= ~ssl.OP_CIPHER_SERVER_PREFERENCE  # a phone without AES in hardware knows better than we do
    # A ticket costs every first connection half of what it saves to whoever comes back to this very worker, and its key
    # would live as long as the worker: none in TLS 1.3.
    context.num_tickets = 0
    return context


def _check(chain: Path, key: Path) -> datetime:
    """-> when the certificate expires. Raises `TlsError`."""
    from cryptography import x509  # a tenth of a second, which a role without TLS can do without when it comes back

    try:
        certificate = x509.load_pem_x509_certificate(chain.read_bytes())
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(chain, key)
    except ssl.SSLError as error:
        raise TlsError(f"{chain} and {key} do not go together: {error.reason or error}") from None
    except OSError as error:
        raise TlsError(f"{error.filename or chain}: {error.strerror}") from None
    except ValueError:
        raise TlsError(f"{chain} is not a certificate in PEM") from None
    return certificate.not_valid_after_utc


def _expired(chain: Path, expires: datetime) -> str:
    return f"{chain} expired on {expires:%Y-%m-%d %H:%M} UTC" if expires <= datetime.now(UTC) else ""
