from collections.abc import Iterator
from pathlib import Path

import pytest

from support.running import Running, installation

LONG = ("scenario", "browser")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files that take long go first: no worker of `make test` is left alone with one of them at the end."""
    items.sort(key=lambda item: item.path.parent.name not in LONG)


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
