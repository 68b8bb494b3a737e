"""The certificate of the servers compared over TLS: ECDSA on P-256, signed by itself."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import NamedTuple


class Certificate(NamedTuple):
    chain: Path
    key: Path


def certificate(directory: Path) -> Certificate:
    """A fresh one in `directory`, for localhost."""
    made = Certificate(directory / "site.crt", directory / "site.key")
    kind = [
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:prime256v1",
        "-nodes",
        "-days",
        "2",
        "-subj",
        "/CN=localhost",
    ]
    argv = ["openssl", "req", "-x509", *kind, "-out", str(made.chain), "-keyout", str(made.key)]
    subprocess.run(argv, check=True, capture_output=True)
    return made
