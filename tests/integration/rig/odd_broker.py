"""An MQTT broker with manners of its own, for one agent: it remembers what it sent, how often, and what was acknowledged.

Every message is a number of its own on one topic.  A session outlives connections and kills; what was not acknowledged is sent
again when it is resumed.  `manners`, chosen anew for each connection, says how a broker may misbehave; without any it is polite.
Acknowledgements come in the order of the messages, so each is taken for the first that waits: packet ids may be used twice.
"""

import collections
import contextlib
import random
import select
import socket
import struct
import threading
import time

CONNECT, PUBLISH, PUBACK, SUBSCRIBE, UNSUBSCRIBE, PINGREQ, DISCONNECT = 1, 3, 4, 8, 10, 12, 14


def varint(n):
    out = bytearray()
    while True:
        n, digit = divmod(n, 128)
        out.append(digit | (0x80 if n else 0))
        if not n:
            return bytes(out)


def packet(first, body):
    return bytes([first]) + varint(len(body)) + body


class Manners:
    """How one connection goes. A polite broker's; the odd ones are told by what they set."""

    def __init__(self, **odd):
        self.window = 100            # messages that may be out
        self.properties = b""        # of the CONNACK, MQTT 5
        self.granted = 1             # the QoS of the subscription
        self.lies_present = None     # what the CONNACK says of the session; None: the truth
        self.loses_session = False   # it is a new one; what was out is ...
        self.sends_lost = False      # ... sent again as if it were new; else it is gone
        self.forgets_dup = False     # what is sent again does not say so
        self.dup_on_new = 0.0        # this part of new messages says DUP
        self.again = 0.0             # this part is sent twice on one connection, the second time with DUP
        self.ids = "next"            # "lowest": the lowest that is free; "reused": one that is out, sometimes
        self.cut_after = None        # bytes of messages, then the connection is closed, mostly within a packet
        self.chunk = None            # so many bytes with each send
        self.skips_acked = False     # the connection is closed with acknowledgements unread
        self.odd = odd
        for name, value in odd.items():
            assert hasattr(self, name), name
            setattr(self, name, value)


class Message:
    __slots__ = ("value", "mid", "sends", "forced", "history")

    def __init__(self, value):
        self.value, self.mid = value, 0
        self.sends = 0       # complete ones
        self.forced = False  # it was sent again so that nobody can know that it is the same
        self.history = []    # (connection, packet id, DUP)


class OddBroker(threading.Thread):
    """`topic(value)` says where a message goes. `rate`: new ones a second."""

    def __init__(self, topic, rate=300, manners=None, seed=0):
        super().__init__(daemon=True)
        self.topic, self.rate = topic, rate
        self.manners = manners or (lambda chance: Manners())
        self.chance = random.Random(seed)
        self.door = socket.create_server(("127.0.0.1", 0))
        self.port = self.door.getsockname()[1]
        self.url = f"mqtt://127.0.0.1:{self.port}"
        self.lock = threading.Lock()
        self.acked = []              # values at QoS 1
        self.sent = {}               # value -> Message
        self.out = []                # of the session: sent at QoS 1 and not acknowledged, in order
        self.has_session = False
        self.last_mid, self.n_values = 0, 0
        self.paused, self.over, self.fault = False, False, None
        self.connections, self.diary = collections.Counter(), []
        self.start()

    # ---- for the test ----

    def idle(self):
        """Nothing is out."""
        with self.lock:
            return not self.out

    def taken(self):
        with self.lock:
            return list(self.acked)

    def pause(self, on=True):
        self.paused = on

    def state(self):
        return f"connections: {dict(self.connections)}, {len(self.out)} out: {[(m.value, m.history) for m in self.out[:5]]}"

    def hang_up(self):
        """The connection that is there is closed."""
        with contextlib.suppress(OSError, AttributeError):
            self.client.shutdown(socket.SHUT_RDWR)

    def stop(self):
        self.over = True
        self.join(10)
        self.door.close()
        assert not self.is_alive()
        if self.fault:
            raise self.fault

    # ---- the thread ----

    def run(self):
        self.door.settimeout(0.1)
        while not self.over:
            try:
                client, _ = self.door.accept()
            except OSError:
                continue
            try:
                self.serve(client)
            except OSError:
                pass
            except Exception as e:  # told by stop()
                self.fault = self.fault or e
            finally:
                client.close()

    def serve(self, client):
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.client, self.rest, self.v5 = client, b"", True
        self.m, self.n_bytes, self.waiting = self.manners(self.chance), 0, collections.deque()
        self.again, self.up, self.due = collections.deque(), False, time.monotonic()
        while not self.over:
            if select.select([client], [], [], 0.005)[0]:
                part = client.recv(65536)
                if not part:
                    return
                if not self.packets(part):
                    return
            if self.up and not self.send_some():
                return

    def packets(self, part):
        """False: the connection is over."""
        self.rest += part
        while len(self.rest) >= 2:
            size, at, shift = 0, 1, 0
            while at < len(self.rest) and self.rest[at] & 128:
                size, at, shift = size | (self.rest[at] & 127) << shift, at + 1, shift + 7
            if at == len(self.rest):
                break
            size, at = size | self.rest[at] << shift, at + 1
            if len(self.rest) < at + size:
                break
            first, body = self.rest[0], self.rest[at:at + size]
            self.rest = self.rest[at + size:]
            if not self.take(first >> 4, first, body):
                return False
        return True

    def take(self, kind, first, body):
        if kind == CONNECT:
            self.greet(body)
        elif kind == SUBSCRIBE:
            n = self.filters(body, 1)
            self.client.sendall(packet(0x90, body[:2] + (b"\x00" if self.v5 else b"") + bytes([self.m.granted]) * n))
            self.begin()
        elif kind == UNSUBSCRIBE:
            self.client.sendall(packet(0xb0, body[:2] + (b"\x00" + b"\x00" * self.filters(body, 0) if self.v5 else b"")))
        elif kind == PUBACK:
            self.take_ack(int.from_bytes(body[:2], "big"))
        elif kind == PUBLISH and first & 6:
            at = 2 + int.from_bytes(body[:2], "big")
            self.client.sendall(b"\x40\x02" + body[at:at + 2])
        elif kind == PINGREQ:
            self.client.sendall(b"\xd0\x00")
        return kind != DISCONNECT

    def filters(self, body, options):
        at, n = 2, 0
        if self.v5:
            at += 1 + body[at]
        while at < len(body):
            at, n = at + 2 + int.from_bytes(body[at:at + 2], "big") + options, n + 1
        return n

    def greet(self, body):
        self.v5 = body[6] == 5
        m = self.m
        with self.lock:
            had = self.has_session
            if m.loses_session and had:
                self.lose()
            present = had and not m.loses_session if m.lies_present is None else m.lies_present
            # Without a session, or without the flag, nobody can know what was sent before.
            if not present or m.forgets_dup:
                for message in self.out:
                    message.forced = True
            self.again.extend(self.out)
            self.has_session = True
        self.connections["present" if present else "new"] += 1
        self.diary.append(f"connection {sum(self.connections.values())}: {'5' if self.v5 else '3.1.1'}, session "
                          f"{'present' if present else 'new'}, {m.odd}, out: {[(o.value, o.mid) for o in self.out][:60]}")
        properties = varint(len(m.properties)) + m.properties if self.v5 else b""
        self.client.sendall(packet(0x20, bytes([1 if present else 0, 0]) + properties))
        if had and present and not self.v5:
            self.begin()  # 3.1.1 does not subscribe again

    def lose(self):
        if not self.m.sends_lost:
            self.out = []
        for message in self.out:
            message.mid = 0

    def begin(self):
        self.up = True
        self.due = time.monotonic()

    def take_ack(self, mid):
        assert self.waiting, f"an acknowledgement of {mid}, and nothing waits for one"
        message, sent_mid = self.waiting.popleft()
        assert sent_mid == mid, f"{mid} was acknowledged before {sent_mid}"
        with self.lock:
            self.acked.append(message.value)
            if message in self.out:
                self.out.remove(message)

    # ---- sending ----

    def choose_mid(self, message):
        used = {m.mid for m in self.out if m is not message}
        if self.m.ids == "reused" and used and self.chance.random() < 0.05:
            for m in self.out:
                m.forced = True
            message.forced = True
            return self.chance.choice(sorted(used))
        if self.m.ids == "lowest":
            return next(mid for mid in range(1, 65536) if mid not in used)
        while True:
            self.last_mid = self.last_mid % 65535 + 1
            if self.last_mid not in used:
                return self.last_mid

    def put(self, message, dup):
        """False: the connection was cut within it, or behind it."""
        qos = self.m.granted
        topic = self.topic(message.value).encode()
        first = 0x30 | qos << 1 | (8 if dup and qos else 0)
        body = struct.pack(">H", len(topic)) + topic + (struct.pack(">H", message.mid) if qos else b"")
        raw = packet(first, body + (b"\x00" if self.v5 else b"") + b"%d" % message.value)
        cut = self.m.cut_after
        if cut is not None and self.n_bytes + len(raw) > cut:
            self.client.sendall(raw[:max(0, cut - self.n_bytes)])
            return False
        self.n_bytes += len(raw)
        message.sends += 1
        message.history.append((sum(self.connections.values()), message.mid, dup))
        if qos:
            self.waiting.append((message, message.mid))
        step = self.m.chunk or len(raw)
        for at in range(0, len(raw), step):
            self.client.sendall(raw[at:at + step])
        return True

    def send_again(self):
        while self.again and len(self.waiting) < self.m.window:
            message = self.again.popleft()
            if not message.mid or not self.m.granted:
                message.forced = True  # it has no packet id, or another one
            if not message.mid:
                message.mid = self.choose_mid(message)
            if not self.put(message, not self.m.forgets_dup):
                return False
        return True

    def send_some(self):
        with self.lock:
            if not self.send_again():
                return False
            now = time.monotonic()
            if self.paused:
                self.due = now
            while not self.paused and self.due <= now and not self.again and len(self.waiting) < self.m.window:
                self.due += 1 / self.rate
                self.n_values += 1
                message = self.sent[self.n_values] = Message(self.n_values)
                if self.m.granted:
                    message.mid = self.choose_mid(message)
                    self.out.append(message)
                message.forced = message.forced or self.m.granted == 0
                dup = self.chance.random() < self.m.dup_on_new
                message.forced = message.forced or dup
                if not self.put(message, dup):
                    return False
                if self.m.granted and self.chance.random() < self.m.again:
                    message.forced = True
                    if not self.put(message, True):
                        return False
            if self.m.skips_acked and len(self.waiting) > self.m.window // 2:
                return False
        return True
