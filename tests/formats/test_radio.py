"""Playlists for radio players."""

from configparser import RawConfigParser

from stentor.formats.radio import m3u, pls

URL = "http://radio.example:8000/s/talk/listen.mp3"


def test_a_plain_reader_of_m3u_finds_the_address_alone():
    lines = m3u(URL, "Ada & Grace").splitlines()
    assert [line for line in lines if not line.startswith("#")] == [URL]
    assert lines[:2] == ["#EXTM3U", "#EXTINF:-1,Ada & Grace"]


def test_a_pls_is_an_ini_file():
    parser = RawConfigParser()
    parser.read_string(pls(URL, "Ada & Grace"))
    expected = {"numberofentries": "1", "file1": URL, "title1": "Ada & Grace", "length1": "-1", "version": "2"}
    assert dict(parser["playlist"]) == expected


def test_a_title_adds_no_line():
    for write in (m3u, pls):
        assert len(write(URL, "a\r\nFile1=http://evil").splitlines()) == len(write(URL, "a").splitlines())
