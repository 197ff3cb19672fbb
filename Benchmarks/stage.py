"""What every benchmark here stands on: processes that never outlive it, servers to compare, the
arithmetic of repeated runs, and tables."""

import argparse
import ctypes
import os
import platform
import re
import resource
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time

KIB, MIB, GIB = 1 << 10, 1 << 20, 1 << 30
CLOCK_TICKS = os.sysconf("SC_CLK_TCK")
PR_SET_PDEATHSIG = 1
LIBC = ctypes.CDLL(None)


def fail(reason):
    sys.exit(f"{os.path.basename(sys.argv[0])}: {reason}")


def arguments(description):
    """The options all benchmarks share; `spate` is the program under test."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("spate", help="the release binary")
    parser.add_argument("--rounds", type=int, default=3, help="repetitions, in turn [3]")
    parser.add_argument("--on", metavar="DIR", help="where the files lie [a tmpfs with room]")
    return parser


def needs(*programs):
    for program in programs:
        if not shutil.which(program):
            fail(f"{program} is missing: run .ci/install bench")


class Process(subprocess.Popen):
    """A child that dies with this one. `usage` is what wait4 says of it."""

    def __init__(self, argv, cpu=None, namespace=None, **options):
        prefix = []
        if namespace:
            prefix += ["nsenter", f"--net=/run/netns/{namespace}"]
        if cpu is not None:
            prefix += ["taskset", "-c", str(cpu)]
        super().__init__(
            prefix + [str(word) for word in argv],
            preexec_fn=lambda: LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGTERM), **options)

    def end(self):
        if self.poll() is None:
            self.terminate()
            try:
                self.wait(timeout=10)
            except subprocess.TimeoutExpired:
                self.kill()
                self.wait()

    def finish(self):
        """Waits, and returns the wall second of its end and its resource usage."""
        _, status, usage = os.wait4(self.pid, 0)
        self.returncode = os.waitstatus_to_exitcode(status)
        return time.monotonic(), usage


class Stage:
    """A directory and the processes in it; all of it is gone afterwards, whatever happens."""

    def __init__(self, on=None, room=0):
        for number in (signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, lambda number, frame: sys.exit(128 + number))
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        on = on or next(
            (place for place in ("/dev/shm", tempfile.gettempdir())
             if os.access(place, os.W_OK) and shutil.disk_usage(place).free > room), None)
        if on is None or shutil.disk_usage(on).free <= room:
            fail(f"needs {room / GIB:.1f} GiB of room; name a directory with --on")
        self.path = tempfile.mkdtemp(prefix="spate-bench-", dir=on)
        self.file_system = subprocess.run(
            ["stat", "-f", "-c", "%T", self.path], capture_output=True, text=True).stdout.strip()
        self.processes = []
        self.closing = []

    def __enter__(self):
        return self

    def __exit__(self, *failure):
        for process in self.processes:
            if process.poll() is None:
                process.terminate()
        for process in self.processes:
            process.end()
        for close in reversed(self.closing):
            close()
        shutil.rmtree(self.path, ignore_errors=True)

    def __call__(self, *names):
        path = os.path.join(self.path, *names)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        return path

    def file(self, name, size):
        """Random bytes, so that nothing on the way can make them fewer."""
        path = self("files", name)
        with open(path, "wb") as out:
            for offset in range(0, size, 4 * MIB):
                out.write(os.urandom(min(4 * MIB, size - offset)))
        return path

    def start(self, argv, **options):
        process = Process(argv, **options)
        self.processes.append(process)
        return process

    def ended(self, process):
        process.end()
        self.processes.remove(process)


class Server:
    """A running server: where it is and what it costs."""

    def __init__(self, name, process, port, host="127.0.0.1", scheme="http"):
        self.name, self.process, self.port, self.host = name, process, port, host
        self.url = f"{scheme}://{host}:{port}"

    @property
    def pids(self):
        """The process and the workers it started."""
        found = [self.process.pid]
        with open(f"/proc/{self.process.pid}/task/{self.process.pid}/children") as children:
            found += [int(word) for word in children.read().split()]
        return found

    def cpu_seconds(self):
        ticks = 0
        for pid in self.pids:
            with open(f"/proc/{pid}/stat") as stat:
                fields = stat.read().rpartition(")")[2].split()
            ticks += int(fields[11]) + int(fields[12])
        return ticks / CLOCK_TICKS

    def private_bytes(self):
        """Anonymous resident memory: what the program itself holds, not its text or page cache."""
        total = 0
        for pid in self.pids:
            with open(f"/proc/{pid}/status") as status:
                total += KIB * int(re.search(r"RssAnon:\s+(\d+)", status.read()).group(1))
        return total


def spate_origin(
        stage, spate, loops=None, cpu=None, listen="127.0.0.1:0", namespace=None, identity=None):
    """With an `identity`, a certificate's and its key's files, over TLS only."""
    log, out = stage("origin.log"), stage("origin.out")
    argv = [spate, "origin", stage("files", ""), "--state", stage("state", "")]
    argv += ["--tls-listen" if identity else "--listen", listen]
    if identity:
        argv += ["--tls-cert", identity[0], "--tls-key", identity[1]]
    argv += ["--log", "warning"] + (["--loops", loops] if loops else [])
    process = stage.start(
        argv, cpu=cpu, namespace=namespace, stdout=open(out, "w"), stderr=open(log, "w"))
    address = line_of(process, out, r"listening on (\S+)", log)
    host, _, port = address.rpartition(":")
    return Server("spate", process, int(port), host, "https" if identity else "http")


def line_of(process, path, pattern, log):
    """Waits for a line that says what `pattern` asks for."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline and process.poll() is None:
        with open(path) as lines:
            match = re.search(pattern, lines.read())
        if match:
            return match.group(1)
        time.sleep(0.01)
    with open(log) as lines:
        fail(f"{process.args} did not start: {lines.read()[-500:]}")


def await_manifest(server, name, run=()):
    """Until the origin has hashed the file, which it does once in its life."""
    deadline = time.monotonic() + 120
    url = f"{server.url}/-/manifest/{name}"
    while subprocess.run([*run, "curl", "-sfk", "-o", "/dev/null", url]).returncode != 0:
        if time.monotonic() > deadline:
            fail(f"no manifest of {name} in two minutes")
        time.sleep(0.1)


def origin_copies(server, size, run=()):
    """Copies of a file of `size` bytes that the origin has sent since it started."""
    metrics = subprocess.run(
        [*run, "curl", "-sf", f"{server.url}/-/metrics"], capture_output=True, text=True).stdout
    return sum(
        float(line.split()[-1]) for line in metrics.splitlines()
        if line.startswith("spate_sent_content_bytes_total")) / size


NGINX_TEMPORARIES = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")


def nginx_configuration(
        stage, port, workers, name="nginx", extra=(), identity=None, tls_buffer="16k"):
    """nginx as one tunes it for static files, over TLS when it has an identity; `extra` are lines
    of its http block."""
    build = subprocess.run(["nginx", "-V"], capture_output=True, text=True).stderr
    lines = [
        "daemon off;", f"worker_processes {workers};", "worker_rlimit_nofile 65536;",
        f"error_log {stage(name, 'error.log')} warn;", f"pid {stage(name, 'pid')};",
        "events { worker_connections 16384; }", "http {",
        "  sendfile on;", "  tcp_nopush on;", "  open_file_cache max=10000 inactive=60s;",
        "  access_log off;", "  keepalive_requests 1000000;",
        "  default_type application/octet-stream;"]
    lines += [f"  {line}" for line in extra]
    for kind in NGINX_TEMPORARIES:
        if f"--without-http_{kind}_module" not in build:
            lines.append(f"  {kind}_temp_path {stage(name, kind)};")
    if identity:
        lines += [
            f"  ssl_certificate {identity[0]};", f"  ssl_certificate_key {identity[1]};",
            "  ssl_protocols TLSv1.2 TLSv1.3;", "  ssl_prefer_server_ciphers on;",
            "  ssl_conf_command Ciphersuites TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384;",
            "  ssl_session_tickets on;", "  ssl_session_cache shared:tls:10m;",
            f"  ssl_buffer_size {tls_buffer};"]
    secure = " ssl" if identity else ""
    lines += [f"  server {{ listen 127.0.0.1:{port}{secure} backlog=4096; root {stage('files')}; }}", "}"]
    if os.geteuid() == 0:
        lines.insert(0, "user root;")
    return "\n".join(lines) + "\n"


def nginx(
        stage, workers=1, cpu=None, name="nginx", extra=(), identity=None, tls_buffer="16k"):
    needs("nginx")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    directory = re.sub(r"\W+", "-", name)
    path = stage(directory, "nginx.conf")
    with open(path, "w") as out:
        out.write(nginx_configuration(
            stage, port, workers, directory, extra, identity, tls_buffer))
    process = stage.start(["nginx", "-c", path], cpu=cpu, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 20
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            break
        except OSError:
            if process.poll() is not None or time.monotonic() > deadline:
                with open(stage(directory, "error.log")) as lines:
                    fail(f"nginx did not start: {lines.read()[-500:]}")
            time.sleep(0.01)
    return Server(name, process, port, scheme="https" if identity else "http")


def nginx_told(stage, identity=None):
    """The configuration as a reader should see it: without this run's paths and port."""
    text = nginx_configuration(stage, 0, 1, identity=identity)
    kept = [
        line for line in text.splitlines()
        if not re.search(r"temp_path|error_log|^pid|^user|^daemon|server \{|certificate", line)]
    return " ".join(line.strip() for line in kept)


def compiled(stage, name):
    """A C program of this directory, built for this run."""
    compiler = shutil.which("cc") or shutil.which("clang") or fail("no C compiler")
    source = os.path.join(os.path.dirname(os.path.abspath(__file__)), f"{name}.c")
    program = stage(name)
    subprocess.run([compiler, "-O2", "-o", program, source], check=True)
    return program


def in_turn(rounds, *contestants):
    """Calls each contestant once a round, who comes first changing; returns each one's results."""
    results = [[] for _ in contestants]
    for number in range(rounds):
        order = range(len(contestants))
        for index in order if number % 2 == 0 else reversed(order):
            results[index].append(contestants[index]())
    return results


median = statistics.median


def spread(values):
    return f"{min(values):.3g}-{max(values):.3g}"


def cores(count):
    """`count` processors of those this process may use, or None for each when there are fewer."""
    usable = sorted(os.sched_getaffinity(0))
    return usable[:count] if len(usable) >= count else [None] * count


def idle_ticks():
    """(idle, all) processor ticks of the machine so far."""
    with open("/proc/stat") as stat:
        ticks = [int(word) for word in stat.readline().split()[1:9]]
    return ticks[3] + ticks[4], sum(ticks)


def table(*rows):
    """A Markdown table that is also readable as it is: the first column left, the others right."""
    rows = [[str(cell) for cell in row] for row in rows]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    rule = ["-" * widths[0]] + ["-" * (width - 1) + ":" for width in widths[1:]]
    for row in [rows[0], rule] + rows[1:]:
        cells = [row[0].ljust(widths[0])]
        cells += [cell.rjust(width) for cell, width in zip(row[1:], widths[1:])]
        print("| " + " | ".join(cells) + " |", flush=True)
    print(flush=True)


def version(*argv):
    told = subprocess.run(argv, capture_output=True, text=True)
    match = re.search(r"\d+(\.\d+)+", told.stdout + told.stderr)
    return match.group(0) if match else "unknown"


def machine(spate):
    """Lines that say where the figures were made and with what."""
    with open("/proc/cpuinfo") as cpu:
        model = re.search(r"model name\s*:\s*(.+)", cpu.read())
    with open("/proc/meminfo") as memory:
        kib = int(re.search(r"MemTotal:\s+(\d+)", memory.read()).group(1))
    versions = [f"spate {version(spate, '--version')}", f"nginx {version('nginx', '-v')}"]
    versions += [f"wrk {version('wrk', '-v')}", f"curl {version('curl', '--version')}"]
    torrent = "import libtorrent; print(libtorrent.__version__)"
    versions.append(f"libtorrent {version(SYSTEM_PYTHON, '-c', torrent)}")
    return [
        f"- date: {time.strftime('%Y-%m-%d %H:%M UTC', time.gmtime())}",
        f"- processor: {model.group(1) if model else platform.machine()}, "
        f"{len(os.sched_getaffinity(0))} cores; memory: {kib / MIB:.0f} GiB",
        f"- kernel: Linux {platform.release()}",
        f"- load average before: {' '.join(f'{load:.1f}' for load in os.getloadavg())}",
        f"- versions: {', '.join(versions)}"]


# Debian's libtorrent belongs to Debian's Python, which need not be the first in PATH.
SYSTEM_PYTHON = "/usr/bin/python3"
