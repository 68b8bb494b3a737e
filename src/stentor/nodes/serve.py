"""All roles of one machine, started in any order and watched. The children do not need us: killed with -9 we leave them
running, and the next `serve` takes them over."""

from __future__ import annotations

import os
import signal
import socket
import sys
import time

import structlog

from stentor.core.supervisor import CANNOT_START, Decision, Do, Supervisor
from stentor.io import processes
from stentor.io.processes import Child, PidFiles
from stentor.io.processes.watch import Taken, Watch, lock, taken
from stentor.settings import Settings, to_environ

MEDIA_NICE = -5  # of the roles that carry the program: a crowd at the door must not make them late
_MEDIA = ("studio", "usher", "edge")
_STREAM, _DATAGRAM = socket.SOCK_STREAM, socket.SOCK_DGRAM

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
    for role in ("door", "edge", "desk", "studio", "archive"):
        port = getattr(settings, f"{role}_port")
        try:
            if role not in running and taken(settings.bind, port, kinds.get(role, (_STREAM,))):
                return f"port {port} ({role}_port) is taken; end who holds it, or set STENTOR_{role.upper()}_PORT"
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
        self._commands = children(settings)
        self._files = pid_files(settings)
        self._watch = watch
        self._living: dict[str, Child] = {}
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
        while not self.supervisor.done:
            for decision in self.supervisor.tick(time.monotonic()):
                self._carry_out(decision)
            ended, stop = self._watch.wait(self._timeout_s())
            for child, code in ended:
                self._let_go(child, code)
            if stop:
                log.info("stopping", children=self.supervisor.running)
                self.supervisor.receive_stop(time.monotonic())
        return self._farewell()

    def _timeout_s(self) -> float | None:
        deadline = self.supervisor.next_deadline()
        return None if deadline is None else max(0.0, deadline - time.monotonic())

    def _carry_out(self, decision: Decision) -> None:
        if decision.do is Do.START:
            self._start(decision.name)
        elif decision.name in self._living:
            number = signal.SIGKILL if decision.do is Do.KILL else signal.SIGTERM
            self._living[decision.name].send(number)

    def _start(self, name: str) -> None:
        argv = [sys.executable, "-m", "stentor.cli", *self._commands[name]]
        try:
            child = processes.spawn(name, argv, os.environ | self._environ)
        except OSError as error:
            log.error("not started", child=name, reason=error.strerror)
            self.supervisor.receive_exit(name, None, time.monotonic())
            return
        media = name.startswith(_MEDIA)
        nice = MEDIA_NICE if media and child.set_nice(MEDIA_NICE) else os.getpriority(os.PRIO_PROCESS, 0)
        self._files.write(child)
        self._hold(child)
        log.info("started", child=name, pid=child.pid, nice=nice)

    def _hold(self, child: Child) -> None:
        self._living[child.name] = child
        self._watch.add(child)

    def _let_go(self, child: Child, code: int | None) -> None:
        del self._living[child.name]
        self._files.drop(child.name)
        self.supervisor.receive_exit(child.name, code, time.monotonic())
        log.info("ended", child=child.name, pid=child.pid, code=code, restarts=self.supervisor.restarts)

    def _farewell(self) -> int:
        if not self.supervisor.failed:
            return 0
        print(f"stentor: {self.supervisor.failed} cannot start; what it said stands above", file=sys.stderr)
        return CANNOT_START
