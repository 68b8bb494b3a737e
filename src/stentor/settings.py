"""Every setting, declared once: name, default, unit and a sentence. Environment `STENTOR_<NAME>`, or `stentor.toml`.

docs/SETTINGS.md is made from this table; a test fails when they differ.
"""

from __future__ import annotations

import json
import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from ipaddress import ip_network
from pathlib import Path
from typing import Any


class SettingError(ValueError):
    """A setting that is unknown, of the wrong type, or at odds with another."""


def _setting(default: Any, text: str) -> Any:
    return field(default=default, metadata={"text": text})


@dataclass(frozen=True, slots=True)
class Settings:
    """Settings of all roles."""

    data_dir: Path = _setting(Path("var"), "Where tapes, stems, the database and keys are kept.")
    run_dir: Path = _setting(Path("/dev/shm/stentor"), "Where ring, board and sockets stand; tmpfs.")
    bind: str = _setting("127.0.0.1", "Address that every public port listens on.")
    door_port: int = _setting(8000, "TCP port of the door: pages, now object, tickets.")
    edge_port: int = _setting(8001, "TCP port of the edges: mounts.")
    desk_port: int = _setting(8002, "TCP port of the desk: crew and speaker pages, API.")
    studio_port: int = _setting(8003, "TCP port of the studio (WHIP) and UDP port of all speakers' media.")
    archive_port: int = _setting(8004, "TCP port of the archive: rewind and replay.")
    source_port: int = _setting(8005, "TCP port of the studio for encoders that speak Icecast's protocol; 0: none.")
    public_url: str = _setting("", "Public origin when a proxy serves all roles by path; empty: one port a role.")
    tls_chain: str = _setting(
        "", "File of the certificate and those above it (PEM): every role speaks TLS, and takes up a new one by itself."
    )
    tls_key: str = _setting("", "File of the certificate's private key (PEM).")
    proxy_protocol: bool = _setting(
        False, "Door and edges stand behind a proxy whose every connection begins with a PROXY header, version 2."
    )
    trusted_proxies: str = _setting(
        "",
        "Comma-separated networks of the proxies in front of door and edges: only from these is X-Forwarded-For taken.",
    )
    shield_kernel: str = _setting(
        "auto", "Whether the kernel (nftables) drops whom the shield shuts out: auto, where it may; off, workers only."
    )
    challenge_hashes: int = _setting(
        125_000, "Hashes that joining costs a stranger, on average, while an attack cannot be ruled out; 0: none."
    )
    metrics_token: str = _setting("", "Bearer token for GET /crew/metrics; empty: no metrics are served.")
    advertise: str = _setting(
        "", "Comma-separated IP addresses offered to speakers' browsers; empty: all of this machine."
    )
    turn_urls: str = _setting(
        "",
        "Comma-separated addresses of TURN relays for speakers behind strict networks: turn:host:3478?transport=udp.",
    )
    turn_secret: str = _setting("", "The relays' shared secret (coturn: static-auth-secret); needed with turn_urls.")
    edges: int = _setting(1, "Edge workers.")
    doors: int = _setting(1, "Door workers.")
    speakers_max: int = _setting(16, "Speakers connected at once, backstage and on air, the host among them.")
    hold_grace_ms: int = _setting(150, "How late the stage may be with a chunk before hold takes its place.")
    edge_grace_ms: int = _setting(400, "How late a chunk may be before an edge makes the hold by itself.")
    rtp_silence_ms: int = _setting(3_000, "Without a packet for so long, a speaker is taken to be gone.")
    open_before_s: int = _setting(900, "Doors of a show open so long before its start.")
    sndbuf_bytes: int = _setting(16_384, "SO_SNDBUF of a listener's socket; the kernel doubles it.")
    lag_skip_s: float = _setting(6.0, "A listener so far behind skips to the newest chunk.")
    lag_drop_s: float = _setting(20.0, "A listener whose socket takes nothing for so long is dropped.")
    listeners_max: int = _setting(18_000, "Connections of one edge worker (a process may open 20,000 descriptors).")
    capacity: int = _setting(
        0, "Listeners that all edge workers carry at full quality; 0: measured when the usher starts."
    )
    requests_max: int = _setting(
        1_500,
        "Connections of one edge or door that are no listeners; a new one takes the place of the slowest. An edge has "
        "room for more while it is not full of listeners.",
    )
    accept_budget: int = _setting(64, "Connections accepted between two looks at the ring.")
    headers_bytes_max: int = _setting(8_192, "Request line and headers of one request.")
    headers_timeout_s: float = _setting(5.0, "From accept to the end of the headers.")
    idle_timeout_s: float = _setting(30.0, "A kept-alive connection without a request.")
    burst_s: float = _setting(4.0, "Audio sent at once to a new MP3 listener.")
    calls_per_s: int = _setting(1_000, "Places of a waiting room that are called in a second: each is a TLS handshake.")
    ticket_life_s: int = _setting(
        3_600, "From the making of a ticket to its expiry, an hour at most; who listens gets one to come back by."
    )
    edge_group: int = _setting(1, "Group of the edges whose keys door and edges of this installation go by.")
    tape_memory_bytes_max: int = _setting(64 * 1024 * 1024, "Tape records kept in memory while the disk fails.")
    stems: bool = _setting(True, "Whether each speaker's own packets are kept beside the tape.")

    def __post_init__(self) -> None:
        ports = [self.door_port, self.edge_port, self.desk_port, self.studio_port, self.archive_port]
        ports += [self.source_port] if self.source_port else []
        _require(all(0 <= port <= 65_535 for port in ports), f"a port is beyond 65535: {ports}")
        _require(len(set(ports)) == len(ports), f"two roles share a port: {ports}")
        _require(self.speakers_max >= 1, "speakers_max must be 1, for the host, or more")
        _require(self.hold_grace_ms < self.edge_grace_ms, "hold_grace_ms must be below edge_grace_ms")
        _require(self.lag_skip_s < self.lag_drop_s, "lag_skip_s must be below lag_drop_s")
        _require(bool(self.tls_chain) == bool(self.tls_key), "tls_chain and tls_key are set together, or not at all")
        _require(bool(self.turn_urls) == bool(self.turn_secret), "turn_urls and turn_secret are set together, or not")
        _require(
            _are_networks(self.trusted_proxies), "trusted_proxies: a comma-separated list of networks, as 10.0.0.0/8"
        )
        _require(self.shield_kernel in ("auto", "off"), "shield_kernel is auto or off")
        _require(0 <= self.challenge_hashes <= 2_000_000, "challenge_hashes is 0, for none, to 2000000")
        _require(self.listeners_max >= 1, "listeners_max must be 1 or more")
        _require(self.capacity >= 0, "capacity must be 0, for what is measured, or more")
        _require(self.calls_per_s >= 1, "calls_per_s must be 1 or more")
        _require(1 <= self.ticket_life_s <= 3_600, "ticket_life_s must be 3600 or less: a ticket's key lives no longer")
        _require(0 <= self.edge_group <= 65_535, "edge_group must be 65535 or less")
        _require(self.edges >= 1 and self.doors >= 1, "at least one edge and one door")

    @property
    def scheme(self) -> str:
        """Of every public address."""
        return "https" if self.tls_chain else "http"

    @property
    def board_dir(self) -> Path:
        return self.run_dir / "board"

    @property
    def wake_dir(self) -> Path:
        """Unix datagram sockets that the writer of the ring pokes."""
        return self.run_dir / "wake"

    @property
    def keys_dir(self) -> Path:
        return self.data_dir / "keys"

    @property
    def shield_socket(self) -> Path:
        """Unix datagram socket of the usher that takes evidence."""
        return self.run_dir / "shield.sock"

    @property
    def desk_socket(self) -> Path:
        return self.run_dir / "desk.sock"


def _are_networks(text: str) -> bool:
    try:
        return all(ip_network(one.strip()) for one in text.split(",") if one.strip())
    except ValueError:
        return False


def _require(condition: bool, reason: str) -> None:
    if not condition:
        raise SettingError(reason)


def _convert(name: str, kind: str, value: Any) -> Any:
    try:
        if kind == "bool":
            return value if isinstance(value, bool) else {"1": True, "true": True, "0": False, "false": False}[value]
        return {"int": int, "float": float, "str": str, "Path": Path}[kind](value)
    except (ValueError, KeyError, TypeError):
        raise SettingError(f"{name}: {value!r} is not a {kind}") from None


def load(environ: Mapping[str, str] | None = None, file: Path | None = None) -> Settings:
    """Defaults, then `stentor.toml` (or `file`), then the environment. Raises `SettingError` with the reason."""
    environ = os.environ if environ is None else environ
    path = file or Path(environ.get("STENTOR_CONFIG", "stentor.toml"))
    kinds = {item.name: str(item.type) for item in fields(Settings)}
    values: dict[str, Any] = {}
    if path.exists():
        try:
            values.update(tomllib.loads(path.read_text()))
        except tomllib.TOMLDecodeError as error:
            raise SettingError(f"{path}: {error}") from None
    values.update({n[8:].lower(): v for n, v in environ.items() if n.startswith("STENTOR_") and n != "STENTOR_CONFIG"})
    unknown = sorted(set(values) - set(kinds))
    _require(not unknown, f"unknown setting: {', '.join(unknown)}")
    return Settings(**{name: _convert(name, kinds[name], value) for name, value in values.items()})


def to_environ(settings: Settings) -> dict[str, str]:
    """The environment by which a child process gets the same settings."""
    values = {item.name: getattr(settings, item.name) for item in fields(Settings)}
    return {
        f"STENTOR_{name.upper()}": str(int(value) if isinstance(value, bool) else value)
        for name, value in values.items()
    }


def table() -> str:
    """docs/SETTINGS.md: every setting with its environment variable, default and sentence."""
    return "\n".join(
        [_TABLE_HEAD, *(_row(item.name, item.default, item.metadata["text"]) for item in fields(Settings))]
    )


def _row(name: str, default: Any, text: str) -> str:
    return f"| `{name}` | `STENTOR_{name.upper()}` | `{json.dumps(default, default=str)}` | {text} |"


_TABLE_HEAD = """# Settings

Made by `python -m stentor.settings`; do not edit. A setting comes from its environment variable, else from
`stentor.toml` in the working directory (or the file named by `STENTOR_CONFIG`), else it has its default. The end of a
name is its unit.

| `stentor.toml` | Environment | Default | Meaning |
|---|---|---|---|"""

if __name__ == "__main__":
    print(table())
