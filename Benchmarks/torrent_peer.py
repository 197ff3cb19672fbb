"""One libtorrent peer for the swarm benchmark, told of all others, in a process of its own.

    torrent_peer.py make FILE TORRENT
    torrent_peer.py seed|leech TORRENT DIRECTORY ADDRESS:PORT [ADDRESS:PORT of the others…]

It prints `ready`, starts at the first line on its standard input, prints `done` when it has all,
and serves until its standard input ends. All figures are for one swarm on one local network: no
discovery, no uTP, no encryption, no rate limits, and caches as large as the file.
"""

import select
import sys

import libtorrent

SETTINGS = {
    "enable_dht": False, "enable_lsd": False, "enable_upnp": False, "enable_natpmp": False,
    "enable_outgoing_utp": False, "enable_incoming_utp": False,
    "out_enc_policy": 2, "in_enc_policy": 2,
    "allow_multiple_connections_per_ip": True, "connections_limit": 500,
    "connection_speed": 200, "torrent_connect_boost": 100,
    "unchoke_slots_limit": 8, "max_out_request_queue": 500,
    "send_buffer_watermark": 4 << 20, "send_buffer_low_watermark": 256 << 10,
    "close_redundant_connections": False, "alert_mask": 0, "urlseed_wait_retry": 1,
    "user_agent": "bench",
}

# `create_torrent::v1_only`, which the Python binding of 2.0 does not name.
VERSION_1_ONLY = 1 << 6


def make(path, torrent):
    storage = libtorrent.file_storage()
    libtorrent.add_files(storage, path)
    # Version 1 alone, as most torrents are: hashing twice would cost both cores of a small machine.
    made = libtorrent.create_torrent(storage, 0, VERSION_1_ONLY)
    libtorrent.set_piece_hashes(made, path.rpartition("/")[0])
    with open(torrent, "wb") as out:
        out.write(libtorrent.bencode(made.generate()))


def serve(role, torrent, directory, own, others):
    session = libtorrent.session({**SETTINGS, "listen_interfaces": own})
    parameters = libtorrent.add_torrent_params()
    parameters.ti = libtorrent.torrent_info(torrent)
    parameters.save_path = directory
    parameters.flags &= ~(
        libtorrent.torrent_flags.auto_managed | libtorrent.torrent_flags.paused)
    if role == "seed":
        parameters.flags |= libtorrent.torrent_flags.seed_mode
        handle = session.add_torrent(parameters)
    print("ready", flush=True)
    if not sys.stdin.readline():
        return
    if role == "leech":
        handle = session.add_torrent(parameters)
        for other in others:
            address, _, port = other.rpartition(":")
            handle.connect_peer((address, int(port)))
        while not handle.status().is_finished:
            if select.select([sys.stdin], [], [], 0.05)[0]:
                return
        print(f"done {handle.status().total_failed_bytes}", flush=True)
    while sys.stdin.readline():
        pass


if sys.argv[1] == "make":
    make(*sys.argv[2:4])
else:
    serve(*sys.argv[1:5], sys.argv[5:])
