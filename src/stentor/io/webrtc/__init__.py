"""WebRTC with aiortc for ICE, DTLS and the keys of SRTP only; media packets never enter it.

`Port` is one UDP port for all peers, `Peer` one connection. aiortc's own receive path stalls for 320 ms on each lost
packet and starts a thread a speaker, so packets go from the port through libsrtp straight to a callback, and back.
"""

from stentor.io.webrtc.addresses import local_addresses, route_address
from stentor.io.webrtc.peer import NegotiationError, Peer, State
from stentor.io.webrtc.port import Port

__all__ = ["NegotiationError", "Peer", "Port", "State", "local_addresses", "route_address"]
