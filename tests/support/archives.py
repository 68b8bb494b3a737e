"""An archive alone, on a data directory of a test's own."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from support.running import Running, installation, until


@contextmanager
def archive_alone(directory: Path) -> Iterator[Running]:
    """An installation of which only the archive runs; it must end cleanly."""
    with installation(directory) as alone:
        process = subprocess.Popen(alone.command("archive"), env=alone.environ)
        try:
            until(lambda: alone.accepts("archive"), "the archive accepts")
            yield alone
        finally:
            process.terminate()
            assert process.wait(10) == 0


def tape_of(archive: Running, show: str) -> Path:
    return archive.settings.data_dir / "shows" / show / "tape"
