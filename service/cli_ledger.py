"""Commands about the records: verify them, write them out for others, hand out receipts."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from explainer.cli import DONE, EXIT_CODES, REFUSED, progress_bar, say, write_file
from explainer.errors import ExportFailed, SettingsInvalid, StorageFailed
from explainer.packages.bundled import bundled_packages
from service import cli_backup, cli_erasing, cli_replay, cli_resolving
from service.cli_records import opened_beside_lost_keys, said_by_whom
from service.purposes import READING
from service.settings import Settings, installation

if TYPE_CHECKING:
    from explainer.ledger.checkpoint import WitnessDirectory
    from explainer.ledger.log import Record
    from explainer.ledger.verify import Checkpoint, Key, Result

UNUSABLE = 2
"""Exit code for keys, checkpoints or files that cannot be used."""


def add_commands(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser(
        "ledger",
        help="verify, export and prove the records",
        description="The records of what was shown and decided, and of who looked them up.",
        epilog=EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    inner = parser.add_subparsers(metavar="COMMAND", required=True)
    verify = inner.add_parser(
        "verify",
        help="check offline that no record was changed, dropped or cut off",
        description="Check both logs from the stored bytes: every entry, the tree, every signed\n"
        "checkpoint. Names the first bad entry. Needs no running service.\n"
        "Where the folder holds the keys, the tables are compared with what was sealed, too.\n"
        "A log that was rewritten as a whole shows only against a checkpoint kept elsewhere:\n"
        "give it with --checkpoint.",
        epilog=EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    verify.add_argument(
        "data",
        metavar="DIR",
        type=Path,
        nargs="?",
        help="data folder of an installation (default: WARUM_DATA, else var, else var/demo); "
        "or an export; or a receipt",
    )
    verify.add_argument(
        "--key",
        action="append",
        metavar="VKEY",
        help="verifier key you hold yourself; repeatable (default: the keys in DIR)",
    )
    verify.add_argument(
        "--witness",
        action="append",
        default=[],
        metavar="VKEY",
        help="of an export: key of a witness whose cosignatures count; repeatable",
    )
    verify.add_argument(
        "--checkpoint",
        action="append",
        type=Path,
        default=[],
        metavar="FILE",
        help="checkpoint kept outside, or a folder of them; repeatable",
    )
    verify.set_defaults(action=_verify)
    export = inner.add_parser(
        "export",
        help="write the records as a folder that anybody can check without us",
        description="Write both logs into the new folder OUT, in the layout of C2SP tlog-tiles,\n"
        "with two verifiers beside them: OUT/verify.py, and OUT/verify.html to open in a\n"
        "browser. Payloads stay sealed, unless you say\n"
        "whose may be opened; that hands over personal data, so what for and by whom is put\n"
        "into the access log first. Give the verifier keys to the\n"
        "recipient yourself: a key that comes with what it checks proves nothing.",
        epilog=EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    export.add_argument("out", metavar="OUT", type=Path, help="folder to write; must not exist")
    export.add_argument("--data", metavar="DIR", type=Path, help="data folder of an installation")
    opened = export.add_mutually_exclusive_group()
    opened.add_argument(
        "--case", metavar="NUMBER", help="hand over the payloads of this case, opened; no others"
    )
    opened.add_argument(
        "--open-all", action="store_true", help="hand over all payloads, opened (court, audit)"
    )
    export.add_argument(
        "--purpose",
        choices=READING,
        help="with --case or --open-all: what for. Recorded in the access log, as is who",
    )
    export.add_argument(
        "--by", metavar="NAME", help="with --case or --open-all: who hands them over"
    )
    export.set_defaults(action=_export)
    receipt = inner.add_parser(
        "receipt",
        help="write a receipt of one entry that somebody can keep",
        description="Write a receipt (C2SP tlog-proof): the entry, its proof and the signed head\n"
        "above it. With the page or letter it vouches for, its holder can check it years later:\n"
        "  python verify.py RECEIPT.tlog-proof --key VKEY --told LETTER",
        epilog=EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    receipt.add_argument("seq", metavar="ENTRY", type=int, help="position in the ledger")
    receipt.add_argument("out", metavar="FILE", type=Path, help="file to write, .tlog-proof")
    receipt.add_argument("--data", metavar="DIR", type=Path, help="data folder of an installation")
    receipt.set_defaults(action=_receipt)
    cli_replay.add_commands(inner)
    cli_resolving.add_commands(inner)
    cli_erasing.add_commands(inner)
    cli_backup.add_commands(inner)


def _verify(options: argparse.Namespace) -> int:
    from explainer.ledger import verify
    from explainer.ledger.verify import Unusable, read_key, read_outside, report

    if options.data is not None and _is_for_anybody(options.data):
        # an export or a receipt: what the one file does alone
        asked = [str(options.data), *(f"--key={key}" for key in options.key or ())]
        if not options.key:
            raise SettingsInvalid(
                "There is no key to verify with.", str(options.data), "Give yours with --key."
            )
        asked += [f"--witness={one}" for one in options.witness]
        return verify.main([*asked, *(f"--checkpoint={one}" for one in options.checkpoint)])
    where = installation(options.data, dict(os.environ), bundled_packages())
    folder = where.data
    given = options.key or [
        path.read_text("ascii").strip() for path in sorted(folder.glob("seals/*/verifier.key"))
    ]
    if not given:
        raise SettingsInvalid(
            "There is no key to verify with.", str(folder), "Give the one you hold with --key."
        )
    if not options.key:
        say("note: the keys are those in the folder itself; whoever wrote it chose them.")
    if not options.checkpoint:
        say("note: the checkpoints are the folder's own witness; give those kept elsewhere too.")
    witness = folder / "witness"
    try:
        keys = [read_key(text) for text in given]
        outside = read_outside(options.checkpoint, keys)
        own = read_outside([witness] if any(witness.rglob("*.note")) else [], keys)
        # they must agree, but whoever wrote the folder could have written them too
        known = [*outside, *(replace(one, outside=False) for one in own)]
        results = _results(where, keys, known)
    except Unusable as fault:
        say(f"Cannot verify: {fault}")
        return UNUSABLE
    for result in results:
        print(report(result))
    agree = _tables_agree(where)
    clean = agree and all(result.clean for result in results)
    print("clean" if clean else "NOT CLEAN")
    return DONE if clean else REFUSED


def _tables_agree(where: Settings) -> bool:
    """Compare the tables pages are drawn from with what was sealed, where the keys to it are."""
    from service.store.database import Store
    from service.store.key_check import keys_of_no_case
    from service.verification import DISAGREES, cases_at_fault, keys_at_fault, rows_that_disagree

    try:
        store = Store.examine(where.data, where.database)
    except StorageFailed as fault:
        print(f"tables: NOT COMPARED with what was sealed. {fault}")
        return True
    try:
        wrong, cases = rows_that_disagree(store), cases_at_fault(store)
        lost, spare = keys_at_fault(store), len(keys_of_no_case(store))
    finally:
        store.close()
    for seq in wrong:
        print(f"tables: FAULT at entry {seq}: {DISAGREES}")
    for case in cases:
        print(f"tables: FAULT. {case}")
    for one in lost:
        print(f"keys: FAULT at entry {one.seq} of the log {one.log}. {one.what}")
    if spare:
        print(
            f"note: the key store has {spare} keys of no case. A submission that broke off leaves"
            " one,\n  and so does a case somebody took out of the tables before anybody saw it."
        )
    if not wrong:
        print("tables: what they say of decisions is what was sealed")
    return not wrong and not cases and not lost


def _results(where: Settings, keys: list[Key], known: list[Checkpoint]) -> list[Result]:
    """What the verifier says of both logs; where the keys are, every payload is opened."""
    from service.store.database import Store
    from service.store.keys import KeyStore
    from service.store.stored import EveryKey, verify_file, verify_store

    if where.database:
        with closing(Store.examine(where.data, where.database)) as store:
            return verify_store(store, keys, known, EveryKey(store.keys))
    with suppress(StorageFailed):  # without the key store the rest is checked as well
        pair = (where.data / "keys.sqlite", where.data / "wrap.key")
        with closing(KeyStore.existing(*pair)) as there:
            return verify_file(where.data / "warum.sqlite", keys, known, EveryKey(there))
    return verify_file(where.data / "warum.sqlite", keys, known)


def _is_for_anybody(path: Path) -> bool:
    return path.suffix == ".tlog-proof" or (
        path.is_dir() and any((path / log / "checkpoint").is_file() for log in ("ledger", "access"))
    )


def _export(options: argparse.Namespace) -> int:
    from explainer.ledger import verify
    from explainer.ledger.checkpoint import VerifierKey, WitnessDirectory
    from explainer.ledger.durable import whole_folder
    from explainer.ledger.export import export_log
    from explainer.ledger.log import LogName
    from service.store.cases import find_case_by_ref
    from service.store.database import Store
    from service.store.records import entries_of_case
    from service.store.snapshot import still

    where, out = installation(options.data, dict(os.environ), bundled_packages()), options.out
    folder = where.data
    _record_export(options)
    with whole_folder(out, ExportFailed) as draft:
        with (
            closing(Store.examine(where.data, where.database)) as store,
            still(store) as records,
            records.reading() as tx,
        ):
            ours: frozenset[int] = frozenset()
            if options.case is not None:
                file = find_case_by_ref(tx, options.case)
                if file is None:
                    raise _no_such_case(options.case)
                ours = frozenset(one.receipt.seq for one in entries_of_case(tx, file.id))
            keys = store.keys.all() if options.open_all or options.case else None
            for name in LogName:
                log = tx.log(name)
                if not log.head().size:
                    print(f"{name}: no entries")
                    continue
                witness = WitnessDirectory(folder / "witness" / name)
                handed = ours if name is LogName.LEDGER else frozenset[int]()
                with progress_bar(f"Writing {name}", log.head().size) as step:
                    done = export_log(
                        log.records(),
                        witness.with_cosignatures(log.notes()),
                        VerifierKey.parse(_verifier_key(folder, name)),
                        draft / name,
                        keys=keys,
                        gives=_gives(None if options.case is None else handed),
                        progress=lambda written, _whole, step=step: step(written),  # type: ignore[misc]
                    )
                _copy_stamps(witness, draft / "stamps" / name)
                opened = done.given - done.unopened
                said = (
                    f"{done.given} payloads sealed" if keys is None else f"{opened} payloads opened"
                )
                print(f"{name}: {done.size} entries, {said}")
                if done.unopened:
                    print(
                        f"  {done.unopened} payloads do not open and are handed over sealed:"
                        " `warum ledger verify` names them"
                    )
        for kind in (".py", ".html"):
            beside = Path(verify.__file__).with_suffix(kind)
            (draft / beside.name).write_bytes(beside.read_bytes())
    print(f"Written: {out}")
    print(f"To check it: python {out / 'verify.py'} {out} --key …")
    return DONE


def _record_export(options: argparse.Namespace) -> None:
    """Put into the access log that payloads are handed over opened, if they are."""
    from service.opening import check_named, record_export
    from service.store.cases import find_case_by_ref
    from service.wiring import the_clock

    opened = options.open_all or options.case is not None
    if said_by_whom(options) != opened:
        raise ExportFailed(
            "It has to be recorded by whom and what for payloads are handed over opened."
            if opened
            else "Nothing is opened, so there is nothing to record.",
            "--by and --purpose",
            "Give both with --case or --open-all, and neither without.",
        )
    if not opened:
        return
    check_named(options.by)
    if options.out.exists():
        raise ExportFailed("It is there already.", str(options.out), "Name another folder.")
    with opened_beside_lost_keys(options) as (_, ledger):
        case_id = None
        if options.case is not None:
            with ledger.store.reading() as tx:
                file = find_case_by_ref(tx, options.case)
            if file is None:
                raise _no_such_case(options.case)
            case_id = file.id
        record_export(ledger, options.purpose, options.by, the_clock(), case_id)


def _no_such_case(number: str) -> ExportFailed:
    return ExportFailed("There is no such case.", number, "Check the number.")


def _copy_stamps(witness: WitnessDirectory, out: Path) -> None:
    """The time stamps, each beside the very note it is of: what `openssl ts -verify` asks for."""
    for stamp in sorted(witness.path.glob("*.tsr")):
        out.mkdir(parents=True, exist_ok=True)
        for path in (stamp, stamp.with_suffix(".note")):
            (out / path.name).write_bytes(path.read_bytes())


def _gives(handed: frozenset[int] | None) -> Callable[[Record], bool]:
    """Whose payloads this recipient gets: of these entries, or of all."""
    return lambda record: handed is None or record.seq in handed


def _receipt(options: argparse.Namespace) -> int:
    from explainer.ledger.checkpoint import VerifierKey, WitnessDirectory
    from explainer.ledger.log import LogName
    from service.store.database import Store
    from service.store.receipts import receipt_of

    where = installation(options.data, dict(os.environ), bundled_packages())
    folder = where.data
    key = VerifierKey.parse(_verifier_key(folder, LogName.LEDGER))
    with closing(Store.examine(where.data, where.database)) as store, store.reading() as tx:
        witness = WitnessDirectory(folder / "witness" / LogName.LEDGER)
        written = receipt_of(tx, options.seq, key, witness)
    if options.out.suffix != ".tlog-proof":
        raise ExportFailed("A receipt ends in .tlog-proof.", str(options.out), "Name the file so.")
    write_file(options.out, written)
    return DONE


def _verifier_key(folder: Path, name: str) -> str:
    path = folder / "seals" / name / "verifier.key"
    try:
        return path.read_text("ascii").strip()
    except OSError:
        raise SettingsInvalid(
            "The verifier key is not there.", str(path), "Put it back from a backup."
        ) from None
