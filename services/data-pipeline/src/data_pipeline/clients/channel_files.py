"""Settlement files from the channels, and the statements of the bank that they pay to: fetched whole, unread."""

from __future__ import annotations

from datetime import date
from typing import Final

from platform_kit.http import CallFailed, HttpClient
from platform_kit.logging import get_logger
from platform_kit.problems import Unavailable

FILE_MAX_BYTES: Final = 256 * 1024 * 1024  # two million lines of about 120 bytes
TIMEOUT_S: Final = 60.0  # a day's file of a busy channel takes seconds to make


log = get_logger(__name__)


class FileNotAvailable(Unavailable):
    """The channel did not give its file."""

    code, title = "settlement-file-not-available", "The channel did not give its settlement file"


class ChannelFiles:
    """The files of all channels, from one address."""

    def __init__(self, url: str, token: str) -> None:
        self._client = HttpClient(
            "channels",
            url,
            timeout_s=TIMEOUT_S,
            retries=2,
            headers={"Authorization": f"Bearer {token}"},
            max_body_bytes=FILE_MAX_BYTES,
            connections_max=4,
        )

    async def settlement(self, channel: str, day: date) -> bytes:
        """The file as it is now; an open day's file grows. Raises FileNotAvailable."""
        try:
            answer = await self._client.get(
                "/settlement", params={"channel": channel, "date": day.isoformat()}
            )
        except CallFailed as error:
            raise FileNotAvailable(f"The channel {channel} cannot be reached ({error.reason}).") from error
        if answer.status != 200:
            raise FileNotAvailable(f"The channel {channel} answered {answer.status}.")
        return answer.body

    async def statement(self, currency: str, day: date, form: str) -> bytes | None:
        """The bank's statement of that day as `camt053` or `mt940`; None while there is none (404), or when the bank
        cannot be asked: that is logged."""
        params = {"date": day.isoformat(), "currency": currency, "format": form}
        try:
            answer = await self._client.get("/bank-statement", params=params)
        except CallFailed as error:
            log.warning("statement not available", **params, reason=error.reason)
            return None
        if answer.status not in (200, 404):
            log.warning("statement not available", **params, reason=f"answered {answer.status}")
        return answer.body if answer.status == 200 else None

    async def close(self) -> None:
        await self._client.close()
