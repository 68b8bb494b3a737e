"""All roles of one machine, started in any order and watched. The children do not need us: killed with -9 we leave them
running, and the next `serve` takes them over."""

from __future__ import annotations

import os
import signal
import socket
import sys
import time
from dataclasses import replace

import structlog

from stentor.core.supervisor import CANNOT_START, Decision, Do, Supervisor
from stentor.io import processes
from stentor.io.board import Board, BoardError
from stentor.io.processes import Child, PidFiles
from stentor.io.processes.watch import RELOAD_SIGNAL, STOP_SIGNALS, Taken, Watch, lock, taken
from stentor.model import board
from stentor.nodes.priority import Priority
from stentor.settings import SettingError, Settings, load, to_environ

_RELOADED = ("edge", "door")  # by SIGHUP; the others are quick to restart and hold nobody's connection for long
LOOK_S = 0.1  # at the board, while a new child is to come up
_STREAM, _DATAGRAM = socket.SOCK_STREAM, socket.SOCK_DGRAM

_SIGNALS = {Do.TERMINATE: signal.SIGTERM, Do.KILL: signal.SIGKILL, Do.RETIRE: signal.SIGUSR1}

log = structlog.get_logger("serve")


def children(settings: Settings) -> dict[str, list[str]]:
    """Every child by name, with the arguments of `stentor` that start it."""
    single = {role: [role] for role in ("studio", "usher", "desk", "archive")}
    edges = {f"edge-{index}": ["edge", "--worker", str(index)] for index in range(settings.edges)}
    doors = {f"door-{index}": ["door", "--worker", str(index)] for index in range(settings.doors)}
    return single | edges | doors


def pid_files(settings: Settings) -> PidFiles:
    """Where `serve` keeps the pids of its children, by name."""
    return PidFiles(settings.run_dir / "pids")


def port_problem(settings: Settings, running: set[str]) -> str:
    """The first port that a stranger holds, in a sentence; empty if there is none. `running`: roles that live."""
    kinds = {"studio": (_STREAM, _DATAGRAM)}
    roles = {name: name for name in ("door", "edge", "desk", "studio", "archive")}
    for name, role in (roles | ({"source": "studio"} if settings.source_port else {})).items():
        port = getattr(settings, f"{name}_port")
        try:
            if role not in running and taken(settings.bind, port, kinds.get(name, (_STREAM,))):
                return f"port {port} ({name}_port) is taken; end who holds it, or set STENTOR_{name.upper()}_PORT"
        except OSError as error:
            return f"cannot listen on {settings.bind} (bind): {error.strerror}"
    return ""


def main(settings: Settings) -> int:
    """Run until SIGTERM or SIGINT; -> exit code. A stop ends all children."""
    try:
        lock(settings.run_dir / "serve.lock")
    except Taken as holder:
        print(f"stentor: serve runs already for {settings.run_dir}, as process {holder}", file=sys.stderr)
        return CANNOT_START
    with Watch() as watch:
        serve = Serve(settings, watch)
        serve.adopt()
        problem = port_problem(settings, {name.partition("-")[0] for name in serve.supervisor.running})
        if problem:
            print(f"stentor: {problem}", file=sys.stderr)
            return CANNOT_START
        return serve.run()


class Serve:
    """Carries out what the supervisor decides, and tells it what happened."""

    def __init__(self, settings: Settings, watch: Watch) -> None:
        self._environ = to_environ(settings)
        self._board = Board(settings.board_dir)
        self._commands = children(settings)
        self._files = pid_files(settings)
        self._watch = watch
        self._living: dict[str, Child] = {}
        self._priority: Priority
        self.supervisor = Supervisor(self._commands)

    def adopt(self) -> None:
        """Take over the children that an earlier `serve` left running."""
        for child in self._files.find():
            self._hold(child)
            self.supervisor.receive_found(child.name, time.monotonic())
            theirs = {k: v for k, v in processes.environ(child.pid).items() if k.startswith("STENTOR_")}
            log.info("adopted", child=child.name, pid=child.pid, same_settings=self._environ.items() <= theirs.items())

    def run(self) -> int:
        """The loop, until all children have ended; -> exit code."""
        self._priority = Priority()
        while not self.supervisor.done:
            for decision in self.supervisor.tick(time.monotonic()):
                self._carry_out(decision)
            ended, signals = self._watch.wait(self._timeout_s())
            for child, code in ended:
                self._let_go(child, code)
            if not signals.isdisjoint(STOP_SIGNALS):
                log.info("stopping", children=self.supervisor.running)
                self.supervisor.receive_stop(time.monotonic())
            elif RELOAD_SIGNAL in signals:
                self._reload()
            self._look_for_new()
        return self._farewell()

    def _timeout_s(self) -> float | None:
        deadline = self.supervisor.next_deadline()
        timeout_s = None if deadline is None else max(0.0, deadline - time.monotonic())
        return timeout_s if not self.supervisor.awaited else min(LOOK_S, LOOK_S if timeout_s is None else timeout_s)

    def _reload(self) -> None:
        """New workers with the settings as they are now; what is wrong with those leaves everything as it is."""
        try:
            self._environ = to_environ(load())
        except SettingError as error:
            log.error("not reloaded", reason=str(error))
            return
        names = [name for name in self._commands if name.startswith(_RELOADED)]
        log.info("reloading", children=names)
        self.supervisor.receive_reload(names)

    def _look_for_new(self) -> None:
        """A worker puts its pid on the board when it accepts."""
        for name in self.supervisor.awaited:
            child = self._living.get(name)
            if child is not None and self._pid_on_board(name) == child.pid:
                self.supervisor.receive_up(name)

    def _pid_on_board(self, name: str) -> int:
        try:
            value = self._board.get(name, board.Door if name.startswith("door") else board.Edge)
        except BoardError:
            return 0
        return value.pid if value is not None else 0

    def _carry_out(self, decision: Decision) -> None:
        if decision.do is Do.REPLACE:
            self._rename(decision.name, decision.old)
        if decision.do in (Do.START, Do.REPLACE):
            self._start(decision.name)
        elif decision.name in self._living:
            self._living[decision.name].send(_SIGNALS[decision.do])

    def _rename(self, name: str, old: str) -> None:
        """The child under `name` is called `old` from now on, also for a `serve` that comes after this one."""
        child = replace(self._living.pop(name), name=old)
        self._files.write(child)
        self._living[old] = child
        self._watch.rename(child)

    def _start(self, name: str) -> None:
        argv = [sys.executable, "-m", "stentor.cli", *self._commands[name]]
        try:
            child = processes.spawn(name, argv, os.environ | self._environ)
        except OSError as error:
            log.error("not started", child=name, reason=error.strerror)
            self.supervisor.receive_exit(name, None, time.monotonic())
            return
        given = self._priority.give(child)
        self._files.write(child)
        self._hold(child)
        log.info("started", child=name, pid=child.pid, **given)

    def _hold(self, child: Child) -> None:
        self._living[child.name] = child
        self._watch.add(child)

    def _let_go(self, child: Child, code: int | None) -> None:
        del self._living[child.name]
        self._files.drop(child.name)
        self.supervisor.receive_exit(child.name, code, time.monotonic())
        log.info("ended", child=child.name, pid=child.pid, code=code, restarts=self.supervisor.restarts)

    def _farewell(self) -> int:
        self._priority.close()
        if not self.supervisor.failed:
            return 0
        print(f"stentor: {self.supervisor.failed} cannot start; what it said stands above", file=sys.stderr)
        return CANNOT_START
