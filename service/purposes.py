"""What records may be opened for; nothing else is recorded as a purpose."""

from __future__ import annotations

READING = ("access_request", "appeal", "audit", "complaint", "court")
"""What they may be read or handed over for; an access request is one by Art. 15 GDPR."""

LOOKING_UP = ("appeal", "complaint", "court", "data_protection", "security")
"""What two people may look up for who acted. How somebody works is none of it."""
