"""What is used of aiortc and aioice that their makers may change: asserted once, at import, with a plain message."""

from __future__ import annotations

import inspect
from collections.abc import Callable

import aioice.ice
from aiortc import rtcdtlstransport, rtcicetransport, rtcrtpreceiver, rtcrtpsender, rtcrtptransceiver

_MADE: dict[str, tuple[tuple[str, ...], Callable[[], object]]] = {
    "aioice.Connection": (
        ("_local_candidates", "_local_candidates_end", "_local_candidates_start", "_nominated", "_protocols"),
        lambda: aioice.ice.Connection(ice_controlling=False),
    ),
    "aiortc.RTCIceGatherer": (("_connection",), lambda: rtcicetransport.RTCIceGatherer([])),
    "aiortc.RTCDtlsTransport": (("_rx_srtp", "_tx_srtp", "_transport"), lambda: _dtls_transport()),
}
_COROUTINES: tuple[tuple[type, str, list[str]], ...] = (
    (aioice.ice.Connection, "gather_candidates", ["self"]),
    (rtcrtpsender.RTCRtpSender, "send", ["self", "parameters"]),
    (rtcrtpreceiver.RTCRtpReceiver, "receive", ["self", "parameters"]),
)
_ASSIGNED: tuple[tuple[type, str], ...] = (  # in constructors that need a running loop
    (rtcrtpsender.RTCRtpSender, "_ssrc"),
    (rtcrtptransceiver.RTCRtpTransceiver, "_codecs"),
)


def _dtls_transport() -> rtcdtlstransport.RTCDtlsTransport:
    certificate = rtcdtlstransport.RTCCertificate.generateCertificate()
    return rtcdtlstransport.RTCDtlsTransport(
        rtcicetransport.RTCIceTransport(rtcicetransport.RTCIceGatherer([])), [certificate]
    )


def missing() -> list[str]:
    """What is not there as it was in the pinned versions; empty when all is well."""
    found = []
    for name, (attributes, make) in _MADE.items():
        present = vars(make())
        found += [f"{name}.{attribute}" for attribute in attributes if attribute not in present]
    for owner, name, parameters in _COROUTINES:
        function = getattr(owner, name, None)
        if not inspect.iscoroutinefunction(function) or list(inspect.signature(function).parameters) != parameters:
            found.append(f"{owner.__name__}.{name}({', '.join(parameters)})")
    for owner, attribute in _ASSIGNED:
        if f"self.{attribute}" not in inspect.getsource(owner):
            found.append(f"{owner.__name__}.{attribute}")
    return found


def check() -> None:
    """Raises `ImportError` that names what is missing."""
    names = missing()
    if names:
        raise ImportError(
            f"this version of aiortc or aioice lacks {', '.join(names)}; the stage reaches into private API of both, "
            "so use the versions that pyproject.toml pins"
        )


check()
