"""Settings, read once from WARUM_*; a wrong value is answered with advice."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from explainer.errors import SettingsInvalid
from explainer.text.languages import languages

LOOPBACK = ("127.0.0.1", "localhost", "::1")


@dataclass(frozen=True, slots=True)
class Setting:
    """One environment variable: its meaning and default, for `docs/settings.md` and `doctor`."""

    name: str
    default: str
    meaning: str


SETTINGS = (
    Setting("WARUM_DATA", "var", "Folder of database, keys and witness; made if it is missing."),
    Setting(
        "WARUM_DATABASE",
        "(a file in WARUM_DATA)",
        "postgresql://ROLE@HOST/DATABASE puts the records on PostgreSQL; keys and witness stay in "
        "WARUM_DATA. Keep the password out of it: libpq reads ~/.pgpass.",
    ),
    Setting(
        "WARUM_DATABASE_OWNER",
        "(none)",
        "Address with the role that owns the tables; read by `warum database prepare` and `warum "
        "ledger restore` only.",
    ),
    Setting(
        "WARUM_MODELS",
        "(the packages that come with Warum)",
        "Folders of packages, or of folders with packages, separated by a colon.",
    ),
    Setting("WARUM_HOST", "127.0.0.1", "Address to listen on; only the loopback for now."),
    Setting("WARUM_PORT", "8000", "Port to listen on."),
    Setting("WARUM_TENANT", "demo", "Short name of the agency; stands in every record."),
    Setting(
        "WARUM_KEY_BACKUP_DAYS",
        "30",
        "Days after which every backup of the key store is destroyed; until then an erased case "
        "could be read with one.",
    ),
    Setting(
        "WARUM_WITNESS_URL",
        "(none)",
        "Address of a witness at a second authority (C2SP tlog-witness); https, or http on this "
        "machine.",
    ),
    Setting("WARUM_WITNESS_KEY", "(none)", "Key of that witness: name+id+base64."),
    Setting(
        "WARUM_WITNESS_PIN",
        "(none)",
        "What its certificate is held against: sha256: and the digest of the certificate, or a "
        "PEM file of the authority.",
    ),
    Setting("WARUM_TSA_URL", "(none)", "Address of an authority that stamps times (RFC 3161)."),
    Setting("WARUM_TSA_PIN", "(none)", "As WARUM_WITNESS_PIN, for that address."),
    Setting("WARUM_TSA_ROOT", "(none)", "PEM file of whom its stamps must come from."),
    Setting("WARUM_TSA_EVERY", "60", "Seconds between two stamps of a log."),
    Setting(
        "WARUM_RETENTION",
        "(case_file 120 months, access_log 12 months)",
        "TOML file of retention classes: months and legal basis of each.",
    ),
    Setting(
        "WARUM_RETAIN_BY",
        "(nobody)",
        "Two people, separated by a comma, who approve that the service erases once a day what is "
        "due; without them only `warum ledger retain` does.",
    ),
    Setting(
        "WARUM_LANGUAGES",
        "(none; in the demonstration all)",
        "Languages to offer that nobody has reviewed yet, or drafts, separated by a comma, such as "
        "uk,ar, or none. Each says on every page that nobody checked it. Reviewed ones are always "
        "offered.",
    ),
    Setting("WARUM_DEADLINE", "2", "Seconds a case page waits for an explanation."),
    Setting(
        "WARUM_KERNEL",
        "on",
        "off computes explanations by NumPy even where the compiled kernel is there: the same "
        "values, slower.",
    ),
    Setting(
        "WARUM_DEMO",
        "0",
        "1 lets everybody on this machine act as anybody. Without it the service does not start "
        "until sign-in exists.",
    ),
)


@dataclass(frozen=True, slots=True)
class Settings:
    """How this installation runs."""

    data: Path
    models: tuple[Path, ...]
    host: str
    port: int
    tenant: str
    deadline: float
    demo: bool
    key_backup_days: int = 30
    retention: Path | None = None
    retain_by: tuple[str, ...] = ()
    database: str = field(default="", repr=False)  # it may hold a password
    unreviewed: tuple[str, ...] | None = None
    """Languages that are offered though nobody reviewed them; None where nothing is said of it."""
    outside: Mapping[str, str] = field(default_factory=dict)
    """The settings of witnesses outside that were given, by name; read in witness_settings.py."""

    def switches_on(self, tag: str) -> bool:
        """Whether a language is offered that nobody has reviewed."""
        return self.demo if self.unreviewed is None else tag in self.unreviewed


def read_settings(environment: Mapping[str, str], bundled: Path) -> Settings:
    """Read the settings. Raises SettingsInvalid with the name and what would be right."""
    known = {setting.name for setting in SETTINGS}
    unknown = sorted(
        name for name in environment if name.startswith("WARUM_") and name not in known
    )
    if unknown:
        raise SettingsInvalid(
            "There is no such setting.",
            ", ".join(unknown),
            f"Known are: {', '.join(sorted(known))}.",
        )

    def value(name: str) -> str:
        default = next(setting.default for setting in SETTINGS if setting.name == name)
        return environment.get(name, "").strip() or default

    models = environment.get("WARUM_MODELS", "").strip()
    places = tuple(Path(part) for part in models.split(":") if part) if models else (bundled,)
    for place in places:
        if not place.is_dir():
            raise SettingsInvalid(
                "There is no such folder.", f"WARUM_MODELS: {place}", "Name folders of packages."
            )
    tenant = value("WARUM_TENANT")
    if not re.fullmatch(r"[a-z0-9][a-z0-9.-]{0,62}", tenant):
        raise SettingsInvalid(
            "The name does not fit.", "WARUM_TENANT", "Use small letters, digits, dot and hyphen."
        )
    demo = value("WARUM_DEMO")
    if demo not in ("0", "1"):
        raise SettingsInvalid("The value is not understood.", "WARUM_DEMO", "Give 0 or 1.")
    return Settings(
        data=Path(value("WARUM_DATA")),
        models=places,
        host=value("WARUM_HOST"),
        port=_number("WARUM_PORT", value("WARUM_PORT"), 1, 65535),
        tenant=tenant,
        deadline=float(_number("WARUM_DEADLINE", value("WARUM_DEADLINE"), 0, 60)),
        demo=demo == "1",
        retention=Path(given)
        if (given := environment.get("WARUM_RETENTION", "").strip())
        else None,
        retain_by=tuple(
            name.strip()
            for name in environment.get("WARUM_RETAIN_BY", "").split(",")
            if name.strip()
        ),
        key_backup_days=_number("WARUM_KEY_BACKUP_DAYS", value("WARUM_KEY_BACKUP_DAYS"), 1, 365),
        database=environment.get("WARUM_DATABASE", "").strip(),
        unreviewed=_unreviewed(environment.get("WARUM_LANGUAGES", "")),
        outside={
            name: text.strip()
            for name, text in environment.items()
            if name.startswith(("WARUM_WITNESS_", "WARUM_TSA_")) and text.strip()
        },
    )


def _unreviewed(given: str) -> tuple[str, ...] | None:
    if not given.strip():
        return None
    if given.strip() == "none":
        return ()
    tags = tuple(tag.strip() for tag in given.split(",") if tag.strip())
    offered = [tag for tag, row in languages().items() if not row.is_source]
    unknown = [tag for tag in tags if tag not in offered]
    if unknown:
        raise SettingsInvalid(
            "There is no such translation.",
            f"WARUM_LANGUAGES: {', '.join(unknown)}",
            f"Name some of: {', '.join(offered)}.",
        )
    return tags


def installation(given: Path | None, environment: Mapping[str, str], bundled: Path) -> Settings:
    """The settings of the installation whose records a command is about.

    `given` is its data folder; without it WARUM_DATA counts, then that of the demonstration.
    Raises SettingsInvalid where there are no records.
    """
    settings = read_settings(environment, bundled)
    candidates = [given] if given else [settings.data, Path("var/demo")]
    for folder in candidates:
        if (folder / "warum.sqlite").is_file():
            return replace(settings, data=folder, database="")
        if settings.database and (folder / "keys.sqlite").is_file():
            return replace(settings, data=folder)
    raise SettingsInvalid(
        "There is no ledger here.",
        ", ".join(map(str, candidates)),
        "Name the data folder of an installation; `warum demo --no-serve` makes one.",
    )


def check_owner_is_away(environment: Mapping[str, str]) -> None:
    """Refuse to serve where the owner's role is at hand. Raises SettingsInvalid.

    Whoever broke into the service could change with it what was recorded.
    """
    if environment.get("WARUM_DATABASE_OWNER", "").strip():
        raise SettingsInvalid(
            "The owner of the database is known to the service.",
            "WARUM_DATABASE_OWNER",
            "Set it for `warum database prepare` and `warum ledger restore` only.",
        )


def _number(name: str, text: str, low: int, high: int) -> int:
    if not text.isascii() or not text.isdigit() or not low <= int(text) <= high:
        raise SettingsInvalid(
            "The value is not a whole number in range.", name, f"Give {low} to {high}."
        )
    return int(text)


def check_may_serve(settings: Settings) -> None:
    """Refuse to serve what nobody signed in for.

    Raises SettingsInvalid outside demo mode, and for demo mode beyond the loopback.
    """
    if not settings.demo:
        raise SettingsInvalid(
            "There is no sign-in yet, so the service does not start outside demo mode.",
            "WARUM_DEMO",
            "Use `warum demo`, or set WARUM_DEMO=1 on a machine of your own.",
        )
    if settings.host not in LOOPBACK:
        raise SettingsInvalid(
            "In demo mode anybody may act as anybody.",
            "WARUM_HOST",
            f"Listen on the loopback only: {', '.join(LOOPBACK)}.",
        )
