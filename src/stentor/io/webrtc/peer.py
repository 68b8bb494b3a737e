"""One WebRTC connection that carries one Opus stream each way."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Awaitable, Callable, Sequence
from enum import StrEnum

import pylibsrtp
from aiortc import RTCConfiguration, RTCPeerConnection, RTCRtpSender, RTCSessionDescription
from aiortc.exceptions import InvalidStateError, OperationError
from aiortc.rtcconfiguration import RTCBundlePolicy

from stentor.formats import rtp, sdp
from stentor.formats.turn import IceServer
from stentor.io.webrtc import hooks as _hooks  # noqa: F401 - asserts at import what this module reaches into
from stentor.io.webrtc.port import Port

OPUS_PARAMETERS = "minptime=10;useinbandfec=1;stereo=0;sprop-stereo=0;maxaveragebitrate=40000"
SSRCS_MAX = 8  # sources of one peer that libsrtp is let keep state for
CLOSE_S_MAX = 5.0
_PARSER_ERRORS = (
    ValueError,
    AssertionError,
    LookupError,
    AttributeError,
    TypeError,
    RuntimeError,
)  # of a bad description


class State(StrEnum):
    """Of a connection."""

    NEW = "new"
    CONNECTED = "connected"
    GONE = "gone"


class NegotiationError(ValueError):
    """The peer's session description cannot be taken, and why."""


Receive = Callable[[rtp.Packet], None]


class Peer:
    """`receive` is called for every RTP packet of the negotiated payload type, `changed` when `state` has changed.

    Exceptions of `receive` are the owner's bugs, but must not end the connection: they go to the loop's handler.
    """

    def __init__(
        self,
        port: Port,
        receive: Receive,
        changed: Callable[[State], None] | None = None,
        relays: Sequence[IceServer] = (),
    ) -> None:
        self.state = State.NEW
        self.undecryptable = 0
        self.malformed = 0
        self.reported_loss = 0.0  # share of what we sent, by the peer's last report
        self.round_trip_s: float | None = None  # by the peer's last answer to a report of ours
        self._receive = receive
        self._changed = changed
        self._connection = RTCPeerConnection(RTCConfiguration(iceServers=[], bundlePolicy=RTCBundlePolicy.MAX_BUNDLE))
        self._transceiver = self._connection.addTransceiver("audio", direction="sendrecv")
        opus = [codec for codec in RTCRtpSender.getCapabilities("audio").codecs if codec.name.lower() == "opus"]
        self._transceiver.setCodecPreferences(opus)
        self._dtls = self._transceiver.sender.transport
        self._ice = self._dtls.transport.iceGatherer._connection
        self._keep_media_out()
        self._connection.on("connectionstatechange", self._follow)
        port.attach(self, self._ice, relays)
        self._payload_type = -1
        self._ssrc: int = self._transceiver.sender._ssrc
        self._cname = secrets.token_hex(8)
        self._sequence = secrets.randbelow(1 << 15)
        self._timestamp = secrets.randbits(32)
        self._packets = self._octets = 0
        self._sources: set[int] = set()
        self._last_report, self._last_report_at = 0, 0.0
        self._source = 0  # SSRC of what is received

    def _keep_media_out(self) -> None:
        """aiortc starts neither its decoder thread nor its RTCP tasks."""
        nothing = _Nothing()
        self._transceiver.sender.send = nothing  # type: ignore[method-assign]
        self._transceiver.receiver.receive = nothing  # type: ignore[method-assign]

    def _follow(self) -> None:
        found = {"connected": State.CONNECTED, "failed": State.GONE, "closed": State.GONE}
        state = found.get(self._connection.connectionState, self.state)
        if state is not self.state:
            self.state = state
            if self._changed is not None:
                self._changed(state)

    async def answer(self, offer: str) -> str:
        """The answer to a peer's offer, with all candidates. Raises `NegotiationError`."""
        await self._take(offer, "offer")
        await self._negotiating(self._connection.setLocalDescription())
        return sdp.with_opus_parameters(self._connection.localDescription.sdp, OPUS_PARAMETERS)

    async def offer(self) -> str:
        """An offer, with all candidates."""
        await self._connection.setLocalDescription()
        return sdp.with_opus_parameters(self._connection.localDescription.sdp, OPUS_PARAMETERS)

    async def accept(self, answer: str) -> None:
        """Take the peer's answer to our offer. Raises `NegotiationError`."""
        await self._take(answer, "answer")

    async def _take(self, description: str, kind: str) -> None:
        try:
            tamed = sdp.tame(description)
        except sdp.SdpError as error:
            raise NegotiationError(str(error)) from None
        await self._negotiating(self._connection.setRemoteDescription(RTCSessionDescription(tamed, kind)))
        self._payload_type = int(self._transceiver._codecs[0].payloadType or 0)

    async def _negotiating(self, step: Awaitable[None]) -> None:
        """aiortc reports a description it cannot take by whatever exception its parser came upon."""
        try:
            await step
        except OperationError:
            raise NegotiationError("no Opus at 48 kHz in the audio section") from None
        except InvalidStateError as error:
            raise NegotiationError(str(error)) from None
        except _PARSER_ERRORS as error:
            raise NegotiationError(f"not a session description ({type(error).__name__}: {error})") from None

    def receive_media(self, data: bytes) -> None:
        """One SRTP or SRTCP datagram from the port."""
        session = self._dtls._rx_srtp
        if session is None or len(data) < rtp.HEADER_BYTES or not self._known(data):
            return
        try:
            if rtp.is_rtcp(data):
                self._receive_control(session.unprotect_rtcp(data))
            else:
                self._receive_packet(session.unprotect(data))
        except pylibsrtp.Error:
            self.undecryptable += 1
        except Exception as error:
            asyncio.get_running_loop().call_exception_handler({"message": "taking a media packet", "exception": error})

    def _known(self, data: bytes) -> bool:
        """Whether libsrtp may keep state for the packet's source."""
        source = int.from_bytes(data[4:8] if rtp.is_rtcp(data) else data[8:12])
        if source not in self._sources and len(self._sources) < SSRCS_MAX:
            self._sources.add(source)
        return source in self._sources

    def _receive_packet(self, data: bytes) -> None:
        packet = rtp.parse(data)
        if isinstance(packet, rtp.Malformed):
            self.malformed += 1
        elif packet.payload_type == self._payload_type:
            self._source = packet.ssrc
            self._receive(packet)

    def _receive_control(self, data: bytes) -> None:
        report = rtp.last_sender_report(data)
        if report is not None:
            self._last_report, self._last_report_at = report, time.monotonic()
        loss = rtp.reported_loss(data, self._ssrc)
        if loss is not None:
            self.reported_loss = loss
        self.round_trip_s = rtp.round_trip_s(data, self._ssrc, rtp.ntp_time(time.time())) or self.round_trip_s

    def send(self, payload: bytes, samples: int) -> bool:
        """Send one Opus packet that sounds for so many samples; -> whether the connection stands."""
        timestamp = self._timestamp
        self._timestamp = timestamp + samples & 0xFFFFFFFF
        if not self._stands:
            return False
        packet = rtp.pack(self._payload_type, self._sequence, timestamp, self._ssrc, payload)
        self._sequence = self._sequence + 1 & 0xFFFF
        self._packets += 1
        self._octets += len(payload)
        self._transmit(self._dtls._tx_srtp.protect(packet))
        return True

    def report(self, fraction_lost: int, lost: int, highest: int, jitter: int) -> bool:
        """Send RTCP: what we have sent, and so much about what we receive; -> whether the connection stands."""
        if not self._stands:
            return False
        since = time.monotonic() - self._last_report_at if self._last_report else 0.0
        block = rtp.Report(
            self._source, fraction_lost, lost, highest, jitter, self._last_report, min(0xFFFFFFFF, int(since * 65_536))
        )
        packet = rtp.sender_report(
            self._ssrc,
            self._cname,
            rtp.ntp_time(time.time()),
            self._timestamp,
            self._packets,
            self._octets,
            block if self._source else None,
        )
        self._transmit(self._dtls._tx_srtp.protect_rtcp(packet))
        return True

    @property
    def _stands(self) -> bool:
        return self.state is State.CONNECTED and self._dtls._tx_srtp is not None

    def _transmit(self, data: bytes) -> None:
        pair = self._ice._nominated.get(1)
        if pair is not None:
            pair.protocol.transport.sendto(data, pair.remote_addr)

    async def close(self) -> None:
        """End the connection: BYE, close_notify, and the port forgets it. Never raises; takes at most 5 s."""
        if self._stands:
            self._transmit(self._dtls._tx_srtp.protect_rtcp(rtp.goodbye(self._ssrc)))
        try:
            async with asyncio.timeout(CLOSE_S_MAX):
                await self._connection.close()
        except Exception as error:
            asyncio.get_running_loop().call_exception_handler({"message": "closing a peer", "exception": error})
        self.state = State.GONE


class _Nothing:
    """Stands where aiortc would start to send or receive media."""

    async def __call__(self, parameters: object) -> None:
        return None
