"""The usher's shield: from datagrams to a verdict on the board and rules that workers read."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from msgspec.structs import replace as changed

from stentor.core.rules import Change
from stentor.core.usher import shield_fields
from stentor.core.verdict import Judgement, Suspect
from stentor.core.witness import Witness
from stentor.formats import blocked, evidence
from stentor.formats.blocked import DROP, FAVOUR, Block
from stentor.formats.evidence import key_of
from stentor.io.board import Board
from stentor.io.post import Sender
from stentor.model import board
from stentor.nodes.guard import rules_path, shut_out
from stentor.nodes.usher_shield import UsherShield
from stentor.settings import Settings
from support.running import until


class Post:
    """Workers that tell, and what the usher makes of it."""

    def __init__(self, base: Path) -> None:
        self.settings = replace(Settings(), data_dir=base / "data", run_dir=base / "run", shield_kernel="off")
        self.board = Board(self.settings.board_dir)
        self.desk(board.Show("friday", "Friday", 2, 1))
        self.board.put("edge-0", board.Edge(at_ms=2**53))
        self.heard: list[Change] = []
        self.shield = UsherShield(self.settings, self.board, self.heard.extend)
        self.shield.start()
        self._sender, self._witness = Sender(self.settings.shield_socket), Witness(evidence.DOOR, 0)
        until(self.settings.shield_socket.exists, "the usher hears")

    def desk(self, show: board.Show) -> None:
        self.board.put("desk", board.Desk(1, (show,)))

    def tell(self) -> None:
        """One more quarter of a second of an attack, among people who listen."""
        for number in range(40):
            self._witness.count(f"10.1.0.{number}", "live")
            self._witness.count(f"10.1.0.{number}", "completed")
            self._witness.count(f"10.9.0.{number}", "forged", 3)
        for data in self._witness.flush(0):
            self._sender.send(data)

    def listen(self, source: str) -> None:
        """Somebody hears a show from there."""
        self._witness.count(source, "completed")
        for data in self._witness.flush(0):
            self._sender.send(data)

    def said(self) -> board.Shield:
        return self.board.get("shield", board.Shield) or board.Shield(0)

    def under_attack(self) -> bool:
        self.tell()
        return self.said().verdict is board.Verdict.ATTACK

    def close(self) -> None:
        self._sender.close()
        self.shield.stop()


@pytest.fixture
def post(tmp_path: Path) -> Iterator[Post]:
    made = Post(tmp_path)
    yield made
    made.close()


def test_an_attack_is_on_the_board_and_who_makes_it_is_shut_out(post: Post) -> None:
    until(lambda: post.said().at_ms, "the usher judges")
    assert post.said().verdict is board.Verdict.CALM and post.said().drops_by == "workers: shield_kernel is off"
    until(post.under_attack, "the attack is seen")
    until(lambda: post.tell() or len(shut_out(post.settings)) == 40, "its addresses are shut out")
    rules = post.board.get("rules", board.Rules)
    assert rules is not None and {rule.target for rule in rules.rules} == {f"10.9.0.{n}/32" for n in range(40)}
    told = shield_fields(post.said(), post.said().at_ms)["verdict"]
    assert told["verdict"] == "attack" and told["level"] == 3
    assert any("40 addresses did what no player does" in words for words in told["words"])
    assert not any("10.9.0" in words for words in told["words"]), "nobody's address is told to everybody"
    assert shield_fields(post.said(), post.said().at_ms + 60_000) == {}
    assert {change.what for change in post.heard} == {"made", "enforced"}, "the ledger hears of it"


def test_the_crew_releases_one_and_orders_a_dry_run(post: Post) -> None:
    until(post.under_attack, "the attack is seen")
    until(lambda: post.tell() or len(shut_out(post.settings)) == 40, "its addresses are shut out")
    show = board.Show("friday", "Friday", 2, 1, released=("10.9.0.7/32",))
    post.desk(show)
    until(lambda: post.tell() or len(shut_out(post.settings)) == 39, "one is released")
    assert "10.9.0.7/32" not in shut_out(post.settings)
    post.desk(changed(show, dry_run=True))
    until(lambda: post.tell() or (post.said().dry_run and not shut_out(post.settings)), "nobody is shut out")


def test_no_rule_is_made_against_this_machine_or_a_listed_proxy(tmp_path: Path) -> None:
    """All who come by it would be shut out."""
    proxies = "192.0.2.0/24, 2001:db8:7::/48"
    settings = replace(Settings(), run_dir=tmp_path / "run", shield_kernel="off", trusted_proxies=proxies)
    shield = UsherShield(settings, Board(settings.board_dir), lambda changes: None)
    sources = ("127.0.0.1", "::1", "192.0.2.9", "2001:db8:7:1::5", "10.9.0.7", "2001:db8:9::1")
    suspects = tuple(Suspect(key_of(source), ("completion",), 66, 0.999, "66 in 10 s") for source in sources)
    judged = Judgement(1, board.Verdict.ATTACK, 1, (), suspects, 6, 66, 0, frozenset(), frozenset())
    shield._judge.receive = lambda picture, **_: judged
    shield.tick()
    rules = Board(settings.board_dir).get("rules", board.Rules)
    assert rules is not None and {rule.target for rule in rules.rules} == {"10.9.0.7/32", "2001:db8:9::/64"}


def test_the_next_usher_goes_on_with_the_rules_of_the_last(post: Post, tmp_path: Path) -> None:
    until(post.under_attack, "the attack is seen")
    until(lambda: post.tell() or len(shut_out(post.settings)) == 40, "its addresses are shut out")
    post.shield.stop()
    before = post.said()
    post.shield = UsherShield(post.settings, post.board, post.heard.extend)
    post.shield.start()
    until(lambda: post.said().at_ms > before.at_ms, "the next one judges")
    assert post.said().rules == 40
    assert post.said().verdict is board.Verdict.CALM, "nothing was seen by this one yet"


def test_a_socket_that_cannot_be_had_is_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stentor.nodes.usher_shield.AGAIN_S", 0.05)
    settings = replace(Settings(), data_dir=tmp_path / "data", run_dir=tmp_path / "run", shield_kernel="off")
    settings.shield_socket.mkdir(parents=True)
    values = Board(settings.board_dir)
    shield = UsherShield(settings, values, [].extend)
    shield.start()
    time.sleep(0.2)
    assert values.get("shield", board.Shield) is None
    settings.shield_socket.rmdir()
    until(lambda: values.get("shield", board.Shield), "it judges")
    shield.stop()


def test_the_next_usher_goes_on_with_rules_that_the_board_has_no_room_for(tmp_path: Path) -> None:
    settings = replace(Settings(), data_dir=tmp_path / "data", run_dir=tmp_path / "run", shield_kernel="off")
    until_ms = time.time_ns() // 1_000_000 + 60_000
    left = {key_of(f"10.9.{number >> 8}.{number & 255}"): Block(DROP, until_ms) for number in range(1_000)}
    settings.run_dir.mkdir()
    rules_path(settings).write_bytes(blocked.encode(0, left | {key_of("10.1.0.1"): Block(FAVOUR, until_ms)}))
    values = Board(settings.board_dir)
    values.put("rules", board.Rules(1, 1, (board.Rule("r7", "drop", "10.9.0.0/32", 1, until_ms, 2, why="x"),)))
    shield = UsherShield(settings, values, [].extend)
    shield.start()
    until(lambda: values.get("shield", board.Shield), "it judges")
    shield.stop()
    said = values.get("shield", board.Shield)
    assert said is not None and (said.rules, len(shut_out(settings))) == (1_000, 1_000)


def test_what_the_crew_wants_counts_until_its_show_is_over(post: Post) -> None:
    """Nothing about a show that is over changes any more: its siege would have no end."""
    post.desk(board.Show("friday", "Friday", 2, 1, siege=True))
    until(lambda: post.said().siege, "the siege begins")
    post.board.put("ended-friday", board.Stage(1, show="friday", phase=board.Phase.ENDED))
    until(lambda: not post.said().siege, "it is over with its show")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"shield_kernel": "off"}, "shield_kernel is off"),
        ({"proxy_protocol": True}, "sees only the proxy"),
        ({"trusted_proxies": "192.0.2.0/24"}, "sees only the proxy"),
    ],
)
def test_where_the_kernel_does_not_help_it_is_said(tmp_path: Path, changes: dict[str, object], words: str) -> None:
    settings = replace(Settings(), data_dir=tmp_path / "data", run_dir=tmp_path / "run", **changes)
    shield = UsherShield(settings, Board(settings.board_dir), lambda changes: None)
    shield.tick()
    told = Board(settings.board_dir).get("shield", board.Shield)
    assert told is not None and told.drops_by.startswith("workers: ") and words in told.drops_by


def test_a_door_without_time_in_an_attack_is_a_siege(post: Post, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stentor.core.rules.BUSY_MS", 500)
    door = board.Door(2**53, cpu=0.97)
    post.board.put("door-0", changed(door, cpu=0.5))
    until(post.under_attack, "the attack is seen")
    assert post.said().level == 3
    post.board.put("door-0", door)
    until(lambda: post.tell() or post.said().level == 4, "the siege begins")


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """An usher whose minute is two seconds."""
    monkeypatch.setattr("stentor.core.rules.LEAVE_MS", 2_000)
    monkeypatch.setattr("stentor.core.pressure.SPAN_MS", 250)
    monkeypatch.setattr("stentor.core.verdict.QUIET_MS", 250)
    monkeypatch.setattr("stentor.core.evidence.WINDOW_MS", 2_000)


def test_rules_live_on_while_much_is_refused_and_end_with_it(hasty: None, post: Post) -> None:
    until(post.under_attack, "the attack is seen")
    until(lambda: post.tell() or len(shut_out(post.settings)) == 40, "its addresses are shut out")
    blocked_so_far = 0

    def goes_on() -> bool:
        nonlocal blocked_so_far
        blocked_so_far += 100
        post.board.put("edge-0", board.Edge(at_ms=2**53, blocked=blocked_so_far))
        return post.said().verdict is board.Verdict.CALM

    until(goes_on, "nothing of it is seen any more")
    calm_ms = post.said().at_ms
    until(lambda: goes_on() and post.said().at_ms > calm_ms + 3_000, "it is refused for a while")
    assert len(shut_out(post.settings)) == 40
    until(lambda: not post.said().rules, "the rules end")
    assert post.heard[-1].what == "over"


def test_where_many_listen_from_lately_no_rule_is_enforced(post: Post) -> None:
    for _ in range(5):
        post.listen("10.9.0.7")
    until(lambda: post.shield._gathered.places, "it is a place of many")
    until(post.under_attack, "the attack is seen")
    until(lambda: post.tell() or len(shut_out(post.settings)) == 39, "the others are shut out")
    assert "10.9.0.7/32" not in shut_out(post.settings)
