"""HLS over real sockets from an edge on a ring of its own."""

import json
import re

import pytest

from stentor.core.playlist import resolve
from stentor.formats import chunks, ticket
from stentor.formats.ticket import pull_token
from stentor.io.keys import stable_key
from stentor.model.rendition import AAC, AAC_LOW, OPUS
from stentor.nodes.pull import FOUND_MAX
from support.edge import SHOW, Station, chunk

ALL = range(1, 41)


@pytest.fixture
def station(tmp_path):
    station = Station(tmp_path)
    station.publish(*ALL)
    yield station
    station.close()


def base(station):
    return f"/live/{pull_token(SHOW, stable_key(station.settings.keys_dir))}"


def fetch(station, path, **headers):
    client = station.request(path, **headers)
    station.until(lambda: client.whole_head and client.read() is not None and whole(client))
    return client


def whole(client):
    return len(client.body) >= int(client.headers["content-length"])


def waits(station, path):
    """A request that is not answered yet."""
    waiting = station.edge.pull.waiting
    client = station.request(path)
    station.until(lambda: station.edge.pull.waiting == waiting + 1)
    assert client.read() == b""
    return client


def test_from_a_ticket_to_sound(station):
    index = fetch(station, f"/live/{station.ticket()}/index.m3u8")
    assert index.headers["content-type"] == "application/vnd.apple.mpegurl"
    assert index.headers["cache-control"] == "no-store"
    uris = [line for line in index.body.decode().splitlines() if not line.startswith("#")]
    assert uris == [f"{base(station)}/{name}/live.m3u8" for name in ("aac", "aac-low", "opus")]
    playlist = fetch(station, uris[0])
    assert playlist.headers["cache-control"] == "public, max-age=1"
    assert playlist.headers["access-control-allow-origin"] == "*"
    text = playlist.body.decode()
    assert "CAN-BLOCK-RELOAD=YES" in text and "\ns4.m4s\n" in text
    assert '#EXT-X-PRELOAD-HINT:TYPE=PART,URI="s5p0.m4s"' in text
    segment = fetch(station, f"{base(station)}/aac/s4.m4s")
    assert segment.body == b"".join(chunk(station.ring, AAC, n) for n in range(33, 41))
    assert "immutable" in segment.headers["cache-control"]
    assert fetch(station, f"{base(station)}/aac/s4p7.m4s").body == chunk(station.ring, AAC, 40)
    assert fetch(station, f"{base(station)}/aac/init.mp4").body == chunks.header(AAC)


def test_a_reload_waits_for_its_part(station):
    client = waits(station, f"{base(station)}/aac/live.m3u8?_HLS_msn=5&_HLS_part=1")
    station.publish(41)
    assert client.read() == b""
    station.publish(42)
    station.until(lambda: client.read() and client.whole_head and whole(client))
    text = client.body.decode()
    assert 'URI="s5p1.m4s"' in text and '#EXT-X-PRELOAD-HINT:TYPE=PART,URI="s5p2.m4s"' in text
    assert re.search(r"RENDITION-REPORT:URI=\"../opus/live.m3u8\",LAST-MSN=5,LAST-PART=1", text)
    assert station.edge.pull.waiting == 0


def test_a_hinted_part_is_waited_for(station):
    client = waits(station, f"{base(station)}/opus/s5p0.m4s")
    station.publish(41)
    station.until(lambda: client.read() and client.whole_head and whole(client))
    assert client.body == chunk(station.ring, OPUS, 41)


def test_a_delta_update(station):
    def both():
        paths = (f"{base(station)}/{AAC_LOW.name}/live.m3u8{query}" for query in ("", "?_HLS_skip=YES"))
        return [fetch(station, path).body for path in paths]

    whole_, delta = both()
    assert whole_ == delta  # all of it is younger than what may be skipped
    station.publish(*range(41, 100))
    whole_, delta = both()
    assert len(delta) < len(whole_)
    assert b"#EXT-X-SKIP:SKIPPED-SEGMENTS=4\n" in delta and b"#EXT-X-SKIP:" not in whole_


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("aac/s5.m4s", 404, "not-here"),
        ("aac/s5p1.m4s", 404, "not-here"),
        ("aac/s4p8.m4s", 404, "not-here"),
        ("aac/s04.m4s", 404, "not-here"),
        ("aac/../key", 404, "not-found"),
        ("mp3/live.m3u8", 404, "not-here"),
        ("flac/live.m3u8", 404, "no-rendition"),
        ("aac/live.m3u8?_HLS_msn=99", 400, "bad-directive"),
        ("aac/live.m3u8?_HLS_part=1", 400, "bad-directive"),
        ("aac/live.m3u8?_HLS_msn=-1", 400, "bad-directive"),
    ],
)
def test_what_is_not_there_is_said(station, path, status, code):
    refused = fetch(station, f"{base(station)}/{path}")
    assert (refused.status, json.loads(refused.body)["code"]) == (status, code)
    assert station.edge.pull.refused == (code in ("not-here", "bad-directive")), "counted"
    assert fetch(station, f"{base(station)}/aac/s4.m4s").status == 200
    assert (station.edge.pull.answered, station.edge.pull.refused) == (1, code in ("not-here", "bad-directive"))


@pytest.mark.parametrize("query", ["_HLS_msn=0&_HLS_part=3", "_HLS_msn=4", "_HLS_msn=4&_HLS_part=7&_HLS_skip=YES"])
def test_what_is_long_over_is_answered_at_once_with_what_is_now(station, query):
    behind = fetch(station, f"{base(station)}/aac/live.m3u8?{query}")
    assert behind.status == 200 and b'URI="s4p7.m4s"' in behind.body
    assert station.edge.pull.waiting == 0


def test_how_far_ahead_one_may_ask(station):
    """Two segments: what waits longer is nobody's next reload."""
    waits(station, f"{base(station)}/aac/live.m3u8?_HLS_msn=5&_HLS_part=0")
    waits(station, f"{base(station)}/aac/live.m3u8?_HLS_msn=6&_HLS_part=7")
    refused = fetch(station, f"{base(station)}/aac/live.m3u8?_HLS_msn=7&_HLS_part=0")
    assert refused.status == 400 and "too far ahead" in json.loads(refused.body)["detail"]


def test_nonsense_in_masses_is_kept_of_nobody_and_costs_players_little(station, monkeypatch):
    resolved = []
    monkeypatch.setattr("stentor.nodes.pull.resolve", lambda *asked: resolved.append(asked) or resolve(*asked))
    for number in range(3 * FOUND_MAX):
        station.edge.pull.answer(AAC, "live.m3u8", {"_HLS_msn": str(1_000 + number)})
    for _ in range(5):
        assert fetch(station, f"{base(station)}/aac/live.m3u8").status == 200
    assert len(resolved) == 3 * FOUND_MAX + 1, "the playlist is found once"
    assert len(station.edge.pull._found[AAC.id].by_request) <= FOUND_MAX
    assert station.edge.pull.refused == 3 * FOUND_MAX


def test_strangers_are_refused(station):
    for path in (f"/live/{'x' * 22}/aac/live.m3u8", f"/live/{station.ticket()}/aac/live.m3u8"):
        assert json.loads(fetch(station, path).body)["code"] == "pull-token"
    forged = station.ticket()[:-1] + "A"
    assert fetch(station, f"/live/{forged}/index.m3u8").status == 403
    assert len(pull_token(SHOW, b"k" * 32)) == 22 != ticket.LENGTH


def test_the_end_answers_everybody_who_waits(station):
    clients = [waits(station, f"{base(station)}/aac/{path}") for path in ("live.m3u8?_HLS_msn=6", "s5p0.m4s")]
    station.ring.end_n = 42
    station.publish(41)
    for client in clients:
        station.until(lambda c=client: c.read() and c.whole_head and whole(c))
    assert clients[0].body.endswith(b"\ns5.m4s\n#EXT-X-ENDLIST\n")
    assert clients[1].body == chunk(station.ring, AAC, 41)
    assert fetch(station, f"{base(station)}/aac/s5.m4s").body == chunk(station.ring, AAC, 41)


def test_who_left_is_forgotten(station):
    client = waits(station, f"{base(station)}/aac/s5p0.m4s")
    client.sock.close()
    station.turn()
    station.publish(41)
    assert station.edge.pull.waiting == 0


def test_who_comes_again_and_again_leaves_nothing_behind(station):
    """A player that reconnects in a loop: nobody else's reload is late, and nothing is kept until the next chunk."""
    steady = waits(station, f"{base(station)}/aac/live.m3u8?_HLS_msn=5&_HLS_part=0")
    for _ in range(300):
        again = waits(station, f"{base(station)}/aac/live.m3u8?_HLS_msn=6&_HLS_part=0")
        again.sock.close()
        station.until(lambda: station.edge.pull.waiting == 1)
    assert len(station.server) == 1
    station.publish(41)
    station.until(lambda: steady.read() and steady.whole_head and whole(steady))
    assert steady.status == 200 and station.edge.pull.waiting == 0


def test_many_who_wait_are_answered_over_several_turns(station, monkeypatch):
    monkeypatch.setattr("stentor.nodes.pull.GIVES_A_TURN", 3)
    clients = [waits(station, f"{base(station)}/aac/s5p0.m4s") for _ in range(8)]
    station.publish(41)
    for client in clients:
        station.until(lambda c=client: c.read() and c.whole_head and whole(c))
    assert {client.body for client in clients} == {chunk(station.ring, AAC, 41)}


def test_head(station):
    client = station.request(f"{base(station)}/aac/s4.m4s", "HEAD")
    station.until(lambda: client.whole_head)
    assert client.status == 200 and int(client.headers["content-length"]) > 1_000 and client.body == b""


def test_before_there_is_a_show(tmp_path):
    station = Station(tmp_path, stage=False)
    assert fetch(station, f"/live/{pull_token('', stable_key(station.settings.keys_dir))}/aac/live.m3u8").status == 403
    assert fetch(station, f"/live/{station.ticket()}/index.m3u8").status == 503
    station.close()
