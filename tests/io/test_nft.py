"""The kernel's sets, by real `nft` in a network namespace of the test's own."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from stentor.io import nft
from support import netns
from support.netns import ENVIRON, Cable, entered
from support.running import until

pytestmark = pytest.mark.skipif(bool(netns.missing()), reason=netns.missing())
NOW = 1_000


@pytest.fixture
def kernel() -> Iterator[nft.Kernel]:
    with ExitStack() as stack:
        stack.enter_context(entered(Cable(stack).house))
        made = nft.Kernel((8000, 8001))
        yield made
        made.close()


def listed(*what: str) -> list[dict[str, Any]]:
    done = subprocess.run(["nft", "-j", "list", *what], env=ENVIRON, capture_output=True, text=True, check=True)
    return list(json.loads(done.stdout)["nftables"])


def elements(name: str) -> set[str]:
    found = next(item["set"] for item in listed("set", "inet", nft.TABLE, name) if "set" in item)
    return {one["elem"]["val"] for one in found.get("elem", [])}


def test_the_sets_hold_what_is_wanted_and_nobody_else(kernel: nft.Kernel) -> None:
    kernel.apply({"203.0.113.7/32": NOW + 60, "2001:db8::/64": NOW + 60}, NOW)
    assert (elements(nft.FOUR), elements(nft.SIX)) == ({"203.0.113.7"}, {"2001:db8::"})
    kernel.apply({"203.0.113.8/32": NOW + 60, "2001:db8::/64": NOW + 900}, NOW + 1)
    assert (elements(nft.FOUR), elements(nft.SIX)) == ({"203.0.113.8"}, {"2001:db8::"})
    kernel.apply({}, NOW + 2)
    assert not elements(nft.FOUR) and not elements(nft.SIX)


def test_nothing_is_made_before_somebody_is_to_be_shut_out(kernel: nft.Kernel) -> None:
    kernel.apply({}, NOW)
    assert not [item for item in listed("tables") if "table" in item]


def test_a_table_that_somebody_has_taken_away_is_made_anew(kernel: nft.Kernel) -> None:
    kernel.apply({"203.0.113.7/32": NOW + 60}, NOW)
    subprocess.run(["nft", "delete", "table", "inet", nft.TABLE], env=ENVIRON, check=True)
    kernel.apply({"203.0.113.7/32": NOW + 60, "203.0.113.8/32": NOW + 60}, NOW + 1)
    assert elements(nft.FOUR) == {"203.0.113.7", "203.0.113.8"}


def test_what_is_bad_is_said_and_the_rest_is_carried_out(kernel: nft.Kernel) -> None:
    kernel.want({"nobody/32": NOW + 60}, NOW)
    until(lambda: kernel.problem, "the kernel refuses")
    kernel.want({"203.0.113.9/32": NOW + 60}, NOW)
    until(lambda: not kernel.problem, "the kernel takes it")
    assert elements(nft.FOUR) == {"203.0.113.9"}


def test_one_bad_element_does_not_lose_the_batch(kernel: nft.Kernel) -> None:
    good = {f"10.0.{number >> 8}.{number & 255}/32": NOW + 60 for number in range(1_000)}
    kernel.want({**good, "nobody/32": NOW + 60}, NOW)
    until(lambda: kernel.problem, "the kernel refuses one")
    assert len(elements(nft.FOUR)) == 1_000 and "1 of 1001" in kernel.problem
    kernel.want(good, NOW + 1)
    until(lambda: not kernel.problem, "nothing is refused any more")
    assert len(elements(nft.FOUR)) == 1_000


@pytest.mark.parametrize(
    "what", [("delete", "table"), ("flush", "table"), ("flush", "set", nft.FOUR), ("flush", "set", nft.SIX)]
)
def test_a_table_taken_away_or_emptied_is_noticed_though_nobody_else_is_shut_out(
    kernel: nft.Kernel, what: tuple[str, ...]
) -> None:
    wanted = {"203.0.113.7/32": NOW + 60, "203.0.113.8/32": NOW + 2, "2001:db8::/64": NOW + 60}
    kernel.apply(wanted, NOW)
    subprocess.run(["nft", *what[:2], "inet", nft.TABLE, *what[2:]], env=ENVIRON, check=True)
    kernel.apply(wanted, NOW + nft.LOOK_S)
    assert elements(nft.FOUR) >= {"203.0.113.7"} and elements(nft.SIX) == {"2001:db8::"}
    assert len([item for item in listed("table", "inet", nft.TABLE) if "rule" in item]) == 4


def test_packets_to_the_public_ports_are_not_tracked_and_the_table_goes_with_its_maker(kernel: nft.Kernel) -> None:
    kernel.want({"203.0.113.7/32": NOW + 60}, NOW)
    until(lambda: any("table" in item for item in listed("tables")), "the table is there")
    rules = [item["rule"]["expr"] for item in listed("table", "inet", nft.TABLE) if "rule" in item]
    assert sum({"notrack": None} in expr for expr in rules) == 2
    chains = [item["chain"] for item in listed("table", "inet", nft.TABLE) if "chain" in item]
    assert {(chain["hook"], chain["prio"]) for chain in chains} == {("prerouting", -300), ("output", -300)}
    kernel.close()
    assert not [item for item in listed("tables") if "table" in item]


def test_why_the_kernel_cannot_be_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nft, "PATH", "/nowhere")
    assert "not installed" in nft.unavailable()
    monkeypatch.setattr(nft.os, "geteuid", lambda: 1_000)
    assert "not permitted" in nft.unavailable()
