"""Who goes first on a busy machine: the roles that carry the program, before the door and all others."""

from __future__ import annotations

import os

import structlog

from stentor.io.cgroup import CgroupError, Groups
from stentor.io.processes import Child

MEDIA_NICE = -5  # of the roles that carry the program: a crowd at the door must not make them late
WEIGHTS = {"media": 800, "door": 100}  # the door as one of whatever else runs here, however many workers it has
_MEDIA = ("studio", "usher", "edge")
log = structlog.get_logger("serve")


class Priority:
    """Niceness and CPU weights, as far as they are permitted here; the log says how far."""

    def __init__(self) -> None:
        try:
            self._groups: Groups | None = Groups(WEIGHTS)
            log.info("cpu weights", **self._groups.applied)
        except CgroupError as error:
            self._groups = None
            log.info("no cpu weights here", reason=str(error))

    def give(self, child: Child) -> dict[str, object]:
        """-> what `child` has got. To be called before it has threads."""
        media = child.name.startswith(_MEDIA)
        nice = MEDIA_NICE if media and child.set_nice(MEDIA_NICE) else os.getpriority(os.PRIO_PROCESS, 0)
        return {"nice": nice, "cpu": self._weigh(child, "media" if media else "door" if _is_door(child) else "")}

    def _weigh(self, child: Child, group: str) -> str:
        if self._groups is None or not group or not self._groups.put(child.pid, group):
            return ""
        return self._groups.applied[group]

    def close(self) -> None:
        if self._groups is not None:
            self._groups.drop()


def _is_door(child: Child) -> bool:
    return child.name.startswith("door")
