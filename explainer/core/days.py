"""Which day it is: by the clocks of those who apply and those who decide.

Times are kept in UTC and to the minute. Days are not: in Germany a day begins one or two hours
before that of UTC, and what somebody enters at half past midnight, they enter today.
"""

from __future__ import annotations

from datetime import date, datetime
from zoneinfo import ZoneInfo

ZONE = ZoneInfo("Europe/Berlin")
"""No setting: every agency under German law goes by this clock."""


def local_day(when: datetime) -> date:
    """The day of a moment, which carries its time zone."""
    return when.astimezone(ZONE).date()


def recorded_day(stored: str) -> date:
    """The day of a time as records keep it, `YYYY-MM-DDTHH:MMZ`."""
    return local_day(datetime.fromisoformat(stored))
