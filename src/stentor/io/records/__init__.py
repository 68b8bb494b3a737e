"""The records: shows, seats and what was done to them, in a database that only the desk opens.

SQLite by default (WAL, foreign keys, every commit on disk before it is answered); other databases by URL.
`Records` brings the tables up to date when it is opened.
"""

from stentor.io.records.store import Change, Records, RecordsError, Stored

__all__ = ["Change", "Records", "RecordsError", "Stored"]
