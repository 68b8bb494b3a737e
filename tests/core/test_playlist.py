"""The live playlist of a rendition, as it is at every chunk of a show."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stentor.core.playlist import (
    AHEAD_SEGMENTS_MAX,
    PAST_NAME,
    SEGMENTS_MAX,
    BadRequest,
    Directives,
    Layout,
    Live,
    Past,
    directives,
    needed,
    parse_name,
    variants,
)
from stentor.formats import m3u8
from stentor.model.grid import FIRST_N, Grid
from stentor.model.rendition import AAC, AAC_LOW, MP3, OPUS

SLOTS = 128
LAYOUTS = [
    Layout(Grid(1_700_000_000_000_000_000, 0, samples), rendition)
    for samples in (12_000, 24_000, 48_000, 96_000)
    for rendition in (OPUS, AAC, AAC_LOW)
]
layouts = st.sampled_from(LAYOUTS)
HALF_AAC = Layout(Grid(1_700_000_000_000_000_000, 0, 24_000), AAC)


def live(layout: Layout, newest: int, end_n: int = 0) -> Live:
    return Live(layout, max(FIRST_N, newest - SLOTS + 2), newest, end_n)


def test_half_second_chunks():
    assert (HALF_AAC.part_chunks, HALF_AAC.segment_parts, HALF_AAC.segment_chunks) == (1, 8, 8)
    assert (HALF_AAC.part_target_s, HALF_AAC.target_s) == (0.512, 4)
    assert HALF_AAC.chunks(0) == range(1, 9)
    assert HALF_AAC.chunks(2, 3) == range(20, 21)
    assert HALF_AAC.part_of(19) == (2, 2) and HALF_AAC.part_of(16) == (1, 7)


def test_shorter_chunks_make_parts_of_half_a_second():
    layout = Layout(Grid(0, 0, 12_000), OPUS)
    assert (layout.part_chunks, layout.segment_parts, layout.segment_chunks) == (2, 8, 16)
    assert layout.chunks(1, 1) == range(19, 21)
    assert layout.part_of(19) == (1, 0) and layout.part_of(20) == (1, 1)


@given(layouts)
def test_targets_hold_for_every_part_and_segment(layout):
    for msn in range(50):
        assert round(layout.duration_s(layout.chunks(msn))) <= layout.target_s
        for part in range(layout.segment_parts):
            duration_s = layout.duration_s(layout.chunks(msn, part))
            assert 0.85 * layout.part_target_s <= duration_s <= layout.part_target_s


@given(layouts, st.integers(1, 2_000))
def test_a_playlist_is_without_gaps_and_all_of_it_can_be_had(layout, newest):
    shown = live(layout, newest)
    playlist = shown.render()
    assert len(playlist.segments) <= SEGMENTS_MAX
    chunks = [layout.chunks(playlist.first_msn + index) for index in range(len(playlist.segments))]
    assert not chunks or chunks[0].start >= shown.oldest
    assert all(before.stop == after.start for before, after in pairwise(chunks))
    assert [segment.uri for segment in playlist.segments] == [
        f"s{playlist.first_msn + index}.m4s" for index in range(len(chunks))
    ]
    low = playlist.low_latency
    msn, part = parse_name(low.next_uri)
    assert layout.chunks(msn, part)[-1] > newest >= layout.chunks(msn, part)[0] - 1
    assert len(low.tail) == part
    for segment in playlist.segments:
        if segment.parts:
            assert sum(one.duration_s for one in segment.parts) == pytest.approx(segment.duration_s)


@given(layouts, st.integers(1, 2_000), st.data())
def test_a_request_waits_exactly_until_what_it_asks_for_is_listed(layout, newest, data):
    top = layout.part_of(newest)[0]
    msn = data.draw(st.integers(0, top + AHEAD_SEGMENTS_MAX - 1))
    part = data.draw(st.none() | st.integers(0, layout.segment_parts))
    n = needed(layout, Directives(msn, part), newest, 0)
    assert n == 0 or n > newest
    if part is not None and part >= layout.segment_parts:
        msn, part = msn + 1, 0
    assert listed(live(layout, max(n, newest)), msn, part)
    if n:
        assert not listed(live(layout, n - 1), msn, part)


def listed(shown: Live, msn: int, part: int | None) -> bool:
    playlist = shown.render()
    if msn < playlist.first_msn + len(playlist.segments):
        return True
    tail = [one.uri for one in playlist.low_latency.tail]
    return part is not None and f"s{msn}p{part}.m4s" in tail


@given(layouts, st.integers(1, 2_000))
def test_a_delta_update_leaves_out_what_is_old_and_nothing_else(layout, newest):
    whole, delta = live(layout, newest).render(), live(layout, newest).render(skip=True)
    assert list(whole.segments[delta.skipped :]) == list(delta.segments)
    assert delta.first_msn == whole.first_msn
    kept_s = sum(segment.duration_s for segment in delta.segments) + sum(p.duration_s for p in delta.low_latency.tail)
    if delta.skipped:
        assert kept_s >= whole.low_latency.skip_until_s - layout.part_target_s


@given(layouts, st.integers(2, 600))
def test_the_end(layout, end_n):
    shown = live(layout, end_n - 1, end_n)
    playlist = shown.render()
    assert playlist.ended and not playlist.low_latency.tail and not playlist.low_latency.next_uri
    last = playlist.first_msn + len(playlist.segments) - 1
    assert layout.chunks(last).start <= end_n - 1 < layout.chunks(last).stop
    chunks = range(max(layout.chunks(playlist.first_msn).start, FIRST_N), end_n)
    assert sum(segment.duration_s for segment in playlist.segments) == pytest.approx(layout.duration_s(chunks))
    assert needed(layout, Directives(last + 5, 0), end_n - 1, end_n) == 0
    assert "#EXT-X-ENDLIST\n" in m3u8.media(playlist)


@pytest.mark.parametrize(
    "query",
    [
        {"_HLS_part": "1"},
        {"_HLS_msn": "-1"},
        {"_HLS_msn": "x"},
        {"_HLS_msn": "9" * 11},
        {"_HLS_msn": "1", "_HLS_part": "¹"},
    ],
)
def test_directives_that_make_no_sense(query):
    with pytest.raises(BadRequest):
        directives(query)


def test_too_far_ahead():
    assert needed(HALF_AAC, Directives(12, 7), 100, 0) == 104
    with pytest.raises(BadRequest, match="too far ahead"):
        needed(HALF_AAC, Directives(15), 100, 0)


def test_a_playlist_asked_for_without_directives_is_waited_for_only_at_the_very_beginning():
    plain = directives({"burst": "2"})
    assert [needed(HALF_AAC, plain, newest, 0) for newest in (0, 8, 15, 16, 100)] == [16, 16, 16, 0, 0]
    assert needed(HALF_AAC, plain, 3, 4) == 0
    assert directives({"_HLS_msn": "4", "_HLS_part": "0", "_HLS_skip": "YES"}) == Directives(4, 0, True)


@pytest.mark.parametrize(
    ("name", "parsed"),
    [
        ("s0.m4s", (0, None)),
        ("s12p7.m4s", (12, 7)),
        ("s012.m4s", None),
        ("s1p.m4s", None),
        ("sp1.m4s", None),
        ("s1p01.m4s", None),
        ("s1p1", None),
        ("p1.m4s", None),
        ("s-1.m4s", None),
        ("s1p2p3.m4s", None),
        ("s99999999999.m4s", None),
        ("init.mp4", None),
    ],
)
def test_names(name, parsed):
    assert parse_name(name) == parsed


def test_the_text():
    report = m3u8.Report("../opus/live.m3u8", 2, 3)
    text = m3u8.media(live(HALF_AAC, 18).render(reports=(report,)))
    assert text.splitlines()[:8] == [
        "#EXTM3U",
        "#EXT-X-VERSION:9",
        "#EXT-X-TARGETDURATION:4",
        "#EXT-X-SERVER-CONTROL:CAN-BLOCK-RELOAD=YES,CAN-SKIP-UNTIL=24.00000,HOLD-BACK=12.00000,PART-HOLD-BACK=1.53600",
        "#EXT-X-PART-INF:PART-TARGET=0.51200",
        "#EXT-X-MEDIA-SEQUENCE:0",
        "#EXT-X-INDEPENDENT-SEGMENTS",
        '#EXT-X-MAP:URI="init.mp4"',
    ]
    assert text.splitlines()[-4:] == [
        '#EXT-X-PART:DURATION=0.51200,INDEPENDENT=YES,URI="s2p0.m4s"',
        '#EXT-X-PART:DURATION=0.49067,INDEPENDENT=YES,URI="s2p1.m4s"',
        '#EXT-X-PRELOAD-HINT:TYPE=PART,URI="s2p2.m4s"',
        '#EXT-X-RENDITION-REPORT:URI="../opus/live.m3u8",LAST-MSN=2,LAST-PART=3',
    ]
    assert "#EXT-X-PROGRAM-DATE-TIME:2023-11-14T22:13:20.490Z" in text


def test_the_playlist_of_playlists():
    text = m3u8.multivariant([m3u8.Variant("a/live.m3u8", "mp4a.40.2", 70_000, 66_000)])
    assert text.splitlines() == [
        "#EXTM3U",
        "#EXT-X-VERSION:7",
        "#EXT-X-INDEPENDENT-SEGMENTS",
        '#EXT-X-STREAM-INF:BANDWIDTH=70000,AVERAGE-BANDWIDTH=66000,CODECS="mp4a.40.2"',
        "a/live.m3u8",
    ]


@given(layouts, st.integers(1, 60), st.integers(0, 900), st.booleans())
def test_the_past_is_every_recorded_chunk_once_and_never_changes(layout, first_n, count, ended):
    past = Past(layout, first_n, first_n + count, ended)
    media = past.render()
    spans = [tuple(map(int, segment.uri.removesuffix(".m4s").split("-"))) for segment in media.segments]
    listed = [n for first, last in spans for n in range(first, last + 1)]
    assert listed == list(range(first_n, (past.last_n if ended else past.listed.last_n) + 1)) or not spans
    assert not spans or first_n + count - listed[-1] < (1 if ended else layout.segment_chunks)
    assert media.first_msn == (first_n - FIRST_N) // layout.segment_chunks and media.kind == "EVENT"
    assert m3u8.media(past.listed.render()) == m3u8.media(media)
    later = Past(layout, first_n, past.last_n + 3 * layout.segment_chunks, ended=True)
    if not ended:
        assert m3u8.media(later.render()).startswith(m3u8.media(media))


@given(layouts, st.integers(1, 60), st.integers(0, 900))
def test_segments_of_the_past_join_and_keep_to_the_target(layout, first_n, count):
    media = Past(layout, first_n, first_n + count, ended=True).render()
    assert all(round(segment.duration_s) <= media.target_s for segment in media.segments)
    for one, following in pairwise(media.segments):
        assert abs(one.began_ms + one.duration_s * 1000 - following.began_ms) <= 1.0 + 1e-6


def test_variants_are_what_hls_can_carry():
    listed = variants("", PAST_NAME, (OPUS, MP3, AAC))
    assert [(one.uri, one.codecs) for one in listed] == [("aac/dvr.m3u8", "mp4a.40.2"), ("opus/dvr.m3u8", "opus")]
