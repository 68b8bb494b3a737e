"""The recorded shows of this installation, the last used of them open."""

from __future__ import annotations

import threading
from collections import OrderedDict
from pathlib import Path

from stentor.nodes.recorded import Recorded

SHOWS_MAX = 8  # open at once; a show of three hours takes some 20 MB


class Shelf:
    """The shows below `data_dir`, the last used of them kept open."""

    def __init__(self, data_dir: Path) -> None:
        self._shows_dir = data_dir / "shows"
        self._open: OrderedDict[str, Recorded] = OrderedDict()
        self._lock = threading.Lock()

    def find(self, show: str) -> Recorded | None:
        """The show as recorded up to now, or None if there is no tape of it. `show` must be a valid id."""
        with self._lock:
            recorded = self._open.pop(show, None) or Recorded(self._shows_dir / show / "tape")
            if not recorded.files.count():  # not kept open: names that are tried push no show out
                return None
            self._open[show] = recorded
            if len(self._open) > SHOWS_MAX:
                self._open.popitem(last=False)
        recorded.refresh()
        return recorded
