"""What the load goes to: the platform that runs here, one that is started for this run, a cluster's, or any URL."""

import asyncio
import os
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import aiohttp

from platform_cli.audit.witnesses import Endpoints
from platform_cli.stack.environment_file import read_environment_file
from platform_cli.stack.merchant import create_merchant
from platform_cli.stack.state import State

if TYPE_CHECKING:
    from loadtests.cluster import Cluster

READY_WITHIN_S = float(os.environ.get("LOAD_READY_WITHIN_S", "10"))
PREFIX = "platform-load-"
Say = Callable[[str], None]


class NoTarget(RuntimeError):
    """There is nothing to send load to; the text says what to do."""


@dataclass(frozen=True, slots=True)
class Target:
    """`receiver_host`: the name by which the platform reaches this machine; None: it cannot, `no_receiver` says why."""

    kind: str  # local, started, kubernetes, url
    endpoints: Endpoints
    api_key: str | None
    receiver_host: str | None = None
    receiver_port: int | None = None  # None: any
    no_receiver: str = ""
    state: State | None = None
    cluster: "Cluster | None" = None

    @property
    def gateway_url(self) -> str:
        return self.endpoints.gateway_url

    async def new_merchant(self) -> str:
        """The key of a merchant of this run's own, or the given one where nobody may make merchants."""
        if self.endpoints.admin_api_key:
            async with aiohttp.ClientSession(self.gateway_url) as session:
                made = await create_merchant(session, self.endpoints.admin_api_key, "Load test")
            return made.api_key
        if self.api_key:
            return self.api_key
        raise NoTarget("neither ADMIN_API_KEY nor DEMO_API_KEY is set: without one of them nobody can pay")


@asynccontextmanager
async def find_target(
    url: str | None, say: Say, environ: Mapping[str, str] = os.environ
) -> AsyncIterator[Target]:
    """`url`: an address, `kubernetes` for the current context's release, or None: what runs here, else a cluster's
    release, else a platform that is started for this run and removed afterwards. Raises NoTarget."""
    async with AsyncExitStack() as stack:
        if url and url not in {"kubernetes", "kind", "local"}:
            yield _from_environment(url.rstrip("/"), environ)
        elif url in {"kubernetes", "kind"}:
            yield await _in_cluster(stack, say)
        elif url != "local" and "GATEWAY_URL" in environ and environ["GATEWAY_URL"]:
            yield _from_environment(environ["GATEWAY_URL"].rstrip("/"), environ)
        elif (state := _running_here()) is not None:
            values = read_environment_file(state.environment_file)
            say(f"the platform that runs here: {values['GATEWAY_URL']}")
            yield _local(values, state, "local")
        elif url != "local" and (target := await _cluster_if_any(stack, say)):
            yield target
        else:
            yield await _started(stack, say)


async def until_ready(gateway_url: str, say: Say, within_s: float = READY_WITHIN_S) -> None:
    """Wait until the gateway answers at all; a release that is being installed takes a minute. Raises NoTarget."""
    deadline = time.monotonic() + within_s
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=5)) as session:
        while True:
            try:
                async with session.get(f"{gateway_url}/version"):
                    return
            except (aiohttp.ClientError, TimeoutError) as error:
                if time.monotonic() > deadline:
                    raise NoTarget(
                        f"{gateway_url} does not answer: {error or type(error).__name__}"
                    ) from error
            say(f"waiting for {gateway_url}")
            await asyncio.sleep(0.5)


def _running_here() -> State | None:
    from platform_cli.stack import supervision  # here: the image of the generator has no supervisor

    state = State.default()
    return state if supervision.is_running(state) and state.environment_file.exists() else None


def _local(values: Mapping[str, str], state: State, kind: str) -> Target:
    return Target(kind, _endpoints(values), values.get("DEMO_API_KEY"), "127.0.0.1", state=state)


def _endpoints(values: Mapping[str, str]) -> Endpoints:
    return Endpoints(
        gateway_url=values["GATEWAY_URL"].rstrip("/"),
        pipeline_url=values.get("PIPELINE_URL") or None,
        channels_url=values.get("CHANNELS_URL") or None,
        internal_token=_secret(values, "INTERNAL_TOKEN"),
        admin_api_key=_secret(values, "ADMIN_API_KEY"),
    )


def _secret(values: Mapping[str, str], name: str) -> str | None:
    """The variable, or what is in the file that NAME_FILE names."""
    if file := values.get(f"{name}_FILE"):
        return Path(file).read_text(encoding="utf-8").strip()
    return values.get(name) or None


def _from_environment(url: str, environ: Mapping[str, str]) -> Target:
    """Any address; whose other doors the environment may name (README of docs/load-testing.md)."""
    values = {**environ, "GATEWAY_URL": url}
    named = environ.get("GATEWAY_URL", "").rstrip("/") in {"", url}
    if not named:  # the other variables belong to another platform
        values = {"GATEWAY_URL": url, "DEMO_API_KEY": environ.get("DEMO_API_KEY", "")}
    is_here = urlsplit(url).hostname in {"127.0.0.1", "localhost"}
    host = environ.get("WEBHOOK_HOST") or ("127.0.0.1" if is_here else "none")
    why = "WEBHOOK_HOST does not say under which name the platform reaches this machine"
    return Target(
        "url",
        _endpoints(values),
        values.get("DEMO_API_KEY") or None,
        None if host == "none" else host,
        receiver_port=int(environ["WEBHOOK_PORT"]) if "WEBHOOK_PORT" in environ else None,
        no_receiver=why if host == "none" else "",
    )


async def _cluster_if_any(stack: AsyncExitStack, say: Say) -> Target | None:
    try:
        return await _in_cluster(stack, say)
    except NoTarget:
        return None


async def _in_cluster(stack: AsyncExitStack, say: Say) -> Target:
    from loadtests.cluster import Cluster, NoCluster  # here: the client takes a second to import

    try:
        cluster = Cluster.current()
    except NoCluster as error:
        raise NoTarget(str(error)) from error
    say(f"release {cluster.release} in {cluster.context}, namespace {cluster.namespace}")
    endpoints = stack.enter_context(cluster.doors(say))
    return Target(
        "kubernetes",
        endpoints,
        None,
        no_receiver="network policies let the platform's workers reach public addresses only",
        cluster=cluster,
    )


async def _started(stack: AsyncExitStack, say: Say) -> Target:
    """A copy of its own, as `make demo` has one."""
    from platform_cli.stack.bring_up import bring_up
    from platform_cli.stack.own_copy import own_copy

    state = stack.enter_context(own_copy(PREFIX))
    say("nothing runs here: starting a platform for this run")
    await bring_up(state, say, environ={})
    return _local(read_environment_file(state.environment_file), state, "started")
