"""What the benches share: processes pinned to a core, a crowd of listeners, chunks at real time, servers to compare.

What the tests share (tests/support) is found here as well, where the benches have nothing of that name.
"""

from pathlib import Path

__path__.append(str(Path(__file__).parents[2] / "tests" / "support"))
