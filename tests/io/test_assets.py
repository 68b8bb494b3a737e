"""Files of pages: hashed as one tree, compressed once, templates filled in or refused."""

import gzip
from pathlib import Path

import pytest

import stentor.web
from stentor.io.assets import AssetError, Assets, lean


@pytest.fixture
def web(tmp_path):
    for name, text in {
        "listen/a.js": 'import "./b.js";' + " " * 500,
        "listen/b.js": "x",
        "listen/index.html": '<script src="{{asset:listen/a.js}}"></script>{{config}} {{show}}',
    }.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


def test_a_page_points_to_files_that_are_there(web):
    assets = Assets(web, ["listen"])
    page = assets.template("listen/index.html", ("show",), config='{"a": 1}').fill(show="talk")
    address = f"/assets/{assets.hash}/listen/a.js"
    assert page.body.decode() == f'<script src="{address}"></script>{{"a": 1}} talk'
    file = assets.get(assets.hash, "listen/a.js")
    assert file.content_type == "text/javascript; charset=utf-8"
    assert gzip.decompress(file.gzipped) == file.body
    assert assets.get(assets.hash, "listen/b.js").gzipped == b""  # would not be smaller


def test_nothing_else_is_served(web):
    assets = Assets(web, ["listen"])
    for name in ("listen/index.html", "listen/../listen/a.js", "/etc/passwd", ""):
        assert assets.get(assets.hash, name) is None
    assert assets.get("00000000", "listen/a.js") is None


def test_any_change_of_any_file_is_another_hash(web):
    before = Assets(web, ["listen"]).hash
    (web / "listen/b.js").write_text("y")
    assert Assets(web, ["listen"]).hash != before


@pytest.mark.parametrize(
    ("text", "reason"), [("{{asset:listen/c.js}}", "asks for asset:listen/c.js"), ("{{nobody}}", "asks for nobody")]
)
def test_a_place_that_nothing_fills_is_refused(web, text, reason):
    (web / "listen/index.html").write_text(text)
    with pytest.raises(AssetError, match=reason):
        Assets(web, ["listen"]).template("listen/index.html")


def test_a_missing_page_is_named(web):
    with pytest.raises(AssetError, match=r"page gone\.html: No such file"):
        Assets(web, ["listen"]).template("gone.html")


def test_an_unknown_type_is_refused(web):
    (web / "listen/x.exe").write_text("")
    with pytest.raises(AssetError, match=r"\.exe"):
        Assets(web, ["listen"])


def test_the_pages_of_the_package_are_whole():
    assets = Assets(Path(stentor.web.__file__).parent, ["listen", "shared"])
    assert b"show-1" in assets.template("listen/index.html", ("show",), config="{}").fill(show="show-1").body
    assert b"nothing" in assets.template("shows/index.html", ("shows",)).fill(shows="nothing").body


def test_what_is_for_readers_of_the_source_is_not_sent():
    script = '/** One.\n * Two: `//x`. */\nlet url = "http://x"; // stays\n  // goes\n    f(`/**\n`);\n'
    assert lean(script) == '\n\nlet url = "http://x"; // stays\n\nf(`/**\n`);\n'


def test_every_script_of_the_pages_keeps_its_lines():
    for path in Path(stentor.web.__file__).parent.glob("[!v]*/*.js"):
        before, after = path.read_text().splitlines(), lean(path.read_text()).splitlines()
        assert len(before) == len(after)
        assert all(short == "" or long.endswith(short) for long, short in zip(before, after, strict=True)), path


def test_what_others_wrote_stays_as_it_came(web):
    (web / "vendor").mkdir()
    (web / "vendor/c.js").write_text("/** Licence */\nx")
    assets = Assets(web, ["vendor"])
    assert assets.get(assets.hash, "vendor/c.js").body == b"/** Licence */\nx"
