"""One evening for every stock player at once: titles that follow who speaks, the death of the studio, the replay."""

from __future__ import annotations

import re
import time
import wave
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest

from support.onair import OnAir
from support.players import PLAYERS, SAMPLE_RATE, TITLES_ONLY, Player, Playing, offsets_s
from support.running import Running, installation, until

pytestmark = pytest.mark.scenario
TITLE = "An evening's talk"  # of every show of `OnAir`
LIVE = {  # what is asked for: from the door, or from the edge with a ticket
    "listen.m3u": "vlc",
    "listen.pls": "mpv",
    "listen.mp3": "ffmpeg gstreamer",
    "aac": "vlc mpv ffmpeg gstreamer",
    "opus": "vlc mpv ffmpeg gstreamer",
    "index.m3u8": "vlc mpv ffmpeg gstreamer",
}
PAST = ("replay.mp3", "replay.m4a", "replay.opus", "dvr.m3u8")
JOINED_CHUNKS = 5  # a speaker who connects while the machine is busy may lose a second of what came in a lump
BURST_CHUNKS = 10  # and more than an edge gives
STARTS_S_MAX, TITLE_S_MAX = 20.0, 20.0  # how long the evening waits for a player that will not do what it should
VOICE, QUIET = 0.02, 0.01  # RMS of half a second with the time code, and of one without
HALF = SAMPLE_RATE // 2
# By so much a speaker may come later or sooner after the studio died: they connect anew, and the machine may be busy. A
# chunk that is left out, or comes twice, is more.
JOINT_S = 0.45


def live_of(kind: str) -> list[tuple[str, str]]:
    return [(player, what) for what, players in LIVE.items() for player in players.split() if kind in what]


TITLED = [(player.replace("mpv", "mpv in time"), what) for player, what in live_of("listen")]


class Evening:
    """What each player heard, by (player, what it was given). Gone through once for all tests."""

    def __init__(self, running: Running, stack: ExitStack, tmp: Path) -> None:
        self._tmp, self._stack = tmp, stack
        self.on_air = OnAir(running, stack, tmp)
        self.on_air.speak(self.on_air.made.crew_link)
        self.on_air.airs(JOINED_CHUNKS)
        self.steady_n = self.on_air.stage().n
        self.on_air.airs(BURST_CHUNKS - JOINED_CHUNKS)  # what a player is given at once is to be the voice
        self.heard: dict[tuple[str, str], Playing] = {}
        for player, what in live_of(""):
            self._play(PLAYERS[player], (player, what), self._live_url(what))
        self._settle(lambda: all(playing.seconds > 2 for playing in self.heard.values()), STARTS_S_MAX)
        self.begun_n = self.on_air.stage().n
        self._play(TITLES_ONLY, ("mpv in time", "listen.pls"), self._live_url("listen.pls"))
        self._settle(lambda: self._shown(f"Host - {TITLE}"), TITLE_S_MAX)
        self.on_air.speak(self.on_air.made.guest_links["Guest"], str(_murmur(tmp / "guest.wav")))
        self._settle(lambda: self._shown(f"Host, Guest - {TITLE}"), TITLE_S_MAX)
        pid = running.back("studio", running.kill("studio"))
        until(lambda: self.on_air.stage().pid == pid and len(self.on_air.stage().speakers) == 2, "both are back")
        self.on_air.airs(8)
        self.on_air.end()
        self.end_n = self.on_air.stage().end_n
        self._end()
        for player in PLAYERS:
            for what in PAST:
                url = running.url("archive", f"/archive/{self.on_air.made.show}/{what}")
                self._play(PLAYERS[player], (player, what), url)
            self._end()

    def _live_url(self, what: str) -> str:
        door = self.on_air.running.url("door", f"/s/{self.on_air.made.show}/{what}")
        return door if what.startswith("listen.") else self.on_air.mount(what)

    def _play(self, player: Player, key: tuple[str, str], url: str) -> None:
        if not player.missing:
            playing = self.heard[key] = Playing(player, url, self._tmp, "-".join(key))
            self._stack.callback(playing.end, 0.0)

    def _settle(self, condition: Callable[[], bool], within_s: float) -> None:
        """Wait for all players; those that do not come so far are the tests' business."""
        deadline = time.monotonic() + within_s
        while not condition() and time.monotonic() < deadline:
            time.sleep(0.05)

    def _shown(self, title: str) -> bool:
        return all(title in self.heard[key].titles for key in TITLED if key in self.heard)

    def _end(self) -> None:
        with ThreadPoolExecutor(len(self.heard)) as pool:
            list(pool.map(Playing.end, self.heard.values()))

    def of(self, player: str, what: str) -> Playing:
        if (player, what) not in self.heard:
            pytest.skip(PLAYERS.get(player, TITLES_ONLY).missing)
        return self.heard[player, what]


def _murmur(path: Path) -> Path:
    """A second speaker whose voice leaves the time code readable."""
    samples = 0.01 * np.sin(2 * np.pi * 300 * np.arange(60 * SAMPLE_RATE) / SAMPLE_RATE)
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, SAMPLE_RATE, 0, "NONE", ""))
        file.writeframes((32767 * samples).astype("<i2").tobytes())
    return path


@pytest.fixture(scope="module")
def evening(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Evening]:
    tmp = tmp_path_factory.mktemp("players")
    with installation(tmp) as running, ExitStack() as stack:
        running.start()
        yield Evening(running, stack, tmp)


def by_half_second(audio: np.ndarray) -> np.ndarray:
    """RMS of each half second."""
    count = len(audio) // HALF
    return np.sqrt(np.mean(audio[: count * HALF].reshape(count, HALF) ** 2, axis=1))


@pytest.mark.parametrize(("player", "what"), live_of(""))
def test_the_show_goes_on_through_the_death_of_the_studio(evening: Evening, player: str, what: str) -> None:
    """Voice, hold, voice; nothing left out or added but what the speaker's new connection takes; the end is the end."""
    playing = evening.of(player, what)
    audio = playing.audio()
    heard = "".join("v" if rms > VOICE else "." if rms < QUIET else "-" for rms in by_half_second(audio))
    assert re.search(r"v{8}.*\..*v{4}", heard), (heard, playing.log[-3000:])
    aired_s = (evening.end_n - evening.begun_n) * 0.5
    assert len(audio) / SAMPLE_RATE >= aired_s, "it heard all from when it had begun to the end"
    steady = round((evening.end_n - evening.steady_n) * 0.5 * SAMPLE_RATE)  # HLS goes back to before the speaker came
    assert np.abs(offsets_s(audio[-steady:])).max() < JOINT_S
    assert playing.by_itself, playing.log[-3000:]


@pytest.mark.parametrize(("player", "what"), TITLED)
def test_titles_name_who_speaks(evening: Evening, player: str, what: str) -> None:
    titles = evening.of(player, what).titles
    named = [f"Host - {TITLE}", f"Host, Guest - {TITLE}"]
    assert [title for title in titles if title in named] == named, titles


@pytest.mark.parametrize("what", PAST)
@pytest.mark.parametrize("player", PLAYERS)
def test_the_replay_plays_from_its_first_second_to_its_last(evening: Evening, player: str, what: str) -> None:
    playing = evening.of(player, what)
    audio = playing.audio()
    taped = evening.on_air.taped().reader
    assert taped.meta is not None
    recorded_s = (evening.end_n - taped.meta.first_n) * 0.5
    assert len(audio) / SAMPLE_RATE == pytest.approx(recorded_s, abs=0.2), playing.log[-3000:]
    loud = by_half_second(audio)
    assert loud[:3].max() > VOICE and loud[-3:].max() > VOICE, loud.round(3)
    assert playing.by_itself, playing.log[-3000:]
