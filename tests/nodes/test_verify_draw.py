"""`stentor verify --draw`: a draw by the rules is said to be one, and each way to bend it is named."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from stentor.core import draw
from stentor.formats import merkle, ticket
from stentor.formats import now as now_format
from stentor.io.keys import Signer
from stentor.io.places import RECORD
from stentor.nodes import verify_draw

SECRET, BASE_S = bytes(range(32)), 2_000
PLACES = [(seq, 1_000 + seq) for seq in range(1, 60)]
Said = Callable[..., tuple[int, str]]


class Published:
    """A show's page as files, and what may be changed about it."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.signer = Signer(directory / "keys")
        self.draw: dict[str, Any] = {"commit": draw.commit(SECRET), "base_s": BASE_S, "key": SECRET.hex()}
        self.publish(PLACES)

    def publish(self, given: list[tuple[int, int]], **changes: object) -> None:
        """Publish these places as drawn, with a root of theirs unless `changes` of `draw` have another."""
        records = [RECORD.pack(*place) for place in given]
        (self.directory / "places").write_bytes(b"".join(records))
        self.draw |= {"root": merkle.root(records).hex(), "places": len(given)} | changes
        fields = {"v": 1, "show": "friday", "title": "Friday", "draw": self.draw}
        (self.directory / "now").write_text(now_format.sign(fields, self.signer.public_key, self.signer.sign))


@pytest.fixture
def page(tmp_path: Path) -> Published:
    return Published(tmp_path)


@pytest.fixture
def said(page: Published, capsys: pytest.CaptureFixture[str]) -> Said:
    def run(**options: Any) -> tuple[int, str]:
        code = verify_draw.main(str(page.directory), **options)
        captured = capsys.readouterr()
        return code, captured.out + captured.err

    return run


def place(seq: int, issued: int, show: str = "friday") -> str:
    cls = ticket.Class.DRAWN if issued < BASE_S else ticket.Class.LATE
    return ticket.mint(
        ticket.Token(ticket.Kind.PLACE, ticket.show_tag(show), cls, seq, issued, 0, 2**32 - 1), b"k" * 32
    )


def test_a_draw_by_the_rules(page: Published, said: Said) -> None:
    key = page.signer.public_key.hex()
    code, text = said(place=place(7, 1_007), commit=draw.commit(SECRET).upper(), key=key)
    assert code == 0 and text.endswith("OK\n") and "the key that was given" in text
    ranks = sorted((draw.rank(draw.draw_key(SECRET), *item, BASE_S), item[0]) for item in PLACES)
    position = [seq for _, seq in ranks].index(7) + 1
    assert f"{position} of {len(PLACES)}" in text and "the operator's word" in text
    report = json.loads(said(json=True, place=place(7, 1_007))[1])
    assert report["ok"] and report["values"]["position"] == position and not report["values"]["key_known"]


def test_over_http(page: Published, capsys: pytest.CaptureFixture[str]) -> None:
    handler = partial(SimpleHTTPRequestHandler, directory=str(page.directory))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_address[1]}/"
        assert verify_draw.main(url) == 0
        (page.directory / "places").unlink()
        assert verify_draw.main(url) == 2 and "404" in capsys.readouterr().err
        server.shutdown()


class _Paged(SimpleHTTPRequestHandler):
    """Gives the places ten at a time, as a door does with many."""

    def do_GET(self) -> None:
        path, _, query = self.path.partition("?from=")
        if path != "/places":
            super().do_GET()
            return
        first = int(query or 0)
        records = Path(self.directory, "places").read_bytes()
        body = records[first * RECORD.size :][: 10 * RECORD.size]
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        if (first + 10) * RECORD.size < len(records):
            self.send_header("Link", f'</places?from={first + 10}>; rel="next"')
        self.end_headers()
        self.wfile.write(body)


def test_places_that_come_in_pages(page: Published, capsys: pytest.CaptureFixture[str]) -> None:
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(_Paged, directory=str(page.directory))) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        assert verify_draw.main(f"http://127.0.0.1:{server.server_address[1]}", json=True) == 0
        assert json.loads(capsys.readouterr().out)["values"]["places"] == len(PLACES)
        server.shutdown()


def test_a_forged_root(page: Published, said: Said) -> None:
    page.publish(PLACES, root="00" * 32)
    code, text = said()
    assert code == 1 and "Merkle root is another" in text


def test_a_place_that_was_left_out(page: Published, said: Said) -> None:
    page.publish(PLACES[:6] + PLACES[7:])
    assert said()[0] == 0, "nothing else shows it"
    code, text = said(place=place(7, 1_007))
    assert code == 1 and "place 7 came before the draw, and is not in the log" in text
    page.publish(PLACES, places=60)
    assert "where 60 were drawn" in said()[1]


def test_another_secret(page: Published, said: Said) -> None:
    page.publish(PLACES, key=bytes(32).hex())
    code, text = said()
    assert code == 1 and "K is not what was committed to" in text
    page.publish(PLACES, key=bytes(32).hex(), commit=draw.commit(bytes(32)))
    assert said()[0] == 0, "only who noted the commit knows"
    code, text = said(commit=draw.commit(SECRET))
    assert code == 1 and "something else was committed to" in text


def test_a_beacon(page: Published, said: Said) -> None:
    page.publish(PLACES, beacon_name="round 7", beacon="abc")
    assert "round 7: abc" in said()[1]
    page.publish(PLACES, beacon="")
    code, text = said()
    assert code == 1 and "(round 7) was not used" in text


def test_a_log_against_the_rules(page: Published, said: Said) -> None:
    page.publish([*PLACES, (99, BASE_S)])
    assert "given out after the draw" in said()[1]
    page.publish([PLACES[0], *PLACES])
    assert "holds a place twice" in said()[1]


def test_a_changed_now_and_another_signer(page: Published, said: Said) -> None:
    path = page.directory / "now"
    path.write_text(path.read_text().replace("Friday", "Monday"))
    assert (said()[0], "signature of `now` is not good" in said()[1]) == (1, True)
    page.publish(PLACES)
    assert "of another key" in said(key="ab" * 32)[1]


def test_a_place_of_another_kind(page: Published, said: Said) -> None:
    assert "of another show" in said(place=place(7, 1_007, show="monday"))[1]
    code, text = said(place=place(777, BASE_S + 3))
    assert code == 0 and "it came after the draw" in text
    code, text = said(place="x" * 64)
    assert code == 2 and "not the token of a place" in text


def test_nothing_to_check(page: Published, said: Said) -> None:
    page.publish(PLACES, root="")
    assert said() == (2, "verify: no draw has been made for this show (yet)\n")
    page.publish(PLACES, base_s="soon")
    assert said()[0] == 2
    (page.directory / "now").write_text("{}")
    assert said()[0] == 2
    (page.directory / "now").unlink()
    assert said()[0] == 2
