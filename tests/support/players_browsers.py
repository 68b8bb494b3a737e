"""Browsers that Playwright cannot drive as Debian packs them: Firefox by Marionette, WebKitGTK by its WebDriver.

Both speak the commands of W3C WebDriver, the one as JSON over TCP (each message behind its length and a colon), the
other over HTTP. A click is a person's gesture to both, so that a page may sound after it.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Protocol

import httpx

from support.running import accepts, until

PATIENCE_S = 60.0  # for one command: a browser's first page takes its time on a busy machine
ELEMENT = "element-6066-11e4-a52e-4f735466cecf"  # the key of a reference to an element (WebDriver, section 12.1)
MINIBROWSERS = (
    "/usr/lib/x86_64-linux-gnu/webkit2gtk-4.1/MiniBrowser",
    "/usr/lib/x86_64-linux-gnu/webkitgtk-6.0/MiniBrowser",
)
PREFERENCES = {
    "marionette.port": 0,  # one that is free, told in a file
    "media.autoplay.default": 0,
    "app.update.auto": False,
    "browser.shell.checkDefaultBrowser": False,
    "datareporting.policy.dataSubmissionEnabled": False,
    "network.captive-portal-service.enabled": False,
    "network.connectivity-service.enabled": False,
    "toolkit.telemetry.server": "",
}


_COMMANDS = {
    "session": "NewSession",
    "url": "Navigate",
    "script": "ExecuteScript",
    "element": "FindElement",
    "click": "ElementClick",
}
_PATHS = {"url": "/url", "script": "/execute/sync", "element": "/element", "click": "/element/{id}/click"}


class Wire(Protocol):
    """The way to a browser."""

    def ask(self, command: str, **fields: Any) -> Any:
        """The value of the answer. Raises `Refused`."""


class Refused(RuntimeError):
    """The browser could not do it; the text says why."""


class Driven:
    """A browser with one window."""

    def __init__(self, wire: Wire, version: str) -> None:
        self._wire, self.version = wire, version

    def open(self, url: str) -> None:
        self._wire.ask("url", url=url)

    def value(self, expression: str) -> Any:
        """Of a JavaScript expression in the page; anything that JSON can say."""
        return json.loads(self._wire.ask("script", script=f"return JSON.stringify(({expression}) ?? null)", args=[]))

    def until(self, condition: str, within_s: float = PATIENCE_S) -> Any:
        """Ask until the expression gives something true; -> that."""
        try:
            return until(lambda: self.value(condition), condition, within_s)
        except AssertionError as error:
            raise AssertionError(f"{error}; {self.value('window.stentor')}") from None

    def click(self, selector: str) -> None:
        found = self._wire.ask("element", using="css selector", value=selector)
        self._wire.ask("click", id=found[ELEMENT])


class _Marionette:
    """Protocol 3 of Firefox's Marionette: [0, id, command, fields] out, [1, id, error, value] in."""

    def __init__(self, port: int) -> None:
        self._sock = socket.create_connection(("127.0.0.1", port), PATIENCE_S)
        self._data, self._id = b"", 0
        hello = self._receive()
        assert hello["marionetteProtocol"] == 3, hello

    def ask(self, command: str, **fields: Any) -> Any:
        if command == "script":
            fields["sandbox"] = None  # the page's own world
        self._id += 1
        message = json.dumps([0, self._id, f"WebDriver:{_COMMANDS[command]}", fields]).encode()
        self._sock.sendall(b"%d:%b" % (len(message), message))
        _, number, error, value = self._receive()
        assert number == self._id
        if error:
            raise Refused(f"{command}: {error['error']}: {error['message']}")
        return value["value"] if isinstance(value, dict) and value.keys() == {"value"} else value

    def _receive(self) -> Any:
        while (colon := self._data.find(b":")) < 0:
            self._read()
        size = int(self._data[:colon])
        while len(self._data) < colon + 1 + size:
            self._read()
        message = self._data[colon + 1 : colon + 1 + size]
        self._data = self._data[colon + 1 + size :]
        return json.loads(message)

    def _read(self) -> None:
        more = self._sock.recv(65_536)
        if not more:
            raise Refused("Firefox has closed the connection")
        self._data += more

    def close(self) -> None:
        self._sock.close()


class _WebDriver:
    """W3C WebDriver over HTTP."""

    def __init__(self, port: int) -> None:
        self._client = httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=PATIENCE_S, trust_env=False)
        self._base = ""

    def ask(self, command: str, **fields: Any) -> Any:
        path = "/session" if command == "session" else self._base + _PATHS[command].format(**fields)
        answer = self._client.post(path, json={key: field for key, field in fields.items() if key != "id"})
        value = answer.json()["value"]
        if answer.is_error:
            raise Refused(f"{command}: {value['error']}: {value['message']}")
        if command == "session":
            self._base = f"/session/{value['sessionId']}"
        return value

    def close(self) -> None:
        if self._base:
            self._client.delete(self._base)
        self._client.close()


@contextmanager
def process(log: Path, *argv: str, **environ: str) -> Iterator[subprocess.Popen[bytes]]:
    """With a session of its own, ended with all its children."""
    with log.open("ab") as out:
        process = subprocess.Popen(
            argv,
            env={**os.environ, **environ},
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            start_new_session=True,
        )
    try:
        yield process
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def missing(*programs: tuple[str, str]) -> str:
    """What to do to have all of these, (program, package); empty if they are here."""
    lacking = [(program, package) for program, package in programs if not shutil.which(program)]
    return "; ".join(f"{program} is not installed (apt install {package})" for program, package in lacking)


def firefox_missing() -> str:
    return missing(("firefox-esr", "firefox-esr"), ("pulseaudio", "pulseaudio"))


@contextmanager
def sound(directory: Path, module: str = "module-null-sink") -> Iterator[str]:
    """-> the address of a PulseAudio whose sink nobody hears: without a sink Firefox plays nothing at all."""
    path = directory / "sound.socket"
    protocol = f"module-native-protocol-unix auth-anonymous=1 socket={path}"
    argv = ("pulseaudio", "-n", "--exit-idle-time=-1", "-L", module, "-L", protocol)
    with process(directory / "pulse.log", *argv, HOME=str(directory), XDG_RUNTIME_DIR=str(directory)):
        until(path.exists, "PulseAudio is there")
        yield f"unix:{path}"


@contextmanager
def firefox(directory: Path) -> Iterator[Driven]:
    """Headless, with a profile of its own in `directory`."""
    profile = directory / "profile"
    profile.mkdir()
    lines = (f"user_pref({json.dumps(name)}, {json.dumps(value)});\n" for name, value in PREFERENCES.items())
    (profile / "user.js").write_text("".join(lines))
    argv = ("firefox-esr", "--headless", "--marionette", "--no-remote", "--profile", str(profile))
    with (
        sound(directory) as pulse,
        process(directory / "firefox.log", *argv, HOME=str(directory), PULSE_SERVER=pulse),
    ):
        told = profile / "MarionetteActivePort"
        port = until(lambda: told.exists() and told.read_text().strip(), "Firefox is there", PATIENCE_S)
        wire = _Marionette(int(port))
        session = wire.ask("session", capabilities={})
        yield Driven(wire, session["capabilities"]["browserVersion"])
        wire.close()


def webkit_missing() -> str:
    lacking = missing(("WebKitWebDriver", "webkit2gtk-driver"), ("Xvfb", "xvfb"))
    return lacking or ("" if _minibrowser() else "there is no MiniBrowser with WebKitGTK")


def _minibrowser() -> str:
    return next((path for path in MINIBROWSERS if Path(path).exists()), "")


@contextmanager
def screen(directory: Path) -> Iterator[str]:
    """-> the name of a display that nobody sees."""
    told = directory / "display"
    told.touch()
    argv = ("sh", "-c", f"exec Xvfb -displayfd 3 -screen 0 1024x768x24 -nolisten tcp 3>'{told}'")
    with process(directory / "xvfb.log", *argv):
        yield ":" + until(lambda: told.read_text().strip(), "Xvfb is there")


@contextmanager
def webkit(directory: Path, port: int) -> Iterator[Driven]:
    """MiniBrowser, driven on `port`."""
    options = {"binary": _minibrowser(), "args": ["--automation"]}
    capabilities = {"alwaysMatch": {"webkitgtk:browserOptions": options}}
    with (
        screen(directory) as display,
        process(directory / "webkit.log", "WebKitWebDriver", f"--port={port}", DISPLAY=display, HOME=str(directory)),
    ):
        until(lambda: accepts(("127.0.0.1", port)), "WebKitWebDriver is there")
        wire = _WebDriver(port)
        session = wire.ask("session", capabilities=capabilities)
        yield Driven(wire, session["capabilities"]["browserVersion"])
        wire.close()
