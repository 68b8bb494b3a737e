"""Honest people and hostile ones, on real sockets: `python people.py PLAN`, a JSON file -> JSON on stdout.

The plan: {"host", "door", "edge", "show", "for_s", "parts": [{"name", "kind", "net", …}]}. Every part has sources of
its own, addresses of `net`, and ends by itself after `for_s` seconds; nobody opens more than CONNECTIONS_MAX
connections.
Open loop: what is due `per_s` a second is begun when it is due, whatever became of what came before.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import itertools
import json
import random
import re
import socket
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

from stentor.formats import challenge

CONNECTIONS_MAX = 12_000
ANSWER_S_MAX = 10.0
HEAD_BYTES_MAX = 65_536
POLL_S_MAX = 2.0  # an honest page asks again at its time; in these rehearsals, which are short, no later than that
BACK_S_MAX = 4.0  # of the waits between tries of an honest page
LAST_S = 2.0
GRACE_S, HEARD_S = (
    15.0,
    1.0,
)  # beyond the end: for honest people who were told to come again, and so that they hear some

Headers = tuple[tuple[str, str], ...]


class Refused(Exception):
    """No answer, or one that is neither a ticket nor a place: `str` says which."""


class Plan:
    def __init__(self, fields: dict[str, Any]) -> None:
        self.host, self.door, self.edge = str(fields["host"]), int(fields["door"]), int(fields["edge"])
        self.show, self.for_s = str(fields["show"]), float(fields["for_s"])
        self.ticket = str(fields.get("ticket", ""))  # where there is no door: what everybody has
        self.parts: list[dict[str, Any]] = fields["parts"]
        self.began = time.monotonic()

    @property
    def left_s(self) -> float:
        return self.began + self.for_s - time.monotonic()


class Part:
    """One kind of people. `counts` goes into the result, and so do `waits_ms` and `gaps_ms`."""

    def __init__(self, plan: Plan, fields: dict[str, Any]) -> None:
        self.plan, self.fields = plan, fields
        self.counts: Counter[str] = Counter()
        self.waits_ms: list[float] = []
        self.gaps_ms: list[float] = []
        self.listened_s = 0.0
        self.refused_at: list[float] = []
        self.grace_s = 0.0
        self.rng = random.Random(fields["name"])
        network = ipaddress.ip_network(fields["net"])
        self._first, self._size = int(network.network_address), network.num_addresses
        self._version = type(network.network_address)
        self._turn = itertools.count()

    def source(self, i: int | None = None) -> str:
        """An address: the `i`th, or the next one, of `sources` (all of the network, where that is not said). Those of a
        network of IPv6 are spread over its /64s."""
        i = next(self._turn) if i is None else i
        i %= int(self.fields.get("sources", 1 << 30))
        step = (1 << 64) + 7 if self._version is ipaddress.IPv6Address else 1
        return str(self._version(self._first + 1 + i * step % (self._size - 2)))

    def result(self) -> dict[str, Any]:
        gaps, waits = sorted(self.gaps_ms), sorted(self.waits_ms)
        return {
            **self.counts,
            "listened_s": round(self.listened_s, 1),
            "gap_ms_max": round(gaps[-1], 1) if gaps else 0,
            "wait_ms_p50": round(waits[len(waits) // 2], 1) if waits else 0,
            "wait_ms_max": round(waits[-1], 1) if waits else 0,
            "last_refused_s": round(max(self.refused_at), 2) if self.refused_at else None,
        }

    def refuse(self, why: str) -> None:
        self.counts[f"refused: {why}"] += 1
        self.refused_at.append(time.monotonic() - self.plan.began)


# ---- a connection


async def connect(plan: Plan, port: int, source: str, rcvbuf: int = 0) -> socket.socket:
    family = socket.AF_INET6 if ":" in source else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    try:
        if rcvbuf:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, rcvbuf)
        sock.bind((source, 0))
        host = plan.host if family == socket.AF_INET else plan.host.replace("10.65.0.", "fd65::")
        async with asyncio.timeout(ANSWER_S_MAX):
            await asyncio.get_running_loop().sock_connect(sock, (host, port))
    except TimeoutError:
        sock.close()
        raise Refused("no connection") from None
    except OSError as error:
        sock.close()
        raise Refused(f"no connection ({type(error).__name__})") from None
    return sock


def asking(plan: Plan, method: str, path: str, headers: Headers = ()) -> bytes:
    lines = [f"{method} {path} HTTP/1.1", f"Host: {plan.host}", "Accept: application/json", "Content-Length: 0"]
    return "\r\n".join([*lines, *(f"{name}: {value}" for name, value in headers), "", ""]).encode()


async def head(sock: socket.socket) -> tuple[int, bytes, bytes]:
    """-> status, head, and what came behind it."""
    loop, data = asyncio.get_running_loop(), b""
    async with asyncio.timeout(ANSWER_S_MAX):
        while b"\r\n\r\n" not in data and len(data) < HEAD_BYTES_MAX:
            more = await loop.sock_recv(sock, 16_384)
            if not more:
                raise Refused("closed")
            data += more
    first, _, rest = data.partition(b"\r\n\r\n")
    return int(first.split(b" ", 2)[1]), first, rest


async def ask(
    plan: Plan, source: str, method: str, path: str, headers: Headers = (), port: int = 0
) -> tuple[int, dict[str, Any]]:
    """One request on a connection of its own; -> status and body as JSON, with "retry_after_s" where that was said.
    Raises `Refused`."""
    sock = await connect(plan, port or plan.door, source)
    loop = asyncio.get_running_loop()
    try:
        await loop.sock_sendall(sock, asking(plan, method, path, (("Connection", "close"), *headers)))
        status, first, body = await head(sock)
        async with asyncio.timeout(ANSWER_S_MAX):
            while more := await loop.sock_recv(sock, 16_384):
                body += more
    except (OSError, TimeoutError, ValueError) as error:
        raise Refused(f"no answer ({type(error).__name__})") from None
    finally:
        sock.close()
    try:
        found = json.loads(body)
    except ValueError:
        found = {}
    found = found if isinstance(found, dict) else {}
    if told := re.search(rb"(?i)\r\nretry-after: *(\d+)", first):
        found["retry_after_s"] = int(told[1])
    return status, found


# ---- honest people


async def ticket(part: Part, source: str, headers: Headers = ()) -> str:
    """As the page does: join, wait in line, solve what is asked, come again; -> a ticket. Raises `Refused` when the
    time is over."""
    plan, place, solved, fails = part.plan, "", "", 0
    if plan.ticket:
        return plan.ticket
    began = time.monotonic()
    while plan.left_s + part.grace_s > 0:
        query = "&".join(text for text in (f"place={place}" if place else "", solved) if text)
        try:
            path = f"/s/{plan.show}/join" + (f"?{query}" if query else "")
            status, found = await ask(plan, source, "POST", path, headers)
        except Refused as error:
            part.refuse(str(error))
            fails += 1
            await asyncio.sleep(part.rng.uniform(0, min(BACK_S_MAX, 2**fails)))
            continue
        if "ticket" in found:
            part.waits_ms.append((time.monotonic() - began) * 1e3)
            return str(found["ticket"])
        if "place" in found:
            place, fails = str(found["place"]), 0
            await asyncio.sleep(min(POLL_S_MAX, found.get("next_poll_ms", 1000) / 1e3) * part.rng.uniform(0.8, 1.2))
            continue
        code = str(found.get("type", status)).rpartition("/")[2]
        if found.get("challenge"):
            part.counts["challenged"] += 1
            solved = await asyncio.to_thread(challenge.solve, found)
            continue
        part.refuse(f"{status} {code}")
        fails += 1
        await asyncio.sleep(found.get("retry_after_s", 0) + part.rng.uniform(0, min(BACK_S_MAX, 2**fails)))
    raise Refused("never let in")


async def listen(part: Part, source: str, text: str, until: float) -> None:
    """Until then, or the end of the stream. Raises `Refused`."""
    plan, loop = part.plan, asyncio.get_running_loop()
    sock = await connect(plan, plan.edge, source)
    try:
        await loop.sock_sendall(sock, asking(plan, "GET", f"/live/{text}/mp3-low"))
        status, _, _ = await head(sock)
        if status != 200:
            raise Refused(f"{status} of a mount")
        last = began = time.monotonic()
        try:
            while (left_s := until - time.monotonic()) > 0:
                async with asyncio.timeout(min(left_s, ANSWER_S_MAX)):
                    data = await loop.sock_recv(sock, 65_536)
                now = time.monotonic()
                if not data:
                    part.counts["cut"] += 1
                    return
                if now - began > 2:  # behind what was sent at once
                    part.gaps_ms.append((now - last) * 1e3)
                last = now
        except TimeoutError:
            if until - time.monotonic() > 0.1:
                part.counts["cut"] += 1
        finally:
            part.listened_s += time.monotonic() - began
    except OSError as error:
        raise Refused(f"no stream ({type(error).__name__})") from None
    finally:
        sock.close()


async def person(part: Part, source: str, stay_s: float, headers: Headers = ()) -> None:
    """Comes, listens for `stay_s`, and comes back if cut."""
    part.counts["came"] += 1
    try:
        text = await ticket(part, source, headers)
    except Refused:
        part.counts["never let in"] += 1
        return
    part.counts["joined"] += 1
    now, fails, heard = time.monotonic(), 0, False
    until = max(min(now + stay_s, part.plan.began + part.plan.for_s), now + HEARD_S)
    while time.monotonic() < until:
        before = part.listened_s
        try:
            await listen(part, source, text, until)
        except Refused as error:
            part.refuse(str(error))
        heard = heard or part.listened_s > before
        if time.monotonic() < until:
            part.counts["reconnects"] += 1
            fails += 1
            await asyncio.sleep(part.rng.uniform(0, min(BACK_S_MAX, 2**fails)))
    part.counts["heard"] += heard


async def listeners(part: Part) -> None:
    """`count` people who come within `ramp_s` and stay; `behind` so many of them share an address."""
    part.grace_s = GRACE_S
    count, ramp_s, behind = part.fields["count"], part.fields.get("ramp_s", 2.0), part.fields.get("behind", 1)
    await at_once(
        part, [lambda i=i: late(i * ramp_s / count, person(part, part.source(i // behind), 1e6)) for i in range(count)]
    )


async def late(wait_s: float, then: Awaitable[None]) -> None:
    await asyncio.sleep(wait_s)
    await then


async def joins(part: Part) -> None:
    """`per_s` people a second, each of whom stays for `stay_s`; the last ones have time enough to hear something."""
    part.grace_s = GRACE_S
    part.fields.setdefault("for_s", part.plan.left_s - LAST_S)
    behind, stay_s = part.fields.get("behind", 1), part.fields.get("stay_s", 4.0)
    await rate(part, lambda i: person(part, part.source(i // behind), stay_s))


# ---- hostile ones


async def join_flood(part: Part) -> None:
    """Joins, ticket after ticket, of whom nobody listens."""
    headers = tuple((str(name), str(value)) for name, value in part.fields.get("headers", {}).items())

    async def one(i: int) -> None:
        try:
            path = part.fields.get("path", f"/s/{part.plan.show}/join")
            status, found = await ask(
                part.plan, part.source(), part.fields.get("method", "POST"), path, spoofed(i, headers)
            )
            part.counts["tickets" if "ticket" in found else f"status {status}"] += 1
        except Refused as error:
            part.refuse(str(error))

    await rate(part, one)


def spoofed(i: int, headers: Headers) -> Headers:
    return tuple((name, value.replace("*", f"203.0.113.{i % 250}")) for name, value in headers)


async def starts(part: Part) -> None:
    """Tickets that are taken to an edge, and the stream dropped with its first bytes: nobody hears a second."""

    async def one(i: int) -> None:
        source = part.source()
        try:
            text = part.plan.ticket or await unsolved_ticket(part, source)
            if not text:
                part.counts["no ticket"] += 1
                return
            status, _ = await first_of(part.plan, source, f"/live/{text}/mp3-low")
            part.counts[f"status {status}"] += 1
        except Refused as error:
            part.refuse(str(error))
        except (OSError, TimeoutError):
            part.refuse("stream")

    await rate(part, one)


async def forged(part: Part) -> None:
    """`tokens`: forged, cut, shared or replayed tickets at the edge."""
    how, plan = part.fields["tokens"], part.plan
    good = await ticket(part, part.source(0)) if how in ("shared", "cut", "forged") else ""

    def token(i: int) -> str:
        if how == "shared":
            return good
        if how == "cut":
            return good[: -1 - i % 20]
        letter = "A" if good[-12 - i % 8] != "A" else "B"
        at = len(good) - 12 - i % 8
        return good[:at] + letter + good[at + 1 :]

    async def one(i: int) -> None:
        try:
            status, _ = await asyncio.wait_for(first_of(plan, part.source(), f"/live/{token(i)}/mp3-low"), ANSWER_S_MAX)
            part.counts[f"status {status}"] += 1
        except Refused as error:
            part.refuse(str(error))
        except (OSError, TimeoutError):
            part.refuse("stream")

    await rate(part, one)


async def first_of(plan: Plan, source: str, path: str) -> tuple[int, bytes]:
    sock = await connect(plan, plan.edge, source)
    with contextlib.closing(sock):
        await asyncio.get_running_loop().sock_sendall(sock, asking(plan, "GET", path))
        status, first, _ = await head(sock)
        return status, first


async def stubborn(part: Part, ramp_s: float, again_s: float, visit: Callable[[str], Awaitable[None]]) -> None:
    """`count` clients who come within `ramp_s` and come back whenever they are closed on, until the time is over."""

    async def one(i: int) -> None:
        while part.plan.left_s > 0:
            try:
                await visit(part.source(i))
            except Refused as error:
                part.refuse(str(error))
                await asyncio.sleep(again_s)
            except (OSError, TimeoutError):
                part.counts["closed on"] += 1

    waits = [part.rng.uniform(0, ramp_s) for _ in range(part.fields["count"])]
    await at_once(part, [lambda i=i, wait_s=wait_s: late(wait_s, one(i)) for i, wait_s in enumerate(waits)])


@contextlib.asynccontextmanager
async def opened(part: Part, port: int, source: str, rcvbuf: int = 0) -> AsyncIterator[socket.socket]:
    with contextlib.closing(await connect(part.plan, port, source, rcvbuf)) as sock:
        part.counts["opened"] += 1
        yield sock


async def slow_headers(part: Part) -> None:
    """Slowloris: `count` connections to the door whose request never ends."""
    loop, plan = asyncio.get_running_loop(), part.plan

    async def visit(source: str) -> None:
        async with opened(part, plan.door, source) as sock:
            await loop.sock_sendall(sock, f"POST /s/{plan.show}/join HTTP/1.1\r\nHost: x\r\n".encode())
            while plan.left_s > 0:
                await asyncio.sleep(min(1.0, max(0.0, plan.left_s)))
                await loop.sock_sendall(sock, b"X-A: b\r\n")

    await stubborn(part, part.fields.get("ramp_s", 2.0), 1.0, visit)


async def unsolved_ticket(part: Part, source: str) -> str:
    """What is given at once to whoever does nothing for it; else "". Raises `Refused`."""
    _, found = await ask(part.plan, source, "POST", f"/s/{part.plan.show}/join")
    return str(found.get("ticket", ""))


async def slow_read(part: Part) -> None:
    """`count` listeners who take no byte of what they asked for."""
    loop, plan = asyncio.get_running_loop(), part.plan

    async def visit(source: str) -> None:
        text = plan.ticket or await unsolved_ticket(part, source)
        if not text:
            await asyncio.sleep(1.0)
            return
        async with opened(part, plan.edge, source, rcvbuf=2_048) as sock:
            await loop.sock_sendall(sock, asking(plan, "GET", f"/live/{text}/mp3"))
            await asyncio.sleep(max(0.0, plan.left_s))

    await stubborn(part, part.fields.get("ramp_s", 2.0), 1.0, visit)


async def hoard(part: Part) -> None:
    """`count` idle connections: opened, and nothing said."""

    async def visit(source: str) -> None:
        async with opened(part, part.plan.door, source) as sock, asyncio.timeout(max(0.0, part.plan.left_s)):
            await asyncio.get_running_loop().sock_recv(sock, 1)

    await stubborn(part, 0.0, 0.5, visit)


async def mimicry(part: Part) -> None:
    """Plays the whole protocol, as people do, and listens."""
    await joins(part)


# ---- time


def due(part: Part) -> Iterator[float]:
    """Seconds from the part's beginning at which one begins; with `pulse_s`, so long on, so long off."""
    per_s, pulse_s = float(part.fields["per_s"]), float(part.fields.get("pulse_s", 0))
    for i in itertools.count():
        at = i / per_s
        if not pulse_s or int(at / pulse_s) % 2 == 0:
            yield at


async def rate(part: Part, one: Callable[[int], Awaitable[None]]) -> None:
    """Open loop: one at each instant that is due, until `for_s` of the part, or of the plan."""
    began, ends_s = time.monotonic(), float(part.fields.get("for_s", 1e9))
    running: set[asyncio.Task[None]] = set()
    for i, at in enumerate(due(part)):
        if at > ends_s or part.plan.left_s <= 0.05:
            break
        wait_s = began + at - time.monotonic()
        if wait_s > 0:
            await asyncio.sleep(wait_s)
        if len(running) >= CONNECTIONS_MAX:
            part.counts["not begun"] += 1
            continue
        part.counts["asked"] += 1
        task = asyncio.ensure_future(one(i))
        running.add(task)
        task.add_done_callback(running.discard)
    await _rest(part, running)


async def at_once(part: Part, all_: list[Callable[[], Awaitable[None]]]) -> None:
    assert len(all_) <= CONNECTIONS_MAX
    await _rest(part, {asyncio.ensure_future(one()) for one in all_})


async def _rest(part: Part, running: set[asyncio.Task[None]]) -> None:
    if running:
        _, left = await asyncio.wait(running, timeout=max(0.1, part.plan.left_s + 1) + part.grace_s)
        for task in left:
            task.cancel()
        part.counts["unfinished"] += len(left)
        await asyncio.gather(*left, return_exceptions=True)


KINDS: dict[str, Callable[[Part], Awaitable[None]]] = {
    "listeners": listeners,
    "joins": joins,
    "join_flood": join_flood,
    "starts": starts,
    "forged": forged,
    "slow_headers": slow_headers,
    "slow_read": slow_read,
    "hoard": hoard,
    "mimicry": mimicry,
}


async def play(plan: Plan) -> dict[str, Any]:
    parts = [Part(plan, fields) for fields in plan.parts]

    async def one(part: Part) -> None:
        await asyncio.sleep(float(part.fields.get("after_s", 0)))
        part.counts["began_ms"] = time.time_ns() // 1_000_000
        await KINDS[part.fields["kind"]](part)

    await asyncio.gather(*(one(part) for part in parts))
    return {part.fields["name"]: part.result() for part in parts}


if __name__ == "__main__":
    print(json.dumps(asyncio.run(play(Plan(json.loads(Path(sys.argv[1]).read_text()))))))
