/* A connection of the crowd's: a socket, with TLS 1.3 on it or without. Nothing here blocks. */
#include <errno.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define SUITES "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256" /* in a browser's order */
#define GROUPS "X25519:P-256"

struct wire {
    int fd;
    SSL *ssl; /* NULL: plain */
};

static SSL_CTX *tls;        /* NULL: all wires are plain */
static SSL_SESSION *ticket; /* the newest, where connections go on from it */
static int resume;
static char suite[64]; /* that was agreed on */

static void die(const char *what) {
    fprintf(stderr, "crowd: %s: %s\n", what, strerror(errno));
    exit(1);
}

static int keep_ticket(SSL *ssl, SSL_SESSION *session) {
    (void)ssl;
    if (!resume) return 0;
    SSL_SESSION_free(ticket);
    ticket = session;
    return 1;
}

/* The chain is not this bench's matter, so its check is left out; the handshake's signature is checked. */
static int trust(X509_STORE_CTX *chain, void *nothing) {
    (void)chain, (void)nothing;
    return 1;
}

/* `mode`: plain, tls or resume */
static void wire_prepare(const char *mode) {
    if (!strcmp(mode, "plain")) return;
    signal(SIGPIPE, SIG_IGN); /* OpenSSL writes without MSG_NOSIGNAL */
    resume = !strcmp(mode, "resume");
    tls = SSL_CTX_new(TLS_client_method());
    if (!tls || !SSL_CTX_set_min_proto_version(tls, TLS1_3_VERSION) || !SSL_CTX_set_ciphersuites(tls, SUITES) ||
        !SSL_CTX_set1_groups_list(tls, GROUPS))
        die("TLS");
    SSL_CTX_set_cert_verify_callback(tls, trust, NULL);
    SSL_CTX_set_mode(tls, SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_options(tls, SSL_OP_IGNORE_UNEXPECTED_EOF); /* some servers end in TCP only; bytes are counted anyway */
    SSL_CTX_set_read_ahead(tls, 1);                         /* a record by one recv() */
    SSL_CTX_set_session_cache_mode(tls, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
    SSL_CTX_sess_set_new_cb(tls, keep_ticket);
}

static void wire_secure(struct wire *wire) {
    wire->ssl = SSL_new(tls);
    if (!wire->ssl || !SSL_set_fd(wire->ssl, wire->fd)) die("SSL_new");
    if (ticket) SSL_set_session(wire->ssl, ticket);
    SSL_set_connect_state(wire->ssl);
}

/* -> -1, with errno as recv() and send() have it */
static int wire_failed(struct wire *wire, int result) {
    int why = SSL_get_error(wire->ssl, result);
    ERR_clear_error();
    errno = why == SSL_ERROR_WANT_READ || why == SSL_ERROR_WANT_WRITE ? EAGAIN : ECONNRESET;
    return -1;
}

/* -> 1 when the handshake is through, else -1 and errno; EAGAIN: once there is more to read */
static int wire_shake(struct wire *wire) {
    int result = SSL_do_handshake(wire->ssl);
    if (result != 1) return wire_failed(wire, result);
    if (!*suite) snprintf(suite, sizeof suite, "%s", SSL_get_cipher_name(wire->ssl));
    return 1;
}

/* As recv(). */
static ssize_t wire_read(struct wire *wire, void *into, size_t size) {
    if (!wire->ssl) return recv(wire->fd, into, size, 0);
    int got = SSL_read(wire->ssl, into, (int)size);
    if (got > 0) return got;
    return SSL_get_error(wire->ssl, got) == SSL_ERROR_ZERO_RETURN ? 0 : wire_failed(wire, got);
}

/* -> whether bytes have been read ahead, of which epoll does not know */
static int wire_pending(const struct wire *wire) { return wire->ssl && SSL_has_pending(wire->ssl); }

/* -> whether it took all */
static int wire_write(struct wire *wire, const char *data, int size) {
    if (!wire->ssl) return send(wire->fd, data, (size_t)size, MSG_NOSIGNAL) == size;
    return SSL_write(wire->ssl, data, size) == size;
}

static void wire_close(struct wire *wire) {
    if (wire->ssl) {
        SSL_set_shutdown(wire->ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN); /* lest its ticket be taken as spoilt */
        SSL_free(wire->ssl);
        wire->ssl = NULL;
    }
    close(wire->fd);
}
