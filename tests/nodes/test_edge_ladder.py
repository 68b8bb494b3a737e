"""What an edge does with the ladder: real sockets, a board of the test's own."""

import subprocess
import time

import pytest

from stentor.formats import chunks, emsg, fmp4
from stentor.formats.ticket import pull_token
from stentor.io.keys import stable_key
from stentor.model.board import Desk, Ladder, Show
from stentor.model.rendition import AAC_LOW, MP3, MP3_LOW, OPUS, OPUS_LOW, RENDITIONS
from support.edge import SHOW, Station, chunk

FFMPEG = "ffmpeg"


@pytest.fixture
def station(tmp_path):
    station = Station(tmp_path)
    station.publish(1, 2, 3, 4)
    yield station
    station.close()


def give_up(station, **values):
    station.board.put("ladder", Ladder(at_ms=1, show=SHOW, **values))
    station.edge.ladder.look()


def announce(station, notice, reason=""):
    show = Show(SHOW, "An evening", 0, 0, notice=notice, reason=reason)
    station.board.put("desk", Desk(revision=time.monotonic_ns(), shows=(show,)))
    station.edge.ladder.look()


def boxes(body):
    """(kind, bytes) of each box."""
    found = []
    while body:
        size = int.from_bytes(body[:4], "big")
        found.append((body[4:8], body[:size]))
        body = body[size:]
    return found


def words(client):
    return [emsg.parse(box) for kind, box in boxes(client.body) if kind == b"emsg"]


def audio(client):
    """What a player makes of it: all but the words."""
    return b"".join(box for kind, box in boxes(client.body) if kind != b"emsg")


def gets(station, client, expected):
    station.until(lambda: client.read() and audio(client) == expected)


@pytest.mark.parametrize("group", [2, 4])
def test_one_write_a_listener_a_group(station, group):
    clients = [station.listen(query="?from=4") for _ in range(3)]
    give_up(station, rung=1, group=group, from_n=9)
    station.publish(*range(5, 9))
    for client in clients:
        gets(station, client, station.expected(4, 8))
    for n in range(9, 9 + 2 * group - 1):
        station.publish(n)
        station.turn()
        whole = (n - 8) // group * group + 8
        assert [audio(client) for client in clients if client.read()] == [station.expected(4, whole)] * 3
    assert station.edge.mounts.counters.skips == 0
    assert not station.edge.mounts._behind


@pytest.mark.parametrize("rendition", RENDITIONS, ids=lambda one: one.name)
def test_a_group_of_four_fits_a_sockets_buffer(station, rendition):
    give_up(station, rung=2, group=4, from_n=5)
    client = station.listen(rendition.name, "?from=4")
    station.until(lambda: client.read() and client.body and not station.edge.mounts._behind)
    for n in range(5, 21):
        station.publish(n)
        station.turn(1)
        assert not station.edge.mounts._behind
    station.until(lambda: client.read() and client.body.endswith(chunk(station.ring, rendition, 20)))


def test_a_new_listener_of_fours_gets_enough_to_wait_for_the_next(station):
    give_up(station, rung=2, group=4, from_n=5)
    station.publish(*range(5, 15))
    client = station.listen(query="?burst=2")
    assert client.headers["stentor-group"] == "4"
    assert (client.headers["stentor-n"], client.headers["stentor-head"]) == ("8", "12")
    gets(station, client, station.expected(8, 12))
    late = station.listen(query="?from=11")
    gets(station, late, station.expected(11, 12))
    station.publish(15, 16)
    gets(station, client, station.expected(8, 16))
    gets(station, late, station.expected(11, 16))


def test_the_end_of_the_show_ends_a_group(station):
    give_up(station, rung=2, group=4, from_n=5)
    client = station.listen(query="?from=4")
    station.publish(5, 6)
    station.ring.end_n = 7
    station.until(lambda: client.read() and client.closed)
    assert audio(client) == station.expected(4, 6)


def test_a_slow_reader_gets_groups_by_partial_sends(station):
    give_up(station, rung=2, group=4, from_n=5)
    client = station.listen("mp3", "?from=4", rcvbuf=2048)
    station.publish(*range(5, 21))
    expected = b"".join(chunk(station.ring, MP3, n) for n in range(4, 21))
    station.until(lambda: client.read(999) and client.body == expected)
    assert station.edge.mounts.counters.skips == 0


def test_who_skips_begins_with_a_whole_group(tmp_path):
    station = Station(tmp_path, lag_skip_s=3.0)
    station.publish(1, 2, 3, 4)
    give_up(station, rung=2, group=4, from_n=5)
    client = station.listen(query="?from=4", rcvbuf=4096)
    n = 5
    while not station.edge.mounts._behind:
        station.publish(*range(n, n + 4))
        n += 4
    station.publish(*range(n, n + 8))
    newest = n + 7
    station.until(lambda: client.read() and not station.edge.mounts._behind)
    station.until(lambda: client.read().endswith(chunk(station.ring, OPUS, newest)))
    numbers = [int.from_bytes(box[20:24], "big") for kind, box in boxes(audio(client)) if kind == b"moof"]
    assert station.edge.mounts.counters.skips == 1
    assert numbers[-4:] == list(range(newest - 3, newest + 1)) and numbers[-5] < newest - 4
    station.close()


def test_everybody_on_opus_is_spliced_and_comes_back(station):
    client, low = station.listen(query="?from=4"), station.listen("opus-low", "?from=4")
    give_up(station, rung=4, low=True, low_from_n=7)
    station.publish(*range(5, 10))
    body = station.expected(4, 6) + b"".join(chunk(station.ring, OPUS_LOW, n) for n in range(7, 10))
    gets(station, client, body)
    assert station.edge.mounts.by_rendition()["opus-low"] == 2
    give_up(station, rung=3, low=True)
    station.publish(10, 11)
    gets(station, client, body + b"".join(chunk(station.ring, OPUS, n) for n in (10, 11)))
    gets(station, low, station.expected(4, 11, OPUS_LOW))


@pytest.mark.parametrize(("asked", "given"), [("opus", OPUS_LOW), ("aac.m4a", AAC_LOW), ("mp3", MP3_LOW)])
def test_new_listeners_get_the_low_rendition_and_are_told(station, asked, given):
    give_up(station, rung=3, low=True)
    client = station.listen(asked, "?from=4")
    station.publish(5)
    assert client.headers["stentor-rendition"] == given.name
    gets(station, client, station.expected(4, 5, given)) if given.framed else None
    station.until(lambda: client.read() and client.body.endswith(chunk(station.ring, given, 5)))
    give_up(station)
    assert station.listen(asked).headers["stentor-rendition"] == asked.partition(".")[0]


def test_the_ladder_of_another_show_gives_nothing_up(station):
    station.board.put("ladder", Ladder(at_ms=1, show="other", rung=2, group=4, low=True))
    station.edge.ladder.look()
    assert station.listen().headers["stentor-group"] == "1"
    assert station.listen().headers["stentor-rendition"] == "opus"


@pytest.mark.parametrize("broken", ["{", None])
def test_a_board_that_is_lost_changes_nothing(station, broken):
    give_up(station, rung=2, group=4, from_n=5, low=True)
    announce(station, "We begin at nine.")
    said = station.edge.ladder.words
    for key in ("ladder", "desk"):
        path = station.board.directory / f"{key}.json"
        path.write_text(broken) if broken else path.unlink()
    station.edge.ladder.look()
    client = station.listen()
    assert (client.headers["stentor-group"], client.headers["stentor-rendition"]) == ("4", "opus-low")
    assert station.edge.ladder.words == said != b""


def test_words_go_before_the_next_chunk_once_to_everybody(station):
    clients = [station.listen(query="?from=4"), station.listen("aac", "?from=4")]
    mp3 = station.listen("mp3", "?from=4")
    announce(station, "We begin at nine.", "fog")
    give_up(station, rung=1, group=2, from_n=7, reason="more listeners")
    station.publish(5, 6)
    for client in clients:
        station.until(lambda client=client: client.read() and client.body.endswith(boxes(client.body)[-1][1]))
        (said,) = words(client)
        assert said["notice"] == "We begin at nine." and said["reason"] == "fog"
        ladder = said["ladder"]
        assert (ladder["rung"], ladder["group"], ladder["from_n"], ladder["reason"]) == (1, 2, 7, "more listeners")
    assert b"emsg" not in mp3.read()
    gets(station, clients[0], station.expected(4, 6))


def test_a_new_listener_is_told_what_is_in_force(station):
    announce(station, "We begin at nine.")
    client = station.listen(query="?from=4")
    gets(station, client, station.expected(4, 4))
    assert [kind for kind, _ in boxes(client.body)] == [b"ftyp", b"moov", b"emsg", b"moof", b"mdat"]
    assert words(client)[0]["notice"] == "We begin at nine."
    announce(station, "")
    assert words(station.listen()) == []
    station.publish(5)
    station.until(lambda: client.read() and len(words(client)) >= 2)
    assert words(client)[-1]["notice"] == ""


def test_who_is_behind_hears_the_words_too(station):
    client = station.listen(query="?from=4", rcvbuf=4096)
    n = 5
    while not station.edge.mounts._behind:
        station.publish(n)
        n += 1
    announce(station, "We begin at nine.")
    station.publish(n, n + 1)
    gets(station, client, station.expected(4, n + 1))
    assert [one["notice"] for one in words(client)] == ["We begin at nine."]


def test_new_loads_of_hls_get_no_parts_and_those_who_play_go_on(station):
    station.publish(*range(5, 41))
    give_up(station, rung=1, group=2, from_n=49)
    token = pull_token(SHOW, stable_key(station.settings.keys_dir))

    def playlist(query=""):
        client = station.request(f"/live/{token}/aac/live.m3u8{query}")
        station.until(lambda: client.whole_head and len(client.body) >= int(client.headers["content-length"]))
        return client.body.decode()

    assert "EXT-X-PART" not in playlist() and "\ns4.m4s\n" in playlist()
    assert "CAN-BLOCK-RELOAD=YES" in playlist("?_HLS_msn=4&_HLS_part=0")
    give_up(station)
    assert "CAN-BLOCK-RELOAD=YES" in playlist()


def test_the_playlist_of_playlists_begins_with_the_low_one(station):
    give_up(station, rung=3, low=True)
    client = station.request(f"/live/{station.ticket()}/index.m3u8")
    station.until(lambda: client.whole_head and len(client.body) >= int(client.headers["content-length"]))
    uris = [line.split("/")[-2] for line in client.body.decode().splitlines() if not line.startswith("#")]
    assert uris == ["aac-low", "opus"]


def test_a_stock_player_skips_the_words(tmp_path):
    """ffmpeg decodes the same samples with and without them."""
    from stentor.core import hold
    from stentor.io.codec import make_holds
    from stentor.model.grid import Grid

    grid, holds = Grid(0, 0, 24_000), make_holds(hold.loop())
    said = emsg.pack({"notice": "ä" * 500, "reason": ""}, 7)
    pieces = [holds[OPUS.id].chunk(grid, n) for n in range(1, 9)]
    decoded = []
    for between in (b"", said):
        path = tmp_path / f"stream{len(between)}.mp4"
        path.write_bytes(chunks.header(OPUS) + b"".join(between + piece for piece in pieces))
        argv = [FFMPEG, "-v", "error", "-xerror", "-i", path, "-f", "s16le", "-"]
        done = subprocess.run(argv, capture_output=True, check=True)
        assert done.stderr == b""
        decoded.append(done.stdout)
    assert decoded[0] == decoded[1] and len(decoded[0]) > 3 * 2 * 48_000
    assert fmp4.parse_chunk(pieces[0])[0] == 1
