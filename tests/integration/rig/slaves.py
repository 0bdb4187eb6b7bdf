"""Strict Modbus slaves behind TCP or a pseudo terminal, that keep what they were asked."""

import contextlib
import os
import pty
import select
import socket
import struct
import threading
import tty


def crc(data):
    value = 0xFFFF
    for byte in data:
        value ^= byte
        for _ in range(8):
            value = value >> 1 ^ (0xA001 if value & 1 else 0)
    return struct.pack("<H", value)


class Slaves:
    """Strict slaves behind TCP or one end of a pseudo terminal: {unit: {function: {address: value}}}."""

    def __init__(self, maps, name=None):
        self.maps, self.name, self.asked, self.over = maps, name, [], False

    def answer(self, unit, pdu):
        self.asked.append(pdu[0])
        if unit not in self.maps:
            return None
        tables = self.maps[unit]
        if pdu[0] == 43 and self.name:
            body = b"".join(bytes([i, len(t)]) + t for i, t in enumerate(self.name))
            return bytes([43, 14, 1, 1, 0, 0, len(self.name)]) + body
        if pdu[0] not in tables:
            return bytes([pdu[0] | 0x80, 1])
        first, count = struct.unpack(">HH", pdu[1:5])
        values = [tables[pdu[0]].get(a) for a in range(first, first + count)]
        if None in values:
            return bytes([pdu[0] | 0x80, 2])
        if pdu[0] <= 2:
            data = sum(bool(v) << i for i, v in enumerate(values)).to_bytes((count + 7) // 8, "little")
        else:
            data = struct.pack(f">{count}H", *values)
        return bytes([pdu[0], len(data)]) + data

    def serve_rtu(self, fd):
        have = b""
        while not self.over:
            if not select.select([fd], [], [], 0.05)[0]:
                have = b""
                continue
            have += os.read(fd, 256)
            for n in (8, 7):
                if len(have) >= n and crc(have[:n - 2]) == have[n - 2:n]:
                    reply = self.answer(have[0], have[1:n - 2])
                    if reply:
                        frame = have[:1] + reply
                        os.write(fd, frame + crc(frame))
                    have = b""
                    break

    def serve_tcp(self, listener):
        while not self.over:
            with contextlib.suppress(OSError):
                peer = listener.accept()[0]
                with peer:
                    while head := peer.recv(7, socket.MSG_WAITALL):
                        pdu = peer.recv(struct.unpack(">H", head[4:6])[0] - 1, socket.MSG_WAITALL)
                        reply = self.answer(head[6], pdu)
                        if reply:
                            peer.sendall(head[:4] + struct.pack(">HB", len(reply) + 1, head[6]) + reply)

    @contextlib.contextmanager
    def on_tcp(self):
        with socket.create_server(("127.0.0.1", 0)) as listener:
            threading.Thread(target=self.serve_tcp, args=(listener,), daemon=True).start()
            yield f"tcp://127.0.0.1:{listener.getsockname()[1]}"
            self.over = True
            listener.shutdown(socket.SHUT_RDWR)

    @contextlib.contextmanager
    def on_line(self):
        ours, theirs = pty.openpty()
        tty.setraw(ours)
        tty.setraw(theirs)
        thread = threading.Thread(target=self.serve_rtu, args=(ours,), daemon=True)
        thread.start()
        path = os.ttyname(theirs)
        yield path
        self.over = True
        thread.join()
        os.close(ours)
        os.close(theirs)
