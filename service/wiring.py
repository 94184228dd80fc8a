"""The one place where store, packages, languages, keys and clock are made."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from explainer.errors import PackageError, SettingsInvalid
from explainer.ledger.checkpoint import Sealer, Signer, WitnessDirectory
from explainer.ledger.durable import write_new
from explainer.ledger.entries import Entry, EntryKind
from explainer.ledger.log import LogName
from explainer.ledger.sealing import generate_resolver, halves_of
from explainer.packages.bundled import packages_in
from explainer.packages.package import ModelPackage
from explainer.text.languages import Language
from service.admission import Admission, Admitted
from service.edition import program_digest
from service.events import log
from service.findings import Findings
from service.key_watch import KeyWatch
from service.offer import Offer, make_offer
from service.sealing import Seals
from service.settings import Settings
from service.shelf import Admissions, Shelf
from service.store.database import Store
from service.store.erasure import finish_erasures
from service.store.key_check import LostMonth, check_keys
from service.store.records import last_admitted, record_system
from service.store.seals import guard, seal
from service.witness_settings import witnesses_outside
from service.witnesses import Witnesses

DEMO_UNIT = "demo_office"


@dataclass(frozen=True)
class Tools:
    """What the actions work with."""

    settings: Settings
    store: Store
    admission: Admission
    shelf: Shelf
    findings: Findings
    seals: Seals
    key_watch: KeyWatch
    outside: Witnesses
    offer: Offer
    resolver: bytes
    """Public key under which the person who acted is sealed; the private half is not loaded."""
    secret: bytes
    """Signs demo sessions and form tokens."""
    api_tokens: Mapping[str, str]
    """SHA-256 of a token -> role of who holds it."""
    explainer_digest: str
    now: Callable[[], datetime]

    @property
    def ledger(self) -> Ledger:
        """The records alone, for what is done about them without a person at a page."""
        return Ledger(self.store, self.seals.sealers, self.outside.folders, self.resolver)

    @property
    def admitted(self) -> Admitted:
        """The packages as things stand; whoever looks twice asks once and keeps the answer."""
        return self.admission.state

    @property
    def packages(self) -> Mapping[str, ModelPackage]:
        """Those in force."""
        return self.admitted.packages

    @property
    def refused(self) -> Mapping[str, PackageError]:
        """What is wrong with the others, by the name of the folder."""
        return self.admitted.refused

    def exactly(self, digest: str) -> ModelPackage:
        """The package of this digest, in force or from the shelf. Raises ModelFailed, and Starting
        while it may be one that is being tried: opened from the shelf, it would be there twice."""
        admitted = self.admitted
        for package in admitted.packages.values():
            if package.identity.digest == digest:
                return package
        admitted.check_tried()
        return self.shelf.of_digest(digest)

    def check_intact(self) -> None:
        """Raise what the sealer found if the log is no longer the one it sealed.

        Then nothing is shown or decided any more: it would be recorded on a dead branch.
        """
        if self.seals.broken is not None:
            raise self.seals.broken

    def unit_of(self, package: ModelPackage) -> str:
        """The unit that decides cases of this package; one for all in the demonstration."""
        return DEMO_UNIT if self.settings.demo else package.manifest.unit

    def languages_of(self, package: ModelPackage | None, *, staff: bool) -> list[Language]:
        """The languages of a page about this package, or about none."""
        return self.offer.of(package, staff=staff)

    def close(self) -> None:
        self.admission.close()
        self.findings.close()
        self.seals.close()
        self.outside.close()
        self.store.close()


def the_clock() -> datetime:
    """The one place that asks what time it is."""
    return datetime.now(UTC)  # noqa: TID251 - this is that place


@dataclass(frozen=True)
class Ledger:
    """The records without anything that explains: what commands about the records work with.

    Attributes
    ----------
    resolver : public key under which people who acted are sealed
    """

    store: Store
    sealers: Mapping[LogName, Sealer]
    witnesses: Mapping[LogName, WitnessDirectory]
    resolver: bytes

    def seal(self) -> None:
        """Seal both heads and hand them to the witnesses."""
        for name in LogName:
            seal(self.store, name, self.sealers[name], self.witnesses[name])

    def close(self) -> None:
        self.store.close()


def open_ledger(settings: Settings, *, keys_lost: bool = False) -> Ledger:
    """Open the records, and refuse to go on with a log that was changed.

    Erasures that were recorded and not finished, or that a restored backup undid, are done before
    this returns. Raises LogForked or LogBehindWitness for a changed log, KeyMissing for lost keys,
    those of months of the access log left out, which are named in what is logged;
    but `keys_lost` is for whoever erases a case because its key is lost.
    """
    data = settings.data
    store = Store.open(data, tenant=settings.tenant, database=settings.database)
    try:
        sealers, witnesses = {}, {}
        for name in LogName:
            sealers[name], witnesses[name] = sealer_of(data, settings.tenant, name)
            guard(store, name, sealers[name], witnesses[name])
        finish_erasures(store)
        go_on_without(store, () if keys_lost else check_keys(store))
        return Ledger(store, sealers, witnesses, _resolver(data))
    except BaseException:
        store.close()
        raise


def go_on_without(store: Store, months: Iterable[LostMonth]) -> None:
    """Log which months of the access log lost their keys; a key that is there and does not open is
    set aside, or nothing more could be recorded in that month."""
    for month in months:
        log.error("key of a month lost", log=LogName.ACCESS.value, seq=month.seq)
        if month.damaged:
            store.keys.set_aside(month.key_id)


def open_tools(settings: Settings, now: Callable[[], datetime] = the_clock) -> Tools:
    """`prepare_tools`, and return once the packages are admitted.

    A package with faults is left out and named; the service runs on without it. Raises what
    `prepare_tools` and `Admission.run` raise.
    """
    tools = prepare_tools(settings, now)
    try:
        tools.admission.run()
    except BaseException:
        tools.close()
        raise
    return tools


def prepare_tools(settings: Settings, now: Callable[[], datetime] = the_clock) -> Tools:
    """Make everything but the packages, which are still to be admitted.

    What is not about their cases can be shown from here on: the log is the one that was sealed.
    Raises SettingsInvalid where there is no package, and what `open_ledger` raises.
    """
    data = settings.data
    offer = make_offer(settings)
    ledger = open_ledger(settings)
    store = ledger.store
    explainer_digest = program_digest()
    try:
        recorded = Admissions(store)
        shelf = Shelf(data / "packages", recorded)

        def record(package: ModelPackage) -> None:
            if _record_admission(package, store, explainer_digest, now()):
                recorded.look()
                seals.soon(LogName.LEDGER)

        admission = Admission(packages_in(settings.models), shelf, record)
        outside = Witnesses(
            store,
            {name: sealer.key for name, sealer in ledger.sealers.items()},
            ledger.witnesses,
            witnesses_outside(settings),
            now,
        )
        seals = Seals(store, ledger.sealers, ledger.witnesses, outside.sealed)
        tools = Tools(
            settings=settings,
            store=store,
            admission=admission,
            shelf=shelf,
            findings=Findings(settings.deadline),
            seals=seals,
            key_watch=KeyWatch(store),
            outside=outside,
            offer=offer,
            resolver=ledger.resolver,
            secret=_kept(data / "session.key", lambda: secrets.token_bytes(32)),
            api_tokens=_api_tokens(data) if settings.demo else {},
            explainer_digest=explainer_digest,
            now=now,
        )
        outside.start()
    except BaseException:
        store.close()
        raise
    return tools


def _record_admission(
    package: ModelPackage, store: Store, explainer_digest: str, now: datetime
) -> bool:
    """Whether the package has a new entry: one whenever it comes into force, not at each start."""
    manifest, digest = package.manifest, package.identity.digest
    with store.reading() as looking:
        # the log is read from one end to the other: nobody who writes waits for that
        if last_admitted(looking, manifest.id) == digest:
            return False
    entry = Entry(
        EntryKind.MODEL,
        {
            "event": "admitted",
            "package": manifest.id,
            "version": manifest.version,
            "review": manifest.review_status,
        },
        model=digest,
        explainer=explainer_digest,
    )
    with store.transaction(now) as tx:
        record_system(tx, entry)
    log.info("package admitted", package=manifest.id, digest=digest)
    return True


def sealer_of(data: Path, tenant: str, name: LogName) -> tuple[Sealer, WitnessDirectory]:
    """What signs the heads of a log, and the witness folder beside it; made where missing."""
    folder = data / "seals" / name.value
    folder.mkdir(parents=True, exist_ok=True)
    private, public = folder / "signing.key", folder / "verifier.key"
    if public.exists() and not private.exists():
        raise SettingsInvalid(
            "The signing key is gone.",
            str(private),
            "Put it back from where it is kept; a new one could not go on with this log.",
        )
    signer = Signer(f"warum.{tenant}/{name.value}", _kept(private, Signer.generate))
    if not public.exists():
        write_new(public, f"{signer.key}\n".encode())
    elif public.read_bytes().strip() != str(signer.key).encode():
        raise SettingsInvalid(
            "The signing key is not the one the heads were signed with, or the agency's name "
            "changed.",
            str(private),
            "Put it back from where it is kept, and set WARUM_TENANT as it was.",
        )
    witness = WitnessDirectory(data / "witness" / name.value)
    return Sealer(signer, folder / "last.note"), witness


def _resolver(data: Path) -> bytes:
    """The public half; where it is missing a pair is made, and the private half laid aside in two
    parts, of which one alone opens nothing.

    In a real installation both leave this machine at once, with one of the two people each who may
    look up who acted. Earlier versions laid it aside whole.
    """
    public = data / "resolver.pub"
    if not public.exists():
        aside = next(data.glob("resolver.private-*"), None)
        if aside is not None:
            raise SettingsInvalid(
                "The public half of the resolver key is gone, the private half is here.",
                str(public),
                "Put the public half back from a backup; a new pair could open no older record.",
            )
        private, new_public = generate_resolver()
        for number, part in enumerate(halves_of(private), 1):
            path = data / f"resolver.private-part-{number}-take-me-away"
            write_new(path, part, exclusive=True)
        write_new(public, new_public, exclusive=True)
    return _of_length(public, 32)


def _kept(path: Path, make: Callable[[], bytes], *, length: int | None = 32) -> bytes:
    if not path.exists():
        write_new(path, make(), exclusive=True)
    return _of_length(path, length)


def _of_length(path: Path, length: int | None) -> bytes:
    data = path.read_bytes()
    if length is not None and len(data) != length:
        raise SettingsInvalid(
            f"The key file has {len(data)} bytes instead of {length}.",
            str(path),
            "Put it back from a backup.",
        )
    return data


API_ROLES = ("system", "caseworker", "supervisor")


def _api_tokens(data: Path) -> dict[str, str]:
    """Demo tokens for the API, one per role, kept in a file only this user can read."""
    path = data / "demo-api-tokens"
    text = _kept(
        path,
        lambda: "".join(f"{role} {secrets.token_urlsafe(24)}\n" for role in API_ROLES).encode(),
        length=None,
    ).decode()
    pairs = [line.split() for line in text.splitlines() if line]
    if any(len(pair) != 2 or pair[0] not in API_ROLES for pair in pairs):
        raise SettingsInvalid(
            "The file of tokens is damaged.", str(path), "Delete it; a new one is made."
        )
    return {hashlib.sha256(token.encode()).hexdigest(): role for role, token in pairs}


def demo_token(data: Path, role: str) -> str:
    """The demo token of one role, to print for people who try the API."""
    for line in (data / "demo-api-tokens").read_text("ascii").splitlines():
        name, token = line.split()
        if name == role:
            return token
    raise SettingsInvalid("There is no token of this role.", role, "Use one of the roles.")


def same(a: str, b: str) -> bool:
    """Compare secrets without telling by the time taken how far they agree."""
    return hmac.compare_digest(a.encode(), b.encode())
