#!/usr/bin/python3
"""Writes the vectors of PiecesRootTests: what libtorrent gives for files of chosen sizes.

Needs Debian's python3-libtorrent. Byte i of every file is
(7 i + 13 (i >> 8) + 29 (i >> 16)) mod 256. Prints, for each size, BEP 52's pieces root, the SHA-256
of the piece layer at 64 KiB (`-` where the file has one piece and so no layer), and the SHA-256 and
MD5 of the whole file.
"""

import hashlib
import os
import tempfile

import libtorrent

PIECE = 64 * 1024
SIZES = [0, 1, 16383, 16384, 16385, 65536, 65537, 1 << 20, (100 << 20) + 1]

CHUNKS = [bytes((7 * j + c) & 255 for j in range(256)) for c in range(256)]


def content(size):
    count = (size + 255) // 256
    return b"".join(CHUNKS[(13 * n + 29 * (n >> 8)) & 255] for n in range(count))[:size]


def vector(size):
    with tempfile.TemporaryDirectory() as directory:
        path = os.path.join(directory, "file")
        data = content(size)
        with open(path, "wb") as file:
            file.write(data)
        storage = libtorrent.file_storage()
        libtorrent.add_files(storage, path)
        # A torrent of an empty file alone is refused: a neighbour of one byte keeps it company.
        if size == 0:
            storage = libtorrent.file_storage()
            neighbour = os.path.join(directory, "neighbour")
            with open(neighbour, "wb") as file:
                file.write(b"x")
            libtorrent.add_files(storage, directory)
        torrent = libtorrent.create_torrent(storage, PIECE, libtorrent.create_torrent.v2_only)
        libtorrent.set_piece_hashes(torrent, os.path.dirname(directory if size == 0 else path))
        made = torrent.generate()
        entry = made[b"info"][b"file tree"]
        if size == 0 and b"file" not in entry:
            entry = next(iter(entry.values()))
        entry = entry[b"file"][b""]
        root = entry.get(b"pieces root")
        layer = made.get(b"piece layers", {}).get(root)
        return (
            root.hex() if root else "none",
            hashlib.sha256(layer).hexdigest() if layer else "-",
            hashlib.sha256(data).hexdigest(),
            hashlib.md5(data).hexdigest(),
        )


for size in SIZES:
    print(size, *vector(size))
