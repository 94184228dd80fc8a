"""Which witnesses the settings name, and what is wrong with how they do."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from pathlib import Path

from explainer.errors import ProofInvalid, SettingsInvalid
from explainer.families.endpoint import Trust, address_in
from explainer.ledger import stamp
from explainer.ledger.witness import WitnessKey
from service.settings import Settings
from service.witnesses import Cosigner, Line, PinnedLine, Stamper, Witness


def witnesses_outside(settings: Settings) -> list[Witness]:
    """The witnesses the settings name. Raises SettingsInvalid with the name and what is wrong."""
    given, found = settings.outside, list[Witness]()
    if "WARUM_WITNESS_URL" in given:
        text = _needed(given, "WARUM_WITNESS_KEY", "the key its operator gave you")
        try:
            key = WitnessKey.parse(text)
        except ProofInvalid as fault:
            raise SettingsInvalid(fault.what, "WARUM_WITNESS_KEY", fault.mend) from None
        found.append(Cosigner(_line(given, "WARUM_WITNESS"), key))
    if "WARUM_TSA_URL" in given:
        root = Path(_needed(given, "WARUM_TSA_ROOT", "a file with the authority's certificates"))
        authority = stamp.Authority.parse(_read(root, "WARUM_TSA_ROOT"), "WARUM_TSA_ROOT")
        every = given.get("WARUM_TSA_EVERY", "60")
        if not every.isascii() or not every.isdigit() or not 1 <= int(every) <= 86_400:
            raise SettingsInvalid(
                "The value is not a number of seconds.", "WARUM_TSA_EVERY", "Give 1 to 86400."
            )
        found.append(Stamper(_line(given, "WARUM_TSA"), authority, float(every)))
    alone = [name for name in given if f"{name.rsplit('_', 1)[0]}_URL" not in given]
    if alone:
        raise SettingsInvalid(
            "It says something of a witness whose address is not given.",
            ", ".join(sorted(alone)),
            "Give the address too, or leave it away.",
        )
    return found


def _line(given: Mapping[str, str], about: str) -> Line:
    address = address_in(given[f"{about}_URL"])
    if isinstance(address, str):
        raise SettingsInvalid(
            f"The address {address}", f"{about}_URL", "Give an https address without a query."
        )
    pin = f"{about}_PIN"
    trust = None
    if address.secure:
        text = _needed(given, pin, "sha256:… of the server's certificate, or a PEM file")
        trust = _trust(text, pin)
    elif pin in given:
        raise SettingsInvalid("There is nothing to pin to on http.", pin, "Leave it away.")
    return PinnedLine(address, trust, f"{about}_URL")


def _trust(text: str, name: str) -> Trust:
    mark, _, fingerprint = text.partition(":")
    if mark == "sha256" and len(fingerprint) == 64 and set(fingerprint) <= set("0123456789abcdef"):
        return Trust.certificate(fingerprint)
    try:
        return Trust.authority(_read(Path(text), name).decode("ascii"))
    except (ssl.SSLError, ValueError):
        raise SettingsInvalid(
            "This is no certificate.", name, "Give sha256: and 64 digits, or a PEM file."
        ) from None


def _read(path: Path, name: str) -> bytes:
    try:
        return path.read_bytes()
    except (OSError, ValueError):
        raise SettingsInvalid("The file cannot be read.", name, "Name one that can.") from None


def _needed(given: Mapping[str, str], name: str, what: str) -> str:
    if name not in given:
        raise SettingsInvalid("It is needed with the address.", name, f"Give {what}.")
    return given[name]
