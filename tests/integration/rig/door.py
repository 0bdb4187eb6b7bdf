"""A way to a server that can be shut, can swallow what goes in, and can show a certificate, as long as a test wants it to."""

import contextlib
import select
import socket
import ssl
import threading

from . import wait


class Door:
    """127.0.0.1:`port` leads to 127.0.0.1:`to`. `tls`: a context; then TLS ends here."""

    def __init__(self, to, port=None, tls=None):
        self.to, self.port, self.tls = to, port or wait.free_port(), tls
        self.swallows, self.listener, self.over = False, None, False
        self.inside = set()
        self.open()

    def open(self):
        self.swallows = False
        if self.listener is None:
            self.listener = socket.create_server(("127.0.0.1", self.port))
            threading.Thread(target=self._let_in, args=(self.listener,), daemon=True).start()
        return self

    def swallow(self):
        """Who is in stays in and who comes is let in; nothing goes through any more."""
        self.swallows = True

    def shut(self):
        """Nobody listens here, and who was in is put out."""
        listener, self.listener = self.listener, None
        if listener:
            with contextlib.suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)
            listener.close()
        self.put_out()

    def put_out(self):
        for s in list(self.inside):
            with contextlib.suppress(OSError):
                s.shutdown(socket.SHUT_RDWR)

    def close(self):
        self.over = True
        self.shut()

    def _let_in(self, listener):
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client):
        with contextlib.suppress(OSError), client:
            client.settimeout(10)
            self.inside.add(client)
            try:
                self._lead(client)
            finally:
                self.inside.discard(client)

    def _lead(self, client):
        whole = client
        if self.tls:
            whole = self.tls.wrap_socket(client, server_side=True)
            self.inside.discard(client)
            self.inside.add(whole)
        try:
            with whole, socket.create_connection(("127.0.0.1", self.to), timeout=10) as server:
                while not self.over:
                    if not self._move(whole, server):
                        return
        finally:
            self.inside.discard(whole)

    def _move(self, client, server):
        """What is there, each way; False when one of the two has ended. A shut door has no sockets left: OSError."""
        pending = isinstance(client, ssl.SSLSocket) and client.pending()
        ready = [client] if pending else select.select([client, server], [], [], 0.2)[0]
        for side in ready:
            data = side.recv(65536)
            if not data:
                return False
            while self.swallows and not self.over:
                threading.Event().wait(0.05)
            (server if side is client else client).sendall(data)
        return True


def showing(folder, certificate="server"):
    """A context that shows `certificate`.pem of rig.mosquitto.make_certificates."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(f"{folder}/{certificate}.pem", f"{folder}/server.key")
    return context
