"""The end of a long show, and its tape: `python bench/archive.py [--hours 3] [--rounds 5] [--directory DIR]` -> JSON.

Everything is asked of processes of its own, over HTTP where the public asks so. A tape of the wanted length is made
first; the pages of all files are in memory, as they are when a show has just ended.

end_*    The tape grows before a running archive that follows the show on stage: ten blocks, one a second, then ten
         seconds at the pace of a show, then the end. From the moment the end is on disk: until Chromium, whose page
         asks at once, says that the replay plays; and, asked in the same moment by curl, until the first byte and the
         last of the .m4a.
cold_*   From asking an archive that was just started, and has never seen the show, until first and last byte.
verify_* `stentor verify` of the tape, and of the .m4a with its proof, from the start of the interpreter to its exit,
         and the CPU time of both cores, which says more where the machine is busy.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import resource
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from playwright.sync_api import Page, sync_playwright

from stentor.core import hold
from stentor.core.tape import TapeWriter
from stentor.formats import chunks, tapemeta
from stentor.io.board import Board
from stentor.io.codec import make_holds
from stentor.model import board
from stentor.model.grid import FIRST_N, SAMPLE_RATE, Grid
from stentor.settings import Settings, to_environ
from support import figures
from support.processes import BenchError, alone, free_port, wait_for_port

SHOW = "bench"
CHUNK_SAMPLES = 24_000
CHUNK_S = CHUNK_SAMPLES / SAMPLE_RATE
PACED_CHUNKS = 20
BLOCKS, BLOCK_S = 10, 1.0
ASK_AGAIN_S = 0.02
PLAY_S_MAX = 60.0
STENTOR = (sys.executable, "-m", "stentor.cli")
CHROMIUM = ("/usr/bin/chromium", ["--no-sandbox", "--disable-gpu", "--autoplay-policy=no-user-gesture-required"])
PLAY = """(url) => new Promise((resolve, reject) => {
  const audio = new Audio(url);
  audio.addEventListener("playing", () => resolve(audio.duration), { once: true });
  audio.addEventListener("error", () => reject(new Error(audio.error.message)), { once: true });
  audio.play();
})"""


@dataclass(frozen=True, slots=True)
class Recording:
    """A tape in pieces: what a show had written ten seconds before its end, the records since, and its end."""

    body: Path
    paced: list[bytes]
    end: bytes

    @property
    def bytes(self) -> int:
        return self.body.stat().st_size + sum(map(len, self.paced)) + len(self.end)


def record(body: Path, seconds: float) -> Recording:
    """A tape of noise that repeats every few seconds, in all renditions."""
    key, t0_ns = Ed25519PrivateKey.generate(), time.time_ns()
    meta = tapemeta.SegmentMeta(
        tapemeta.VERSION, SHOW, "Bench", 0, t0_ns, CHUNK_SAMPLES, SAMPLE_RATE, FIRST_N,
        key.public_key().public_bytes_raw().hex(), tapemeta.rendition_metas(),
    )  # fmt: skip
    noise = np.random.default_rng(1).standard_normal(hold.LOOP_SAMPLES).astype(np.float32) / 10
    sound = make_holds(noise)
    writer = TapeWriter.begin(meta, make_holds(hold.loop()))
    stop = FIRST_N + round(seconds / CHUNK_S)
    with body.open("wb") as file:
        file.write(writer.open_segment())
        for n in range(FIRST_N, stop - PACED_CHUNKS):
            file.write(writer.add_chunk(_chunk(sound, meta.grid, n)))
    paced = [writer.add_chunk(_chunk(sound, meta.grid, n)) for n in range(stop - PACED_CHUNKS, stop)]
    return Recording(body, paced, writer.add_end(t0_ns, key.sign))


def _chunk(sound: dict[int, chunks.Hold], grid: Grid, n: int) -> dict[int, bytes | None]:
    return {rendition_id: loop.chunk(grid, n) for rendition_id, loop in sound.items()}


@contextlib.contextmanager
def archive(settings: Settings) -> Iterator[str]:
    """A `stentor archive`; -> the address of the show there."""
    process = subprocess.Popen([*STENTOR, "archive"], env=os.environ | to_environ(settings))
    try:
        wait_for_port(settings.archive_port, process)
        yield f"http://127.0.0.1:{settings.archive_port}/archive/{SHOW}"
    finally:
        process.terminate()
        process.wait()


def download(url: str, to: Path | str = "/dev/null") -> tuple[float, float]:
    """Ask until the file is there; -> seconds from the first question to the first byte, and to the last."""
    began = time.perf_counter()
    argv = ["curl", "-s", "-o", str(to), "-w", "%{http_code} %{time_starttransfer} %{time_total}", url]
    while True:
        asked = time.perf_counter() - began
        code, first_s, total_s = subprocess.run(argv, capture_output=True, text=True, check=True).stdout.split()
        if code == "200":
            return asked + float(first_s), asked + float(total_s)
        if code != "404" or asked > PLAY_S_MAX:
            raise BenchError(f"{url}: {code}")
        time.sleep(ASK_AGAIN_S)


@contextlib.contextmanager
def page_of(url: str) -> Iterator[Page]:
    """A page of the archive's own origin."""
    path, flags = CHROMIUM
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, headless=True, args=flags)
        page = browser.new_page()
        page.set_default_timeout(PLAY_S_MAX * 1000)
        page.route("**/page", lambda route: route.fulfill(content_type="text/html", body="<!doctype html>"))
        page.goto(f"{url}/page")
        yield page
        browser.close()


def grow(recording: Recording, tape: Path) -> None:
    """Write all but the end, as described above."""
    body = recording.body.read_bytes()
    with tape.open("wb") as file:
        for part in range(BLOCKS):
            file.write(body[len(body) * part // BLOCKS : len(body) * (part + 1) // BLOCKS])
            file.flush()
            time.sleep(BLOCK_S)
        for chunk in recording.paced:
            _append(file.fileno(), chunk)
            time.sleep(CHUNK_S)


def _append(file: int, data: bytes) -> None:
    os.write(file, data)
    os.fdatasync(file)


def the_end(recording: Recording, settings: Settings) -> dict[str, float]:
    """One show to its end, before an archive that follows it."""
    tape = settings.data_dir / "shows" / SHOW / "tape" / "0000.tape"
    tape.parent.mkdir(parents=True)
    Board(settings.board_dir).put("stage", board.Stage(0, show=SHOW, live_n=FIRST_N))
    fetched: list[tuple[float, float]] = []
    with archive(settings) as url, page_of(url) as page:
        grow(recording, tape)
        with tape.open("ab") as file:
            _append(file.fileno(), recording.end)
        ended = time.perf_counter()
        curl = threading.Thread(target=lambda: fetched.append(download(f"{url}/replay.m4a")))
        curl.start()
        page.evaluate(PLAY, f"{url}/replay.m4a")
        playing_s = time.perf_counter() - ended
        curl.join()
    ((first_s, last_s),) = fetched
    return {"end_playing_s": playing_s, "end_m4a_first_byte_s": first_s, "end_m4a_s": last_s}


def cold(settings: Settings, to: Path | str = "/dev/null") -> dict[str, float]:
    """A download from an archive that does not know the show."""
    Board(settings.board_dir).drop("stage")
    with archive(settings) as url:
        first_s, last_s = download(f"{url}/replay.m4a", to)
        download(f"{url}/proof/aac.json", settings.data_dir / "aac.json")
    return {"cold_m4a_first_byte_s": first_s, "cold_m4a_s": last_s}


def verify(name: str, *words: object) -> dict[str, float]:
    """Seconds of a `stentor verify` that finds nothing wrong, and of CPU on all cores."""
    began, before = time.perf_counter(), _children_cpu_s()
    subprocess.run([*STENTOR, "verify", *map(str, words)], stdout=subprocess.DEVNULL, check=True)
    return {f"verify_{name}_s": time.perf_counter() - began, f"verify_{name}_cpu_s": _children_cpu_s() - before}


def _children_cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def one_round(recording: Recording, scratch: Path) -> dict[str, float]:
    with tempfile.TemporaryDirectory(dir=scratch) as data, tempfile.TemporaryDirectory(dir="/dev/shm") as run:
        settings = Settings(data_dir=Path(data), run_dir=Path(run), archive_port=free_port())
        taken = the_end(recording, settings)
        replay, proof = Path(data, "replay.m4a"), Path(data, "aac.json")
        taken |= cold(settings, replay)
        taken |= verify("tape", settings.data_dir / "shows" / SHOW / "tape")
        taken |= verify("file", replay, "--proof", proof)
    return taken


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--hours", type=float, default=3.0)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--directory", type=Path, help="where tapes are made (twice 130 MB an hour)")
    arguments = parser.parse_args()
    with alone(), tempfile.TemporaryDirectory(dir=arguments.directory) as scratch:
        os.sched_setaffinity(0, range(os.cpu_count() or 1))
        before = figures.machine()
        recording = record(Path(scratch, "body"), arguments.hours * 3600)
        rounds = [one_round(recording, Path(scratch)) for _ in range(arguments.rounds)]
        taken = {name: figures.median([one[name] for one in rounds]) for name in rounds[0]}
        made = {"hours": arguments.hours, "tape_bytes": recording.bytes}
    print(json.dumps({"machine": before, **made, **taken}, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
