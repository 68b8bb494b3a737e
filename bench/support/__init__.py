"""What the benches share: processes pinned to a core, a crowd of listeners, chunks at real time, servers to compare."""
