"""What is changed in a session description (RFC 8866) on its way in and out, line by line."""

from __future__ import annotations

import ipaddress

REMOTE_CANDIDATES_MAX = 16
SDP_BYTES_MAX = 64 * 1024


class SdpError(ValueError):
    """An offer or answer that cannot be taken, and why."""


def tame(sdp: str) -> str:
    """An offer or answer as it may be given to the ICE agent.

    mDNS names would be resolved, over seconds, and only UDP host addresses of the first component can be of use: other
    candidates go, and with them the mark that says no more will come, since the peer's own checks show where it is
    (peer-reflexive candidates, RFC 8445 section 7.3.1.3). Raises `SdpError` unless there is one audio section, and a
    fingerprint to know the peer's certificate by.
    """
    lines = sdp.splitlines()
    kinds = [line[2:].split(" ")[0] for line in lines if line.startswith("m=")]
    if kinds != ["audio"]:
        raise SdpError(f"one audio section is wanted, found: {', '.join(kinds) or 'none'}")
    if not any(line.startswith("a=fingerprint:") for line in lines):
        raise SdpError("no fingerprint of a certificate")
    kept, candidates = [], 0
    for line in lines:
        if line.startswith("a=candidate:"):
            if not _usable(line) or candidates == REMOTE_CANDIDATES_MAX:
                continue
            candidates += 1
        elif line.strip() == "a=end-of-candidates":
            continue
        kept.append(line)
    return "\r\n".join(kept) + "\r\n"


def _usable(line: str) -> bool:
    fields = line.split()
    if len(fields) < 8 or fields[1] != "1" or fields[2].lower() != "udp":
        return False
    try:
        ipaddress.ip_address(fields[4])
    except ValueError:
        return False
    return True


def with_opus_parameters(sdp: str, parameters: str) -> str:
    """`sdp` with `a=fmtp` for its Opus payload type (RFC 7587 section 6.1): what the peer is asked to send."""
    lines = []
    for line in sdp.splitlines():
        lines.append(line)
        if line.startswith("a=rtpmap:") and line.split(" ")[-1].lower().startswith("opus/48000"):
            payload_type = line[len("a=rtpmap:") :].split(" ")[0]
            lines.append(f"a=fmtp:{payload_type} {parameters}")
    return "\r\n".join(lines) + "\r\n"
