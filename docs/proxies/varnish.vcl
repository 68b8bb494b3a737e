# Varnish in front of the edges: however many players ask for a part, an edge is asked once.
# A blocking reload waits at the edge; everybody who asks the same meanwhile waits here, on the same object.
vcl 4.1;

backend edge {
    .host = "127.0.0.1";
    .port = "8001";
    .first_byte_timeout = 20s; # a blocking reload may wait for some parts
}

sub vcl_recv {
    if (req.method != "GET" && req.method != "HEAD") {
        return (pass);
    }
    # Playlists, parts and segments, the same for everybody. Mounts are endless and tickets personal: they go through.
    if (req.url !~ "^/live/[^/?]+/(now$|[a-z-]+/)") {
        return (pipe);
    }
    unset req.http.Cookie;
    unset req.http.Authorization;
    return (hash);
}

sub vcl_backend_response {
    set beresp.grace = 0s; # an old playlist is worse than none
    if (beresp.status >= 400) {
        set beresp.ttl = 0.2s; # "not yet" is soon over
    }
}
