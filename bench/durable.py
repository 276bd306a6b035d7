"""The engines that `engines` measures: how each is got, started, asked for rounds, and stopped.

Fixpoint (embedded and on etcd), Restate (its released server, from npm) and DBOS (its official crate
on PostgreSQL). Not here: which rounds, and what is told. The surprise: an engine is several processes,
and children of theirs; what it costs is the sum of all that are below those that were started here.
"""

import json
import os
import pathlib
import pwd
import re
import shutil
import signal
import subprocess
import time
import urllib.error
import urllib.request

from peers import CACHE, HERE, REPOSITORY, disk_bytes, free_ports, get

RESTATE = "1.7.12"
RESTATE_PACKAGE = "@restatedev/restate-server-linux-x64"

SYNCS = "fsync,fdatasync,sync_file_range,msync,pwritev2"
TICKS = os.sysconf("SC_CLK_TCK")


def target():
    return pathlib.Path(os.environ.get("CARGO_TARGET_DIR", REPOSITORY / "target"))


def build_services():
    """The peers' side of the contest, in a workspace of its own. Returns the folder of its programs."""
    folder = target() / "services"
    command = ["cargo", "build", "--release", "--locked", "--target-dir", folder]
    subprocess.run(command, cwd=REPOSITORY / "bench/services", check=True)
    return folder / "release"


def below(pids):
    """The processes with these numbers, and all that came of them."""
    children = {}
    for stat in pathlib.Path("/proc").glob("[0-9]*/stat"):
        try:
            after_name = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        children.setdefault(int(after_name[1]), []).append(int(stat.parent.name))
    found, waiting = [], list(pids)
    while waiting:
        pid = waiting.pop()
        found.append(pid)
        waiting += children.get(pid, [])
    return found


def cpu_seconds(pids):
    """Seconds of CPU so far, of the processes and all that came of them."""
    ticks = 0
    for pid in below(pids):
        try:
            # Its own and those of children that have ended.
            ticks += sum(map(int, pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:15]))
        except OSError:
            continue
    return ticks / TICKS


class Engine:
    """An engine of one run, in a folder of its own."""

    name = version = None
    # What is on disk before the next step begins, by whose word.
    durable = None
    programs = None

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.data = self.folder / "data"
        self.data.mkdir(parents=True)
        self.servers = []
        self.player = None
        # The same ones after it was stopped and is started again.
        self.ports = free_ports(3)

    def serve(self, command, ready, **options):
        """Starts a server beneath the engine, and waits until it answers."""
        log = self.folder / f"{pathlib.Path(command[0]).name}.log"
        with log.open("ab") as out:
            server = subprocess.Popen(command, stdout=out, stderr=out, cwd=self.folder, **options)
        self.servers.append(server)
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline and server.poll() is None:
            if ready():
                return
            time.sleep(0.2)
        raise SystemExit(f"{self.name} did not start; its log:\n{log.read_text()[-3000:]}")

    def play(self, command):
        """Starts what runs the steps; it says when it is ready."""
        self.player_log = self.folder / "player.log"
        with self.player_log.open("ab") as log:
            self.player = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, cwd=self.folder, text=True
            )
        self.answer()

    def answer(self):
        line = self.player.stdout.readline()
        if not line:
            raise SystemExit(f"{self.name} ended; its log:\n{self.player_log.read_text()[-3000:]}")
        return line

    def round(self, shape, steps, workflows, at_once):
        """How it went, and what it cost."""
        before = cpu_seconds(self.pids())
        self.player.stdin.write(f"{shape} {steps} {workflows} {at_once}\n")
        self.player.stdin.flush()
        found = json.loads(self.answer())
        spent = cpu_seconds(self.pids()) - before
        return found | {"steps": steps * workflows, "cpu_seconds": spent}

    def pids(self):
        return [process.pid for process in [*self.servers, self.player]]

    def syncs(self, *round):
        """How often the disk is synced in a round, by what the kernel is asked for."""
        told = self.folder / "strace"
        command = ["strace", "-f", "-q", "-e", f"trace={SYNCS}", "-e", "signal=none", "-o", told]
        for pid in below(self.pids()):
            command += ["-p", str(pid)]
        tracer = subprocess.Popen(command, stderr=subprocess.DEVNULL)
        try:
            # Until it has hold of every thread.
            time.sleep(1)
            steps = self.round(*round)["steps"]
        finally:
            tracer.send_signal(signal.SIGINT)
            tracer.wait()
        # A call that was interrupted by another's line is told twice.
        calls = [line for line in told.read_text().splitlines() if "resumed>" not in line]
        calls = [line for line in calls if "pwritev2" not in line or "SYNC" in line]
        return len(calls) / steps

    def stop(self):
        if self.player:
            self.player.stdin.close()
            end(self.player, None)
        for server in reversed(self.servers):
            end(server, signal.SIGINT)
        self.servers, self.player = [], None

    def kept(self):
        """After the stop: bytes on disk; none if that says nothing of what was kept."""
        return disk_bytes(self.data)


def end(process, how):
    if how and process.poll() is None:
        process.send_signal(how)
    try:
        process.wait(timeout=60)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


class Fixpoint(Engine):
    name = "Fixpoint"
    durable = "run's record and all spans so far synced before each step"

    @classmethod
    def prepare(cls):
        command = ["cargo", "build", "--release", "--locked", "-p", "fixpoint-bench", "--features", "etcd"]
        subprocess.run([*command, "--bin", "steps", "--bin", "settle"], cwd=REPOSITORY, check=True)
        cls.programs = target() / "release"
        described = subprocess.run(
            ["git", "rev-parse", "--short", "HEAD"], cwd=REPOSITORY, capture_output=True, text=True
        )
        cls.version = described.stdout.strip()

    def start(self):
        self.play([self.programs / "steps", self.data])

    def kept(self):
        subprocess.run([self.programs / "settle", self.data / "traces"], stdout=subprocess.DEVNULL, check=True)
        return super().kept()


class FixpointEtcd(Fixpoint):
    name = "Fixpoint, etcd"
    durable = "the same, the record by etcd, which syncs its log before it answers"

    @classmethod
    def prepare(cls):
        if not shutil.which("etcd"):
            raise SystemExit("there is no etcd; Debian's package is etcd-server")
        if not Fixpoint.version:
            Fixpoint.prepare()
        told = subprocess.run(["etcd", "--version"], capture_output=True, text=True, check=True).stdout
        etcd = told.splitlines()[0].rpartition(" ")[2]
        cls.version, cls.programs = f"{Fixpoint.version}, etcd {etcd}", Fixpoint.programs

    def start(self):
        client, peer, _ = self.ports
        client_url, peer_url = f"http://{HERE}:{client}", f"http://{HERE}:{peer}"
        command = ["etcd", "--data-dir", self.data / "etcd", "--listen-client-urls", client_url]
        command += ["--advertise-client-urls", client_url, "--listen-peer-urls", peer_url]
        command += ["--initial-advertise-peer-urls", peer_url, "--initial-cluster", f"default={peer_url}"]
        self.serve(command, lambda: answers(f"{client_url}/health"))
        self.play([self.programs / "steps", self.data, "--etcd", f"{HERE}:{client}"])

    def kept(self):
        # Both of etcd's files are made long before they are filled.
        return None


class Restate(Engine):
    name, version = "Restate", RESTATE
    durable = "each step's result in the replicated log of one node, whose log server syncs (its default)"
    binary = CACHE / f"restate-{RESTATE}" / "node_modules" / RESTATE_PACKAGE / "bin/restate-server"

    @classmethod
    def prepare(cls):
        if not cls.binary.exists():
            folder = CACHE / f"restate-{RESTATE}"
            folder.mkdir(parents=True, exist_ok=True)
            command = ["npm", "install", "--silent", "--no-save", "--ignore-scripts", "--prefix", folder]
            subprocess.run([*command, f"{RESTATE_PACKAGE}@{RESTATE}"], check=True)
        cls.programs = build_services()

    def start(self):
        node, ingress, admin = self.ports
        # Nothing but where it listens and keeps its data.
        config = (
            f'listen-mode = "tcp"\nbind-ip = "{HERE}"\nbind-port = {node}\nbase-dir = "{self.data}"\n'
            f'disable-telemetry = true\n[ingress]\nbind-port = {ingress}\n[admin]\nbind-port = {admin}\n'
        )
        (self.folder / "restate.toml").write_text(config)
        command = [self.binary, "--config-file", self.folder / "restate.toml", "--no-logo"]
        urls = [f"http://{HERE}:{ingress}", f"http://{HERE}:{admin}"]
        ready = lambda: answers(f"{urls[0]}/restate/health") and answers(f"{urls[1]}/health")
        self.serve(command, ready)
        self.play([self.programs / "restate-steps", *urls])


class Dbos(Engine):
    name = "DBOS"
    durable = "each step's result committed, with PostgreSQL's fsync and synchronous_commit (its defaults)"
    postgres = None
    # It refuses to be root.
    user = {"user": "postgres", "group": "postgres", "extra_groups": []} if os.geteuid() == 0 else {}

    @classmethod
    def prepare(cls):
        found = pathlib.Path("/usr/lib/postgresql").glob("*/bin/postgres")
        newest = max(found, key=lambda path: int(path.parts[4]), default=None)
        if newest is None:
            raise SystemExit("there is no PostgreSQL; Debian's package is postgresql")
        cls.postgres = newest.parent
        told = subprocess.run([newest, "--version"], capture_output=True, text=True, check=True)
        lock = (REPOSITORY / "bench/services/Cargo.lock").read_text()
        crate = re.search(r'name = "dbos"\nversion = "(.*)"', lock)[1]
        cls.version = f"{crate}, PostgreSQL {told.stdout.split()[2]}"
        cls.programs = build_services()

    def start(self):
        port = self.ports[0]
        if self.user:
            shutil.chown(self.data, "postgres")
        if not (self.data / "PG_VERSION").exists():
            command = [self.postgres / "initdb", "--pgdata", self.data, "--auth", "trust", "--username", "steps"]
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL, cwd=self.data, **self.user)
        command = [self.postgres / "postgres", "-D", self.data, "-p", str(port)]
        command += ["-c", f"listen_addresses={HERE}", "-c", "unix_socket_directories="]
        ready = [self.postgres / "pg_isready", "--quiet", "--host", HERE, "--port", str(port)]
        self.serve(command, lambda: subprocess.run(ready).returncode == 0, **self.user)
        self.play([self.programs / "dbos-steps", f"postgres://steps@{HERE}:{port}/postgres"])

    def kept(self):
        # Its log's files are used again, and are there from the start.
        return super().kept() - disk_bytes(self.data / "pg_wal")


def answers(url):
    try:
        get(url)
        return True
    except (urllib.error.URLError, OSError):
        return False


ENGINES = {"fixpoint": Fixpoint, "etcd": FixpointEtcd, "restate": Restate, "dbos": Dbos}
