"""A crowd on a network of namespaces: an origin at host 0, downloads at the others, and what became
of them."""

import hashlib
import json
import os
import re
import select
import shutil
import subprocess
import threading
import time

from stage import (
    CLOCK_TICKS, KIB, MIB, Server, await_manifest, fail, idle_ticks, origin_copies, spate_origin)

PORT = 8400
# Below this the processors may have been the limit, not the network.
IDLE_LEAST = 0.25
DEADLINE = 300


def tmpfs(stage, size, pages="within_size"):
    """The stage's own tmpfs: a container's /dev/shm is too small for so many copies. Of huge pages
    where a file is large enough, so that finding memory for so many copies costs less."""
    options = f"size={size}"
    if os.path.exists("/sys/kernel/mm/transparent_hugepage/shmem_enabled"):
        options += f",huge={pages}"
    subprocess.run(
        ["mount", "-t", "tmpfs", "-o", options, "spate-bench", stage.path], check=True)
    stage.closing.append(lambda: subprocess.run(["umount", "--lazy", stage.path], check=False))
    stage.file_system = "tmpfs"


class UsedMemory:
    """Memory that was used before, for as many bytes as files will need, given back as it is needed.
    What a virtual machine touches for the first time its host must find first, page by page: seconds
    a GiB, spent by whoever is first, and none of them the program's. A host takes free pages back
    within seconds, so these are kept in use until something else in the machine wants them.

    A kernel hands out the pages that were freed last, but those of the size that is asked for before
    larger ones that must be split, and free neighbours become a larger one. So every other huge page
    is given back first, and then the others, whose neighbours are in use again by then."""

    # Free memory is kept this far above what it was: as much as is asked for between two looks.
    AHEAD = 64 * MIB
    PAUSE = 0.05
    PAGE = 2 * MIB

    def __init__(self, stage, size):
        part = bytes(self.PAGE)
        self.files = [self.unnamed(stage(f"touched-{number}"), size // 2) for number in range(2)]
        for _ in range(0, size // 2, len(part)):
            for file in self.files:
                file.write(part)
        self.left = [size // 2 for _ in self.files]
        self.least = self.free() + self.AHEAD
        self.is_over = threading.Event()
        self.thread = threading.Thread(target=self.give_back, daemon=True)

    @staticmethod
    def unnamed(path, size):
        file = open(path, "wb", buffering=0)
        os.unlink(path)
        # Long at once, so that it is of huge pages where the file system has them.
        file.truncate(size)
        return file

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *failure):
        self.is_over.set()
        self.thread.join()
        for file in self.files:
            file.close()

    def give_back(self):
        while any(self.left) and not self.is_over.wait(self.PAUSE):
            lack = self.least - self.free()
            if lack > 0:
                number = 0 if self.left[0] > 0 else 1
                self.left[number] = max(0, self.left[number] - lack)
                self.files[number].truncate(self.left[number])

    @staticmethod
    def free():
        with open("/proc/meminfo") as memory:
            return KIB * int(re.search(r"MemFree:\s+(\d+)", memory.read()).group(1))


class Tally:
    """Seconds until each download was done, and what they took of the machine."""

    def __init__(self):
        self.times, self.copies, self.failed, self.cpu = [], 0.0, 0, 0.0
        self.ticks = idle_ticks()
        self.started = time.monotonic()

    def over(self, processes):
        """All that counts has happened; the processes still run."""
        idle, total = (now - then for now, then in zip(idle_ticks(), self.ticks))
        self.idle = idle / max(total, 1)
        self.machine = (total - idle) / CLOCK_TICKS
        self.cpu = sum(
            Server("", process, 0).cpu_seconds() for process in processes if is_running(process))

    @property
    def remark(self):
        if self.idle < IDLE_LEAST:
            return "discarded: the processors were the limit"
        return f"{self.failed} failed" if self.failed else ""


def is_running(process):
    return process.poll() is None


def lines_from(processes, count, deadline=DEADLINE):
    """Yields (second, process, line) as the processes say one line each, until `count` have."""
    waiting = {process.stdout: process for process in processes}
    limit = time.monotonic() + deadline
    while count > 0 and waiting:
        ready = select.select(list(waiting), [], [], max(limit - time.monotonic(), 0))[0]
        if not ready:
            fail(f"{len(waiting)} of {len(processes)} peers were not done in {deadline} s")
        for stream in ready:
            line = stream.readline()
            process = waiting.pop(stream)
            count -= 1
            yield time.monotonic(), process, line


class Crowd:
    """One run: an origin with one file, and `spate get` at as many hosts as are started."""

    def __init__(self, stage, network, spate, size, loops=None):
        self.stage, self.network, self.spate, self.size = stage, network, spate, size
        self.loops = loops
        self.out = stage("out", "")
        self.origin = self.start_origin()
        await_manifest(self.origin, "file", network.inside(0))
        self.downloads = {}

    def start_origin(self):
        return spate_origin(
            self.stage, self.spate, loops=self.loops, namespace=self.network.hosts[0],
            listen=f"{self.network.address(0)}:{PORT}")

    def path(self, number):
        return f"{self.out}{number}"

    def download(self, number, seeds="10m", output=None):
        """Starts `spate get` at a host."""
        process = self.stage.start(
            [self.spate, "get", f"{self.origin.url}/file", "-o", output or self.path(number),
             "--json", "--listen", f"{self.network.address(number)}:{PORT}", "--seed-for", seeds],
            namespace=self.network.hosts[number], stdout=subprocess.PIPE,
            stderr=open(f"{self.path(number)}.log", "w"), text=True)
        process.number = number
        self.downloads[number] = process
        return process

    def is_done(self, process, line):
        """Whether a download that said `line` has all; says why when it has not."""
        if line and json.loads(line)["bytes"] == self.size:
            return True
        with open(f"{self.path(process.number)}.log") as log:
            print(f"peer {process.number} failed: {log.read().strip()}", flush=True)
        return False

    def await_all(self, tally):
        """Until every download has said how it ended; the seconds count from the tally's start."""
        processes = list(self.downloads.values())
        for second, process, line in lines_from(processes, len(processes)):
            if self.is_done(process, line):
                tally.times.append(second - tally.started)
            else:
                tally.failed += 1

    def copies(self):
        return origin_copies(self.origin, self.size, self.network.inside(0))

    def curl(self, number, url, *words):
        """What a host is told at a URL, or an empty text."""
        return subprocess.run(
            [*self.network.inside(number), "curl", "-sf", "-m", "2", *words, url],
            capture_output=True, text=True).stdout

    def clear(self):
        clear(self.stage, [*self.downloads.values(), self.origin.process], self.out)


def clear(stage, processes, out):
    for process in processes:
        if is_running(process):
            process.terminate()
    for process in processes:
        stage.ended(process)
    shutil.rmtree(out, ignore_errors=True)


def sha256(path):
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while part := file.read(4 * MIB):
            digest.update(part)
    return digest.hexdigest()


def fluid_bound(size, origin, links):
    """Kumar and Ross (2006): nobody is faster than its own line, none of the bytes reaches anybody
    before it left the origin, and together they cannot receive more than all can send."""
    return max(
        size / origin.up_rate, size / min(link.down_rate for link in links),
        len(links) * size / (origin.up_rate + sum(link.up_rate for link in links)))
