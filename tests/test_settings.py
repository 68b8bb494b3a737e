"""Settings: where a value comes from, what is refused, and that the documentation is that of the code."""

from pathlib import Path

import pytest

from stentor import settings
from stentor.settings import SettingError

SETTINGS_MD = Path(__file__).parents[1] / "docs" / "SETTINGS.md"


def test_environment_wins_over_file_over_default(tmp_path: Path) -> None:
    file = tmp_path / "stentor.toml"
    file.write_text('edges = 2\nbind = "0.0.0.0"\n')
    loaded = settings.load({"STENTOR_EDGES": "3"}, file)
    assert (loaded.edges, loaded.bind, loaded.doors) == (3, "0.0.0.0", 1)


def test_a_child_gets_the_same_settings(tmp_path: Path) -> None:
    loaded = settings.load({"STENTOR_STEMS": "0", "STENTOR_LAG_SKIP_S": "2.5"}, tmp_path / "none")
    assert settings.load(settings.to_environ(loaded), tmp_path / "none") == loaded


@pytest.mark.parametrize(
    ("environ", "reason"),
    [
        ({"STENTOR_EGDES": "2"}, "unknown setting: egdes"),
        ({"STENTOR_EDGES": "two"}, "edges: 'two' is not a int"),
        ({"STENTOR_DOOR_PORT": "80000"}, "beyond 65535"),
        ({"STENTOR_DOOR_PORT": "8001"}, "two roles share a port"),
        ({"STENTOR_EDGES": "0"}, "at least one edge"),
        ({"STENTOR_SPEAKERS_MAX": "0"}, "speakers_max must be 1"),
        ({"STENTOR_TICKET_LIFE_S": "86400"}, "ticket_life_s must be 3600 or less"),
        ({"STENTOR_EDGE_GROUP": "70000"}, "edge_group must be 65535 or less"),
        ({"STENTOR_LISTENERS_MAX": "0"}, "listeners_max must be 1"),
        ({"STENTOR_CAPACITY": "-1"}, "capacity must be 0"),
        ({"STENTOR_HOLD_GRACE_MS": "500"}, "hold_grace_ms must be below edge_grace_ms"),
    ],
)
def test_what_cannot_be_is_refused_with_the_reason(environ: dict[str, str], reason: str, tmp_path: Path) -> None:
    with pytest.raises(SettingError, match=reason):
        settings.load(environ, tmp_path / "none")


def test_a_broken_file_is_named(tmp_path: Path) -> None:
    file = tmp_path / "stentor.toml"
    file.write_text("edges = = 2")
    with pytest.raises(SettingError, match=r"stentor\.toml"):
        settings.load({}, file)


def test_the_table_in_docs_is_made_from_the_code() -> None:
    assert SETTINGS_MD.read_text() == settings.table() + "\n", "run: python -m stentor.settings > docs/SETTINGS.md"
