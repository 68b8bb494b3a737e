-- For wrk: a request that asks for something new.
wrk.method = "POST"
wrk.headers["Content-Length"] = "0"
