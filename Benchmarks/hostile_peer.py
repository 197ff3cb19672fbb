"""A peer that lies: it tells the tracker that it holds all of a package, tells its followers the
same, and serves bytes of which every block has one bit flipped.

    hostile_peer.py ORIGIN-URL NAME FILE ADDRESS:PORT

It speaks the protocol of Docs/PROTOCOL.md from outside: nothing in the program helps it. It prints
`ready` once it is announced, and the blocks it has spoilt when its standard input ends.
"""

import http.client
import http.server
import json
import os
import re
import struct
import sys
import threading
import time
import urllib.parse
import urllib.request

BLOCK = 16 << 10
MEDIA_TYPE = "application/vnd.spate"
HAVE, ANNOUNCE = 4, 1
WHOLE = 1
UPLOAD_LIMIT, UPLOAD_RATE = 100, 1 << 30


def number(value):
    out = bytearray()
    while value > 0x7f:
        out.append(value & 0x7f | 0x80)
        value >>= 7
    return bytes(out + bytes([value]))


def header(kind):
    return b"SP" + bytes([kind, 1])


class Package:
    def __init__(self, origin, name, path):
        with urllib.request.urlopen(f"{origin}/-/manifest/{name}") as answer:
            manifest = json.load(answer)
        self.id, self.size = manifest["id"], manifest["size"]
        self.pieces = -(-self.size // manifest["piece_length"])
        self.file = os.open(path, os.O_RDONLY)
        self.spoilt = 0

    def announce(self, peer, port):
        """The whole package is held, from piece 0 on: one run."""
        return (
            header(ANNOUNCE) + b"\0" + peer + struct.pack(">H", port) + b"\0"
            + number(0) + number(UPLOAD_LIMIT) + number(UPLOAD_RATE) + number(1)
            + bytes.fromhex(self.id) + number(self.pieces) + bytes([WHOLE]) + number(0)
            + number(0) + number(1) + number(0) + number(self.pieces) + number(0) + number(0))

    def have(self):
        bitmap = bytearray(b"\xff" * (self.pieces // 8))
        if self.pieces % 8:
            bitmap.append(0xff00 >> self.pieces % 8 & 0xff)
        return header(HAVE) + b"\1" + number(len(bitmap)) + bytes(bitmap)

    def lies(self, first, last):
        part = bytearray(os.pread(self.file, last + 1 - first, first))
        for place in range(first // BLOCK * BLOCK + 7, last + 1, BLOCK):
            if place >= first:
                part[place - first] ^= 0x40
                self.spoilt += 1
        return bytes(part)


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_GET(self):
        package = self.server.package
        if self.path == f"/-/have/{package.id}":
            return self.tell(package)
        wanted = re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers.get("Range", ""))
        if self.path != f"/-/package/{package.id}" or not wanted:
            self.send_response(404)
            self.send_header("Content-Length", "0")
            return self.end_headers()
        first, last = (int(text) for text in wanted.groups())
        last = min(last, package.size - 1)
        self.send_response(206)
        self.send_header("Content-Length", str(last + 1 - first))
        self.send_header("Content-Range", f"bytes {first}-{last}/{package.size}")
        self.end_headers()
        self.wfile.write(package.lies(first, last))

    def tell(self, package):
        """A have-stream stays open, or the follower takes the peer for dead."""
        self.send_response(200)
        self.send_header("Content-Type", MEDIA_TYPE)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        frames = package.have()
        while True:
            self.wfile.write(b"%x\r\n%s\r\n" % (len(frames), frames))
            time.sleep(5)
            frames = b"\0\0"

    def log_message(self, *words):
        pass


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, request, client_address):
        """Its clients hang up on it, as they should."""


def announce_for_ever(origin, body):
    host = urllib.parse.urlsplit(origin).netloc
    told = False
    while True:
        try:
            connection = http.client.HTTPConnection(host, timeout=5)
            connection.request("POST", "/-/announce", body, {"Content-Type": MEDIA_TYPE})
            answer = connection.getresponse()
            answer.read()
            connection.close()
            if answer.status != 200:
                # Not the thread alone: whoever waits for `ready` would wait for ever.
                print(f"announce: {answer.status}", file=sys.stderr, flush=True)
                os._exit(1)
            if not told:
                print("ready", flush=True)
            told = True
        except OSError:
            pass
        time.sleep(1)


def main():
    origin, name, path, address = sys.argv[1:5]
    host, _, port = address.rpartition(":")
    package = Package(origin, name, path)
    server = Server((host, int(port)), Handler)
    server.package = package
    threading.Thread(target=server.serve_forever, daemon=True).start()
    body = package.announce(os.urandom(16), int(port))
    threading.Thread(target=announce_for_ever, args=(origin, body), daemon=True).start()
    sys.stdin.read()
    print(package.spoilt, flush=True)


main()
