"""A small MQTT 3.1.1 QoS 1 publisher on a plain socket: many PUBLISH packets per send, PUBACKs counted.

The usual client libraries for Python publish 5-10 thousand messages a second, which is too slow to load the agent.
What the broker has acknowledged is in `acked`: those messages the agent has to deliver.
"""

import socket
import struct
import time

WINDOW = 1000


def _length(n):
    out = bytearray()
    while True:
        n, digit = divmod(n, 128)
        out.append(digit | (0x80 if n else 0))
        if not n:
            return bytes(out)


def _text(s):
    raw = s.encode() if isinstance(s, str) else s
    return struct.pack(">H", len(raw)) + raw


class Publisher:
    def __init__(self, port, client_id="publisher", seconds=10):
        self.sock = socket.create_connection(("127.0.0.1", port), timeout=seconds)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        body = _text("MQTT") + bytes([4, 2]) + struct.pack(">H", 0) + _text(client_id)
        self.sock.sendall(b"\x10" + _length(len(body)) + body)
        answer = self._exactly(4)
        assert answer == b"\x20\x02\x00\x00", f"the broker refused the publisher: {answer.hex()}"
        self.mid = 0
        self.out = {}     # packet id -> what the caller gave as token, not acknowledged yet
        self.acked = []   # tokens in the order of their acknowledgement
        self.rest = b""

    def _exactly(self, n):
        got = b""
        while len(got) < n:
            part = self.sock.recv(n - len(got))
            if not part:
                raise ConnectionError("the broker closed the publisher's connection")
            got += part
        return got

    def _packet(self, topic, payload, token, retain):
        while True:
            self.mid = self.mid % 65535 + 1
            if self.mid not in self.out:
                break
        self.out[self.mid] = token
        body = _text(topic) + struct.pack(">H", self.mid) + payload
        return (b"\x33" if retain else b"\x32") + _length(len(body)) + body

    def _collect(self, wait):
        """Takes PUBACKs; waits for at least one when `wait`."""
        self.sock.settimeout(30 if wait else 0)
        try:
            part = self.sock.recv(65536)
        except BlockingIOError:
            return
        except socket.timeout:
            raise AssertionError(f"mosquitto acknowledged nothing for 30 s, {len(self.out)} are out") from None
        finally:
            self.sock.settimeout(30)
        if not part:
            raise ConnectionError("the broker closed the publisher's connection")
        data = self.rest + part
        whole = len(data) - len(data) % 4
        for at in range(0, whole, 4):
            kind, size, mid = struct.unpack_from(">BBH", data, at)
            assert (kind, size) == (0x40, 2), f"not a PUBACK: {data[at:at + 4].hex()}"
            self.acked.append(self.out.pop(mid))
        self.rest = data[whole:]

    def publish(self, messages, rate=None, retain=False):
        """Messages are (topic, payload bytes, token). With `rate` that many a second; returns when all are acknowledged."""
        start, n, chunk = time.monotonic(), 0, []
        for topic, payload, token in messages:
            chunk.append(self._packet(topic, payload, token, retain))
            n += 1
            if len(chunk) < (max(1, rate // 50) if rate else 250) and len(self.out) < WINDOW:
                continue
            self._send(chunk)
            chunk = []
            if rate:
                time.sleep(max(0.0, start + n / rate - time.monotonic()))
        self._send(chunk)
        self.drain()
        return n

    def _send(self, chunk):
        if chunk:
            self.sock.sendall(b"".join(chunk))
        self._collect(False)
        while len(self.out) >= WINDOW:
            self._collect(True)

    def drain(self):
        while self.out:
            self._collect(True)

    def one(self, topic, payload, retain=False):
        if isinstance(payload, str):
            payload = payload.encode()
        return self.publish([(topic, payload, (topic, payload))], retain=retain)

    def close(self):
        try:
            self.sock.sendall(b"\xe0\x00")
        except OSError:
            pass
        self.sock.close()
