"""TCP for edge and door: one thread, one epoll loop. `loop` waits, `http` reads requests and writes answers, `server`
takes connections in, `mounts` sends endless streams, `sockets` opens what they stand on."""
