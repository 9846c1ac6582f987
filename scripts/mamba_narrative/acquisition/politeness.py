"""What a program may ask of a server, and how often."""

from __future__ import annotations

import asyncio
import ipaddress
import re
import socket
from urllib.parse import urlsplit

from protego import Protego

from mamba_narrative.config.acquisition import FEEDS_PATH, MAIN_SITE_HOSTS

_USER_AGENT_LINE = re.compile(r"(?im)^[^\S\n]*(user-?agent|user[^\S\n]+agent)\b[^\S\n]*:?(?P<name>[^#\n]*).*$")


class Pace:
    """Requests to one host at even distances; ``pause`` puts all that follow off."""

    def __init__(self, requests_per_second: float) -> None:
        self.seconds_between = 1 / requests_per_second
        self._next = 0.0

    async def turn(self) -> None:
        """Wait until the next request may go out."""
        loop = asyncio.get_running_loop()
        while (wait := self._next - loop.time()) > 0:
            await asyncio.sleep(wait)
        self._next = loop.time() + self.seconds_between

    def pause(self, seconds: float) -> None:
        """No request before so many seconds have passed."""
        self._next = max(self._next, asyncio.get_running_loop().time() + seconds)


class RobotRules:
    """What the robots.txt of one host allows a product (``mamba-narrative``); an empty text allows everything."""

    def __init__(self, text: str, product: str) -> None:
        def renamed(line: re.Match[str]) -> str:
            name = line["name"].replace("*", "").strip().lower()
            return line[0] if product.startswith(name) else "User-agent: another"

        # The parser keeps each rule once for every name of its group: half a megabyte could take all memory.
        lines = "\n".join(text.splitlines())
        self._rules, self._product = Protego.parse(_USER_AGENT_LINE.sub(renamed, lines)), product

    def allow(self, url: str) -> bool:
        """Whether ``url`` may be fetched."""
        return self._rules.can_fetch(url, self._product)

    @property
    def crawl_delay_seconds(self) -> float:
        """Least time between two requests, 0 where none is named."""
        return float(self._rules.crawl_delay(self._product) or 0)


def is_main_site_page(url: str) -> bool:
    """Whether ``url`` is one of Project Gutenberg's own pages, which are for people, and not one of its feeds."""
    address = urlsplit(url)
    host = (address.hostname or "").rstrip(".")
    return host in MAIN_SITE_HOSTS and not address.path.startswith((FEEDS_PATH, "/robots.txt"))


async def is_private(url: str) -> bool:
    """Whether the host of ``url`` has an address that only this machine or its network can reach."""
    try:
        found = await asyncio.get_running_loop().getaddrinfo(urlsplit(url).hostname, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):  # The request will say that there is no such host.
        return False
    return any(not ipaddress.ip_address(str(address[0]).partition("%")[0]).is_global for *_, address in found)
