"""What is used of aiortc and aioice that their makers may change: asserted once, at import, with a plain message."""

from __future__ import annotations

import inspect

import aioice.ice
from aiortc import rtcdtlstransport, rtcicetransport, rtcrtpreceiver, rtcrtpsender, rtcrtptransceiver

_INSTANCE = {
    "aioice.Connection": (
        ("_closing", "_local_candidates", "_local_candidates_end", "_local_candidates_start", "_protocols"),
        lambda: aioice.ice.Connection(ice_controlling=False),
    ),
    "aiortc.RTCIceGatherer": (("_connection",), lambda: rtcicetransport.RTCIceGatherer([])),
    "aiortc.RTCDtlsTransport": (
        ("_rx_srtp", "_tx_srtp", "_transport"),
        lambda: rtcdtlstransport.RTCDtlsTransport(
            rtcicetransport.RTCIceTransport(rtcicetransport.RTCIceGatherer([])),
            [rtcdtlstransport.RTCCertificate.generateCertificate()],
        ),
    ),
}
_COROUTINES = (
    (aioice.ice.Connection, "gather_candidates", ["self"]),
    (aioice.ice.Connection, "send", ["self", "data"]),
    (rtcrtpsender.RTCRtpSender, "send", ["self", "parameters"]),
    (rtcrtpreceiver.RTCRtpReceiver, "receive", ["self", "parameters"]),
)


def missing() -> list[str]:
    """What is not there as it was in the pinned versions; empty when all is well."""
    found = []
    for name, (attributes, make) in _INSTANCE.items():
        present = vars(make())
        found += [f"{name}.{attribute}" for attribute in attributes if attribute not in present]
    for owner, name, parameters in _COROUTINES:
        function = getattr(owner, name, None)
        if not inspect.iscoroutinefunction(function) or list(inspect.signature(function).parameters) != parameters:
            found.append(f"{owner.__name__}.{name}({', '.join(parameters)})")
    for owner, attribute in ((rtcrtpsender.RTCRtpSender, "_ssrc"), (rtcrtptransceiver.RTCRtpTransceiver, "_codecs")):
        if f"self.{attribute}" not in inspect.getsource(owner.__init__):
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
