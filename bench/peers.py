"""The servers that `ingest` measures: how each is got, started, asked what it stored, and stopped.

Fixpoint, Zipkin (its released server, from Maven Central) and Jaeger (built from its Go module). Not
here: what is sent and what is told. The surprise: Jaeger's and Zipkin's acknowledgements come before
the spans are stored, so each is asked afterwards how many it did store.
"""

import json
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request

CACHE = pathlib.Path(os.environ.get("XDG_CACHE_HOME", pathlib.Path.home() / ".cache")) / "fixpoint/bench"
REPOSITORY = pathlib.Path(__file__).resolve().parent.parent

ZIPKIN = "3.6.1"
# Jaeger 2.13.0: version 2 has the module path, and so the module version, of version 1.
JAEGER_MODULE, JAEGER_VERSION, JAEGER = "github.com/jaegertracing/jaeger", "v1.76.0", "2.13.0"

HERE = "127.0.0.1"


def free_ports(count):
    sockets = [socket.create_server((HERE, 0)) for _ in range(count)]
    ports = [it.getsockname()[1] for it in sockets]
    for it in sockets:
        it.close()
    return ports


def get(url):
    with urllib.request.urlopen(url, timeout=30) as answer:
        return answer.read().decode()


def disk_bytes(folder):
    files = (path for path in pathlib.Path(folder).rglob("*") if path.is_file())
    return sum(path.stat().st_blocks * 512 for path in files)


def build(package):
    """Builds a package of this repository. Returns the folder of its programs."""
    subprocess.run(["cargo", "build", "--release", "--locked", "-p", package], cwd=REPOSITORY, check=True)
    return pathlib.Path(os.environ.get("CARGO_TARGET_DIR", REPOSITORY / "target")) / "release"


def build_programs():
    """The generator and its like."""
    return build("fixpoint-bench")


class Server:
    """A server of one run, in a folder of its own."""

    name = version = None
    # Those of the load generator's protocols that it speaks; `start` fills in the addresses.
    protocols = ()
    # Whether spans are on disk at all, and when.
    keeps = None
    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.data = self.folder / "data"
        self.data.mkdir(parents=True, exist_ok=True)
        self.log = self.folder / "log"
        self.process = None

    def launch(self, command, ready, environment=None, within=120):
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                command, stdout=log, stderr=log, cwd=self.folder, env={**os.environ, **(environment or {})}
            )
        deadline = time.monotonic() + within
        while time.monotonic() < deadline and self.process.poll() is None:
            try:
                get(ready)
                return
            except (urllib.error.URLError, OSError):
                time.sleep(0.2)
        self.stop()
        raise SystemExit(f"{self.name} did not start; its log:\n{self.log.read_text()[-3000:]}")

    def stop(self):
        """Ends it cleanly if it can. Returns whether it could."""
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(timeout=300)
            return True
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            return False

    def settle(self, _programs):
        """After the stop: bytes on disk (none if it keeps nothing there), and seconds of CPU to get there."""
        return (disk_bytes(self.data) if self.keeps else None), 0


class Fixpoint(Server):
    name = "Fixpoint"
    protocols = ("otlp-grpc", "otlp-http", "zipkin")
    keeps = "on disk and synced before the acknowledgement"
    binary = None

    @classmethod
    def prepare(cls, binary):
        if binary is None:
            binary = build("fixpoint-cli") / "fixpoint"
        cls.binary = pathlib.Path(binary).resolve()
        cls.version = subprocess.run([cls.binary, "--version"], capture_output=True, text=True, check=True)
        cls.version = cls.version.stdout.strip().removeprefix("fixpoint ")

    def start(self):
        main, grpc, http, zipkin = (f"{HERE}:{port}" for port in free_ports(4))
        self.addresses = {"otlp-grpc": grpc, "otlp-http": http, "zipkin": zipkin}
        self.main = main
        flags = ["--listen", main, "--otlp-grpc", grpc, "--otlp-http", http, "--zipkin", zipkin]
        self.launch([self.binary, "dev", *flags, "--data", self.data], f"http://{main}/healthz")

    def stored(self):
        return json.loads(get(f"http://{self.main}/v1/store"))["spans"]

    def settle(self, programs):
        command = [programs / "settle", self.data / "traces"]
        settled = subprocess.run(command, stdout=subprocess.PIPE, check=True)
        settled = json.loads(settled.stdout)
        return settled["disk"], settled["cpu_seconds"]


class Zipkin(Server):
    name, version = "Zipkin", ZIPKIN
    protocols = ("zipkin",)
    keeps = None
    jar = CACHE / f"zipkin-server-{ZIPKIN}-exec.jar"

    @classmethod
    def prepare(cls, _binary):
        if not cls.jar.exists():
            artifact = f"io.zipkin:zipkin-server:{ZIPKIN}:jar:exec"
            options = [f"-Dartifact={artifact}", f"-DoutputDirectory={CACHE}"]
            subprocess.run(["mvn", "-q", "-B", "dependency:copy", *options], check=True)

    def start(self):
        [port] = free_ports(1)
        self.addresses = {"zipkin": f"{HERE}:{port}"}
        self.url = f"http://{HERE}:{port}"
        options = [f"--armeria.ports[0].address={HERE}", f"--armeria.ports[0].port={port}"]
        options.append("--armeria.ports[0].protocols[0]=http")
        environment = {"STORAGE_TYPE": "mem", "QUERY_PORT": str(port), "COLLECTOR_GRPC_ENABLED": "false"}
        self.launch(["java", "-jar", self.jar, *options], f"{self.url}/health", environment)

    def stored(self):
        metrics = json.loads(get(f"{self.url}/metrics"))
        came = metrics.get("counter.zipkin_collector.spans.http", 0)
        return int(came - metrics.get("counter.zipkin_collector.spans_dropped.http", 0))


class Jaeger(Server):
    name, version = "Jaeger", JAEGER
    protocols = ("otlp-grpc", "otlp-http")
    keeps = "on disk, not synced, after the acknowledgement"
    binary = CACHE / f"jaeger-{JAEGER}"

    @classmethod
    def prepare(cls, _binary):
        if cls.binary.exists():
            return
        module = f"{JAEGER_MODULE}@{JAEGER_VERSION}"
        # Where no module is, so that none is changed.
        found = subprocess.run(
            ["go", "mod", "download", "-json", module], cwd=CACHE, capture_output=True, text=True, check=True
        )
        source = json.loads(found.stdout)["Dir"]
        flags = ["-trimpath", "-buildvcs=false", "-ldflags=-s -w"]
        made = cls.binary.with_suffix(".new")
        subprocess.run(
            ["go", "build", *flags, "-o", made, "./cmd/jaeger"],
            cwd=source, env={**os.environ, "CGO_ENABLED": "0"}, check=True,
        )
        made.rename(cls.binary)

    def start(self):
        grpc, http, metrics, query, query_grpc, health = free_ports(6)
        self.addresses = {"otlp-grpc": f"{HERE}:{grpc}", "otlp-http": f"{HERE}:{http}"}
        self.metrics = f"http://{HERE}:{metrics}/metrics"
        template = (pathlib.Path(__file__).parent / "jaeger.yaml").read_text()
        ports = {"grpc": grpc, "http": http, "metrics": metrics, "query": query, "query_grpc": query_grpc}
        config = template.format(data=self.data, health=health, **ports)
        (self.folder / "jaeger.yaml").write_text(config)
        command = [self.binary, "--config", self.folder / "jaeger.yaml"]
        self.launch(command, f"http://{HERE}:{health}/status")

    def stored(self):
        sent = re.findall(r"^otelcol_exporter_sent_spans\w*\{.*\} (\S+)$", get(self.metrics), re.MULTILINE)
        return int(sum(map(float, sent)))


SERVERS = {"fixpoint": Fixpoint, "zipkin": Zipkin, "jaeger": Jaeger}


def prepare(names, binary):
    CACHE.mkdir(parents=True, exist_ok=True)
    for name in names:
        SERVERS[name].prepare(binary)


def run_folder():
    """A new folder on the disk that the cache is on: what is temporary may be in memory."""
    folder = CACHE / f"run-{os.getpid()}"
    shutil.rmtree(folder, ignore_errors=True)
    return folder
