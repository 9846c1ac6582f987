"""Files over HTTP: politely, whole or not at all, again after what passes, never after what does not."""

from __future__ import annotations

import asyncio
import itertools
import logging
import random
import tempfile
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import httpx2

import mamba_narrative
from mamba_narrative.acquisition.politeness import Pace, RobotRules, is_main_site_page, is_private
from mamba_narrative.acquisition.transfer import (
    FetchFailed,
    check_status,
    forget_part,
    redirection,
    resuming_headers,
    save,
)
from mamba_narrative.config.acquisition import TransferSettings, address_fault
from mamba_narrative.errors import UserError

_LOG = logging.getLogger(__name__)
_MAX_REDIRECTS = 5
_MAX_ROBOTS_BYTES = 512_000
_MAX_FAILURES_IN_A_ROW = 10
_PRODUCT = "mamba-narrative"
_LARGE_STEP_BYTES = 10_000_000
"""What a large transfer must bring in ``max_seconds_per_book``, or it is given up."""
_ABSENT_ROBOTS = ("not_found", "forbidden")
Save = Callable[[httpx2.Response, asyncio.Timeout], Awaitable[None]]


class SourceDown(UserError):  # noqa: N818 (it is the source that is down)
    """A server does not serve us, now or at all; what was fetched stays."""


@dataclass
class _Host:
    server: str
    pace: Pace
    rules: RobotRules | None = None
    failures_in_a_row: int = 0
    refusal: str = ""
    """Why nothing may be asked of it; empty where it may."""
    learning: asyncio.Lock = field(default_factory=asyncio.Lock)


class Fetcher:
    """An HTTP client for files; use as an asynchronous context manager.

    Requests to one host keep their distance, robots.txt is read once a host and obeyed, certificates are verified, no
    page of Project Gutenberg's main site is asked for, and a server that fails ten times in a row is left alone.
    """

    def __init__(self, settings: TransferSettings) -> None:
        self._settings = settings
        contact = f"; {settings.contact}" if settings.contact else ""
        self.user_agent = f"{_PRODUCT}/{mamba_narrative.__version__} (books for language modelling{contact})"
        self._hosts: dict[str, _Host] = {}

    async def __aenter__(self) -> Fetcher:
        self._client = httpx2.AsyncClient(
            headers={"User-Agent": self.user_agent, "Accept-Encoding": "gzip"},
            timeout=httpx2.Timeout(self._settings.timeout_seconds, pool=None),
            limits=httpx2.Limits(max_connections=self._settings.connections),
        )
        return self

    async def __aexit__(self, *exception: object) -> None:
        await self._client.aclose()

    async def fetch(self, url: str, target: Path, max_bytes: int) -> str:
        """Write the file at ``url`` to ``target``; returns the address after redirects.

        Raises FetchFailed where it cannot be had, SourceDown where the server should be left alone.
        """

        async def keep(response: httpx2.Response, limit: asyncio.Timeout) -> None:
            await save(response, target, max_bytes, lambda count: None, resumable=False)

        return await self._retried(url, lambda: self._follow(url, keep))

    async def fetch_large(self, url: str, target: Path, max_bytes: int, told: Callable[[int], None]) -> str:
        """The same for a file that may take hours: a transfer that broke off goes on where it stopped, even days later.

        ``told`` is called with the bytes that each piece adds (when going on, first with those that were there).
        """
        part = target.with_name(f"{target.name}.part")

        async def keep(response: httpx2.Response, limit: asyncio.Timeout) -> None:
            due = _LARGE_STEP_BYTES

            def count(size: int) -> None:
                nonlocal due
                told(size)
                due -= size
                if due <= 0:
                    due = _LARGE_STEP_BYTES
                    limit.reschedule(asyncio.get_running_loop().time() + self._settings.max_seconds_per_book)

            await save(response, part, max_bytes, count, resumable=True)

        try:
            final = await self._retried(url, lambda: self._follow(url, keep, part))
        except FetchFailed as error:
            if error.reason == "too_large":
                part.unlink(missing_ok=True)  # There is nothing to go on with.
                forget_part(part)
            raise
        part.rename(target)
        forget_part(part)
        return final

    async def _retried(self, url: str, attempt: Callable[[], Awaitable[str]]) -> str:
        host = self._host(url)
        for number in itertools.count():
            try:
                final = await attempt()
            except FetchFailed as error:
                if error.passes and number < self._settings.retries:
                    await self._wait(host, number, error)
                    continue
                own = not error.elsewhere
                host.failures_in_a_row += error.passes or (own and error.reason == "forbidden")
                if host.failures_in_a_row >= _MAX_FAILURES_IN_A_ROW or (own and error.reason == "tls"):
                    raise SourceDown(
                        f"{host.server}: {error.reason} again and again, at last {error.detail}; what was fetched "
                        "stays, run again later or choose another server"
                    ) from None
                raise
            host.failures_in_a_row = 0
            return final
        raise AssertionError("the loop above ends by itself")

    async def _wait(self, host: _Host, number: int, error: FetchFailed) -> None:
        longest = self._settings.max_wait_seconds
        seconds = min(longest, self._settings.first_wait_seconds * 2**number * random.uniform(0.75, 1.25))
        if error.retry_after is not None:
            seconds = error.retry_after
            if seconds > longest and error.elsewhere:
                raise error
            if seconds > longest:
                raise SourceDown(
                    f"{host.server} asks to wait {seconds:,.0f} s, and corpus.transfer.max_wait_seconds is "
                    f"{longest:,.0f}; what was fetched stays, run again later"
                )
        _LOG.info("%s: %s (%s), next attempt in %.1f s", host.server, error.reason, error.detail, seconds)
        if error.is_busy:
            host.pace.pause(seconds)  # Every request to this host waits, not only this one.
        else:
            await asyncio.sleep(seconds)

    async def _follow(self, url: str, keep: Save, part: Path | None = None, asks_robots: bool = True) -> str:
        """Fetch ``url`` or where its redirects lead, each step allowed by its host and at its pace.

        What another server does is never held against the one that was asked: it is a FetchFailed of this file alone.
        """
        first, step = self._host(url), url
        for _ in range(_MAX_REDIRECTS + 1):
            host = self._host(step)
            known = bool(host.refusal)
            try:
                if host is not first and await is_private(step) and not await is_private(url):
                    raise FetchFailed("bad_redirect", f"{url} leads to {step}, which is no public server")
                if asks_robots:
                    await self._check_allowed(step)
                await host.pace.turn()
                target = await self._request(step, keep, part)
            except (FetchFailed, SourceDown) as error:
                if host is first:
                    raise
                if isinstance(error, FetchFailed):
                    error.elsewhere = True
                    raise
                first.failures_in_a_row += not known  # Each server that is newly found dead costs its time.
                raise FetchFailed("redirect_down", f"{url} leads to {step}; {error}", elsewhere=True) from None
            if target is None:
                return step
            step = target
        raise FetchFailed("redirects", f"more than {_MAX_REDIRECTS}, the last to {step[:200]}")

    async def _request(self, url: str, keep: Save, part: Path | None) -> str | None:
        """One request; returns where it is redirected, or None when ``keep`` has the body."""
        seconds = self._settings.max_seconds_per_book
        headers = resuming_headers(part) if part is not None else {}
        try:
            async with asyncio.timeout(seconds) as limit, self._client.stream("GET", url, headers=headers) as response:
                if response.has_redirect_location:
                    return redirection(url, response)
                if response.status_code == 416 and part is not None:
                    forget_part(part)
                    raise FetchFailed("range", "the server has no such range; the transfer begins anew", passes=True)
                check_status(response)
                await keep(response, limit)
                return None
        except TimeoutError:
            raise FetchFailed("timeout", f"{url}: not done after {seconds:g} s", passes=True) from None
        except httpx2.TimeoutException as error:
            raise FetchFailed("timeout", f"{url}: {type(error).__name__}", passes=True) from None
        except httpx2.TransportError as error:
            detail = f"{url}: {error or type(error).__name__}"
            if "CERTIFICATE_VERIFY_FAILED" in detail:
                raise FetchFailed("tls", detail) from None
            raise FetchFailed("connection", detail, passes=True) from None

    async def _check_allowed(self, url: str) -> None:
        if is_main_site_page(url):
            raise FetchFailed("main_site", f"{url} is a page for people; programs may use mirrors and feeds")
        host = self._host(url)
        async with host.learning:
            if host.rules is None and not host.refusal:
                try:
                    host.rules = await self._learn(host)
                except SourceDown as error:
                    host.refusal = str(error)
        if host.rules is None:
            raise SourceDown(host.refusal)
        if not host.rules.allow(url):
            raise FetchFailed("robots", f"{host.server}/robots.txt does not allow {urlsplit(url).path}")

    async def _learn(self, host: _Host) -> RobotRules:
        rules = RobotRules(await self._robots_text(host.server), _PRODUCT)
        delay, longest = rules.crawl_delay_seconds, self._settings.max_wait_seconds
        if delay > longest:
            raise SourceDown(
                f"{host.server}/robots.txt asks for {delay:,.0f} s between requests, and "
                f"corpus.transfer.max_wait_seconds is {longest:,.0f}; choose another server"
            )
        if delay > host.pace.seconds_between:
            _LOG.info("%s/robots.txt asks for %.4g s between requests", host.server, delay)
            host.pace.seconds_between = delay
        return rules

    async def _robots_text(self, server: str) -> str:
        """The robots.txt of a server; one that is not there allows everything, one that cannot be read nothing."""
        with tempfile.NamedTemporaryFile(prefix="robots-") as file:
            target = Path(file.name)

            async def keep(response: httpx2.Response, limit: asyncio.Timeout) -> None:
                await save(response, target, _MAX_ROBOTS_BYTES, lambda count: None, resumable=False)

            url = f"{server}/robots.txt"
            try:
                await self._retried(url, lambda: self._follow(url, keep, asks_robots=False))
            except FetchFailed as error:
                if error.reason in _ABSENT_ROBOTS:
                    return ""
                raise SourceDown(
                    f"{url} cannot be read ({error}), so nothing may be fetched; run again later"
                ) from None
            return target.read_text(encoding="utf-8", errors="replace")

    def _host(self, url: str) -> _Host:
        """The host of an address, however it is spelt. Raises FetchFailed where the address is none."""
        try:
            address = httpx2.URL(url)
        except httpx2.InvalidURL as error:
            raise FetchFailed("bad_address", f"{url[:200]}: {error}") from None
        if fault := address_fault(url):
            raise FetchFailed("bad_address", f"{url[:200]}: {fault}")
        server = f"{address.scheme}://{address.netloc.decode('ascii')}"
        if server not in self._hosts:
            self._hosts[server] = _Host(server, Pace(self._settings.requests_per_second))
        return self._hosts[server]
