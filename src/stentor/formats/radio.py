"""Playlists of one endless stream, as radio players open them: M3U (extended) and PLS (version 2).

Neither has a standard. Both name a title and an address; a length of -1 says that there is no end.
"""

from __future__ import annotations

from stentor.formats.icy import printable

M3U_TYPE = "audio/x-mpegurl"
PLS_TYPE = "audio/x-scpls"


def m3u(url: str, title: str) -> str:
    """One entry; players that know plain M3U only take the lines that begin with # for comments."""
    return f"#EXTM3U\n#EXTINF:-1,{printable(title)}\n{url}\n"


def pls(url: str, title: str) -> str:
    """One entry, with the fields in the order in which WinAmp wrote them."""
    fields = (
        "[playlist]",
        "NumberOfEntries=1",
        f"File1={url}",
        f"Title1={printable(title)}",
        "Length1=-1",
        "Version=2",
    )
    return "\n".join((*fields, ""))
