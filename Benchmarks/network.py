"""A network of namespaces on this machine: hosts behind links of limited rate, on one switch or on
several with a limited trunk between them. Nothing of it touches the machine's own network."""

import http.client
import json
import os
import socket
import subprocess

from stage import LIBC, fail, needs

CLONE_NEWNET = 0x40000000

# The range that RFC 2544 sets aside for benchmarks.
NETWORK = "198.18"
# Jumbo frames: what a frame costs to carry over two devices, a bridge and two buckets is the same
# whatever its size, and with small ones that cost, not the links, would be the limit on few cores.
MTU = 9000
# Of what the bucket counts for a full frame, Ethernet, IP and TCP with time stamps are not payload.
PAYLOAD_SHARE = (MTU - 52) / (MTU + 14)
# A bucket's burst takes the largest segment that TCP hands down whole, as one.
BUCKET = "tbf rate {rate}kbit burst 128kb latency 50ms"
# Linux's default, whatever this machine's is.
CONGESTION_CONTROL = "cubic"


class Link:
    """What a host can send and receive, in Mbit/s."""

    def __init__(self, up, down=None):
        self.up, self.down = up, down or up

    @property
    def up_rate(self):
        return self.up * 1e6 / 8 * PAYLOAD_SHARE

    @property
    def down_rate(self):
        return self.down * 1e6 / 8 * PAYLOAD_SHARE


class Network:
    """Host 0 is the origin's. `links` has one for each host; `sites`, when given, says for each
    host the number of its site, 0 being the switch in the middle, and `trunk` is the link of each
    other site to it."""

    def __init__(self, stage, links, sites=None, trunk=None):
        if os.geteuid() != 0:
            fail("network namespaces need root")
        needs("ip", "tc", "nsenter")
        self.links, self.sites = links, sites or [0] * len(links)
        self.prefix = f"spate{os.getpid()}"
        self.hosts = [f"{self.prefix}-{number}" for number in range(len(links))]
        self.switches = [f"{self.prefix}-s{site}" for site in range(max(self.sites) + 1)]
        self.places = []
        for number, site in enumerate(self.sites):
            self.places.append(sum(1 for other in self.sites[:number] if other == site) + 1)
        if max(self.places) > 250 or len(self.switches) > 250:
            fail("at most 250 hosts in each of at most 250 sites")
        stage.closing.append(self.remove)
        ip(None, [f"netns add {name}" for name in [*self.switches, *self.hosts]])
        for switch in self.switches:
            ip(switch, ["link add bridge type bridge", "link set bridge up"])
            bypass_firewall(switch)
        for site, switch in enumerate(self.switches[1:], 1):
            self.connect(switch, "trunk", self.switches[0], f"trunk{site}", trunk)
            ip(switch, ["link set trunk master bridge"])
        for number, host in enumerate(self.hosts):
            switch = self.switches[self.sites[number]]
            self.connect(host, "uplink", switch, f"port{number}", links[number])
            # One network for all, so that no router stands between sites; the first 24 bits tell
            # them apart.
            own = self.address(number)
            ip(host, [
                "link set lo up", f"addr add {own}/16 dev uplink",
                f"route replace {NETWORK}.0.0/16 dev uplink src {own} "
                f"congctl {CONGESTION_CONTROL}"])

    @staticmethod
    def connect(place, device, switch, port, link):
        """A cable from `device` to a port of the switch, a bucket at each of its ends."""
        ip(place, [
            f"link add {device} mtu {MTU} type veth peer name {port} mtu {MTU} netns {switch}",
            f"link set {device} up"])
        ip(switch, [f"link set {port} master bridge", f"link set {port} up"])
        for name, end, mbit in ((place, device, link.up), (switch, port, link.down)):
            bucket = BUCKET.format(rate=round(mbit * 1000))
            subprocess.run(
                ["tc", "-n", name, "qdisc", "add", "dev", end, "root", *bucket.split()], check=True)

    def address(self, number):
        return f"{NETWORK}.{self.sites[number]}.{self.places[number]}"

    def inside(self, number):
        """The words that run a command at a host."""
        return ["nsenter", f"--net=/run/netns/{self.hosts[number]}"]

    def ask(self, number, place, path, **fields):
        """What `place` (ADDRESS:PORT) answers to a host, as JSON; None when it does not."""
        host, _, port = place.rpartition(":")
        try:
            connection = http.client.HTTPConnection(place)
            connection.sock = self.socket(number)
            connection.sock.settimeout(2)
            connection.sock.connect((host, int(port)))
            connection.request("GET", path, headers={"Accept": "application/json", **fields})
            answer = connection.getresponse()
            body = answer.read()
            connection.close()
            return json.loads(body) if answer.status == 200 else None
        except (OSError, http.client.HTTPException):
            return None

    def socket(self, number):
        """A socket at a host: it stays in the namespace that its thread was in when made."""
        with open("/proc/thread-self/ns/net") as own:
            with open(f"/run/netns/{self.hosts[number]}") as there:
                enter(there)
            try:
                return socket.socket()
            finally:
                enter(own)

    def sent_by(self, number):
        """Payload that a host's link has carried up, in bytes."""
        return self.carried(self.hosts[number], "uplink")[0] * PAYLOAD_SHARE

    def across_trunk(self, site):
        """Payload that a site's trunk has carried out of it and into it, in bytes."""
        sent, received = self.carried(self.switches[site], "trunk")
        return sent * PAYLOAD_SHARE, received * PAYLOAD_SHARE

    @staticmethod
    def carried(place, device):
        """Bytes of frames sent and received by a device."""
        told = subprocess.run(
            ["ip", "-n", place, "-s", "-j", "link", "show", device],
            capture_output=True, text=True, check=True).stdout
        stats = json.loads(told)[0]["stats64"]
        return stats["tx"]["bytes"], stats["rx"]["bytes"]

    def remove(self):
        for name in [*self.hosts, *self.switches]:
            if os.path.exists(f"/run/netns/{name}"):
                subprocess.run(["ip", "netns", "delete", name], check=False)


def enter(namespace):
    if LIBC.setns(namespace.fileno(), CLONE_NEWNET) != 0:
        fail("cannot enter a network namespace")


def ip(place, commands):
    where = ["-n", place] if place else []
    subprocess.run(["ip", *where, "-batch", "-"], input="\n".join(commands), text=True, check=True)


def inside(place, command):
    subprocess.run(["nsenter", f"--net=/run/netns/{place}", *command], check=True)


def bypass_firewall(switch):
    """Where the kernel runs bridged frames through the firewall, the switch should not."""
    for kind in ("iptables", "ip6tables", "arptables"):
        setting = f"/proc/sys/net/bridge/bridge-nf-call-{kind}"
        inside(switch, ["sh", "-c", f"test ! -e {setting} || echo 0 > {setting}"])
