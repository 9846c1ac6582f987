"""What a program may ask of a server, and how often."""

from __future__ import annotations

import asyncio
from urllib.parse import urlsplit

from protego import Protego

from mamba_narrative.config.acquisition import FEEDS_PATH, MAIN_SITE_HOSTS


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
    """What the robots.txt of one host allows a user agent; an empty text allows everything."""

    def __init__(self, text: str, user_agent: str) -> None:
        self._rules, self._user_agent = Protego.parse(text), user_agent

    def allow(self, url: str) -> bool:
        """Whether ``url`` may be fetched."""
        return self._rules.can_fetch(url, self._user_agent)

    @property
    def crawl_delay_seconds(self) -> float:
        """Least time between two requests, 0 where none is named."""
        return float(self._rules.crawl_delay(self._user_agent) or 0)


def is_main_site_page(url: str) -> bool:
    """Whether ``url`` is one of Project Gutenberg's own pages, which are for people, and not one of its feeds."""
    address = urlsplit(url)
    return address.hostname in MAIN_SITE_HOSTS and not address.path.startswith((FEEDS_PATH, "/robots.txt"))
