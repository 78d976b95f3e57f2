"""The HTTP application: its parts put together, and what lives as long as an instance does."""

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator
from importlib.metadata import PackageNotFoundError, version

from fastapi import FastAPI
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware

from producer.api import analyses, discussions, docs_page, events, health, limits, problems, runs
from producer.api.door import Door
from producer.api.schema import described
from producer.api.site import Opener, site_on
from tasks.deps import open_deps
from tasks.presence import Presence
from tasks.routing import node_label
from tasks.settings import Settings
from tasks.telemetry import shipping

ABOUT = (
    "Characters, tweets and pictures, made by a cluster of workers. Everything it writes is "
    "AI-generated and marked so; it never posts anything. Errors are RFC 9457 problems."
)


def create_app(settings: Settings, *, opened: Opener = open_deps) -> FastAPI:
    """Build one instance; it starts even while Redis is away, and says so to who asks."""

    @contextlib.asynccontextmanager
    async def living(app: FastAPI) -> AsyncIterator[None]:
        deps = await opened(settings)
        app.state.site = site = site_on(deps)
        ringing = asyncio.create_task(site.bells.ring())
        try:
            presence = Presence(deps.redis, settings, name=own_name(settings))
            async with presence.beating(), shipping(deps):
                yield
        finally:
            site.bells.close()
            await ringing
            await deps.close()

    app = FastAPI(
        title="Castline",
        version=own_version(),
        description=ABOUT,
        lifespan=living,
        middleware=[*pages_allowed(settings), Middleware(Door)],
        docs_url=None,  # ours needs no other server
        redoc_url=None,
        telemetry={"tracing": False, "metrics": False, "logs": False},  # bodies are prompts
    )
    app.openapi = lambda: described(app)  # type: ignore[method-assign]  # as FastAPI documents it
    problems.install(app)
    for router in (
        runs.router,
        analyses.router,
        discussions.router,
        events.router,
        limits.router,
        health.router,
        docs_page.router,
    ):
        app.include_router(router)
    return app


def pages_allowed(settings: Settings) -> list[Middleware]:
    """Let pages of these origins ask from a browser; none, unless they are named."""
    origins = [origin for origin in settings.api_origins.split(",") if origin]
    if not origins:
        return []
    return [
        Middleware(
            CORSMiddleware,
            allow_origins=origins,
            allow_methods=["GET", "POST"],
            allow_headers=["Authorization", "Content-Type", "Idempotency-Key", "Last-Event-ID"],
            expose_headers=["Location", "Retry-After"],
        )
    ]


def own_name(settings: Settings) -> str:
    """Name this instance as a service."""
    return f"api-{os.getpid()}@{node_label(settings.node)}"


def own_version() -> str:
    """Name the version that is installed; a bare checkout has none."""
    try:
        return version("castline")
    except PackageNotFoundError:
        return "0"
