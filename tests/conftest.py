from collections.abc import Iterator
from pathlib import Path

import pytest

from support.running import Running, installation


@pytest.fixture
def stopped(tmp_path: Path) -> Iterator[Running]:
    """An installation of Stentor that is not started."""
    with installation(tmp_path) as running:
        yield running


@pytest.fixture
def running(stopped: Running) -> Running:
    """An installation of Stentor with all roles up."""
    stopped.start()
    return stopped
