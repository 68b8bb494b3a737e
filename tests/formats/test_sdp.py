import pytest

from stentor.formats import sdp

OFFER = "\r\n".join(
    [
        "v=0",
        "a=fingerprint:sha-256 00:11",
        "m=audio 9 UDP/TLS/RTP/SAVPF 111",
        "a=rtpmap:111 opus/48000/2",
        "a=candidate:1 1 udp 2113937151 9b36eaac-bb2e-49bb-bb78-21c41c499900.local 41000 typ host",
        "a=candidate:2 1 udp 2113937151 192.0.2.7 41000 typ host",
        "a=candidate:3 2 udp 2113937151 192.0.2.7 41001 typ host",
        "a=candidate:4 1 tcp 2113937151 192.0.2.7 9 typ host tcptype active",
        "a=candidate:5 1 udp 2113937151 fd00::7 41000 typ host",
        "a=candidate:6",
        "a=end-of-candidates",
        "",
    ]
)


def test_only_candidates_that_can_be_reached_at_once_stay():
    tamed = sdp.tame(OFFER).splitlines()
    assert [line.split(":")[1][0] for line in tamed if line.startswith("a=candidate")] == ["2", "5"]
    assert "a=end-of-candidates" not in tamed


def test_candidates_are_bounded():
    many = "".join(f"a=candidate:{i} 1 udp 1 192.0.2.7 {i} typ host\r\n" for i in range(1, 100))
    assert sdp.tame(OFFER + many).count("a=candidate") == sdp.REMOTE_CANDIDATES_MAX


@pytest.mark.parametrize("sections", ["", "m=video 9 X 96\r\n", "m=audio 9 X 0\r\nm=audio 9 X 0\r\n"])
def test_anything_but_one_audio_section_is_refused(sections):
    with pytest.raises(sdp.SdpError, match="one audio section"):
        sdp.tame("v=0\r\n" + sections)


def test_a_peer_without_a_fingerprint_is_refused():
    with pytest.raises(sdp.SdpError, match="fingerprint"):
        sdp.tame(OFFER.replace("a=fingerprint", "a=f"))


def test_parameters_follow_opus():
    lines = sdp.with_opus_parameters(OFFER, "useinbandfec=1").splitlines()
    assert lines[lines.index("a=rtpmap:111 opus/48000/2") + 1] == "a=fmtp:111 useinbandfec=1"
