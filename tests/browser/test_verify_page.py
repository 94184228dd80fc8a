"""The second verifier, one page opened from disk: of everything it says what the first one says."""

from __future__ import annotations

import base64
import hashlib
import hmac
import random
import re
import shutil
import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from playwright.sync_api import Browser, Page, expect

from explainer.ledger import tree, verify
from explainer.ledger.log import LogName
from service.erasing import erase_case_of_lost_key
from service.store import records
from service.wiring import Ledger

sys.path.append(str(Path(__file__).parents[1] / "ledger"))
from ledgers import NOON, RESOLVER, Installation, build, case, shown
from test_export import export
from test_ledger_tree import PUBLISHED
from test_pages import OPTIONS, OVERFLOW
from test_receipt import KEYS, LETTER, SIGNER, receipt, written
from witnesses import WITNESS, cosign

pytestmark = pytest.mark.browser

PAGE = Path(verify.__file__).with_suffix(".html")


@pytest.fixture(scope="module")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> Installation:
    """Three cases, each shown and decided, the first erased: seven ledger entries."""
    return build(tmp_path_factory.mktemp("pristine") / "data")


@dataclass(frozen=True)
class Handed:
    """An export as it is handed over, and the keys and notes somebody brings to it."""

    folder: Path
    keys: list[verify.Key]
    texts: list[str]
    outside: list[bytes]

    def files(self) -> dict[str, bytes]:
        paths = sorted(path for path in self.folder.rglob("*") if path.is_file())
        return {path.relative_to(self.folder).as_posix(): path.read_bytes() for path in paths}


@pytest.fixture(scope="module")
def handed(pristine: Installation, tmp_path_factory: pytest.TempPathFactory) -> Handed:
    """Both logs, payloads opened; the newest head of the ledger cosigned by a witness."""
    folder = tmp_path_factory.mktemp("handed") / "export"
    for name in ("ledger", "access"):
        export(pristine, folder, LogName(name), keys=pristine.case_keys())
    newest = folder / "ledger" / "checkpoint"
    newest.write_bytes(cosign(newest.read_bytes()))
    texts = [str(pristine.sealer(LogName(name)).key) for name in ("ledger", "access")]
    notes = [path.read_bytes() for path in sorted(pristine.witness.rglob("*.note"))]
    return Handed(folder, [verify.read_key(text) for text in texts], texts, notes)


COMPARE = """
window.b64 = (text) => Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
window.one = async (files, given) => {
  try {
    const results = await warumVerify.exported({
      names: Object.keys(files), read: async (name) => files[name] || null, ...given });
    return results.map((r) => [r.log, r.clean, r.size, r.counts, r.opened, r.notGiven, r.covered,
      r.lastGood, r.firstBad && r.firstBad.seq]);
  } catch (fault) {
    if (!fault.unusable) throw fault;
    return "unusable";
  }
};
window.prepare = (base, given) => {
  window.base = Object.fromEntries(Object.entries(base).map(([name, data]) => [name, b64(data)]));
  const all = given.keys.map(warumVerify.readKey);
  window.given = { keys: all.filter((k) => !k.witness), witnesses: all.filter((k) => k.witness),
    outside: given.outside.map(b64) };
};
window.mutations = async (changes) => {
  const said = [];
  for (const change of changes) {
    const files = { ...window.base };
    for (const [name, data] of Object.entries(change)) {
      if (data === null) delete files[name]; else files[name] = b64(data);
    }
    said.push(await one(files, window.given));
  }
  return said;
};
null;
"""


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """The page, opened from disk; it may ask nobody for anything and complain of nothing."""
    context = browser.new_context(locale="de-DE", viewport={"width": 1000, "height": 900})
    opened, complaints = context.new_page(), []
    opened.on("console", lambda message: complaints.append(message.text))
    opened.on("pageerror", lambda fault: complaints.append(str(fault)))
    opened.on("request", lambda asked: complaints.append(asked.url))
    opened.goto(PAGE.as_uri())
    complaints.remove(PAGE.as_uri())
    yield opened
    context.close()
    assert complaints == []


def text(data: bytes) -> str:
    return base64.b64encode(data).decode()


Change = dict[str, bytes | None]


def in_python(handed: Handed, change: Change, outside: list[verify.Checkpoint]) -> Any:
    """What verify.py says of the export with these files changed."""
    before = {}
    for name, data in change.items():
        path = handed.folder / name
        before[path] = path.read_bytes() if path.is_file() else None
        if data is None:
            path.unlink()
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
    try:
        results = verify.verify_export(
            handed.folder, handed.keys, outside, [verify.read_witness(WITNESS)]
        )
        return [
            [
                one.log,
                one.clean,
                one.size,
                one.counts,
                one.opened,
                one.not_given,
                one.covered,
                one.last_good.size if one.last_good else None,
                one.first_bad.seq if one.first_bad else None,
            ]
            for one in results
        ]
    except verify.Unusable:
        return "unusable"
    finally:
        for path, data in before.items():
            path.unlink(missing_ok=True)
            if data is not None:
                path.write_bytes(data)


def compare(page: Page, handed: Handed, changes: list[Change], notes: list[bytes]) -> int:
    """Have both verifiers look at every change; return of how many they said the same."""
    page.evaluate(COMPARE)
    base = {name: text(data) for name, data in handed.files().items()}
    given = {"keys": [*handed.texts, WITNESS], "outside": [text(note) for note in notes]}
    page.evaluate("([base, given]) => prepare(base, given)", [base, given])
    outside = [
        verify.read_note(note, key, outside=True)
        for note in notes
        for key in handed.keys
        if note.startswith(f"{key.name}\n".encode())
    ]
    different = []
    for begin in range(0, len(changes), 500):
        part = changes[begin : begin + 500]
        sent = [
            {name: None if data is None else text(data) for name, data in change.items()}
            for change in part
        ]
        theirs = page.evaluate("(changes) => mutations(changes)", sent)
        for change, said in zip(part, theirs, strict=True):
            expected = in_python(handed, change, outside)
            if said != expected:
                different.append((list(change), said, expected))
    assert different == [], (len(different), different[:3])
    return len(changes)


# -- agreement ----------------------------------------------------------------------------------


def test_both_find_a_whole_export_clean(page: Page, handed: Handed) -> None:
    assert compare(page, handed, [{}], handed.outside) == 1
    assert compare(page, handed, [{}], []) == 1
    said = in_python(handed, {}, [])
    ledger, access = said
    assert ledger[:4] == ["ledger", True, 7, {"OK": 5, "ERASED": 2, "MISSING": 0, "ALTERED": 0}]
    assert ledger[6] == 7  # by the witness alone
    assert access[6] == 0


def flips(files: dict[str, bytes], step: int) -> Iterator[Change]:
    masks = (0x01, 0x20, 0x80)
    for name, data in files.items():
        for at in range(0, len(data), step):
            yield {name: data[:at] + bytes([data[at] ^ masks[at % 3]]) + data[at + 1 :]}


def test_both_say_the_same_of_changed_bytes_all_over(page: Page, handed: Handed) -> None:
    changes = list(flips(handed.files(), 17))
    assert len(changes) > 500
    assert compare(page, handed, changes, []) == len(changes)


@pytest.mark.long
def test_both_say_the_same_of_every_single_changed_byte(page: Page, handed: Handed) -> None:
    changes = list(flips(handed.files(), 1))
    assert len(changes) > 8_500
    assert compare(page, handed, changes, handed.outside) == len(changes)


def test_both_say_the_same_of_files_that_are_gone_cut_doubled_swapped_or_added(
    page: Page, handed: Handed
) -> None:
    files = handed.files()
    changes: list[Change] = []
    for name, data in files.items():
        changes += [{name: None}, {name: b""}, {name: data[:-1]}, {name: data + b"\n"}]
        changes += [{name: data + data}, {f"{name}x": data}, {name: data[: len(data) // 2]}]
        lines = data.split(b"\n")
        for at in range(0, len(lines), 2):
            changes.append({name: b"\n".join(lines[:at] + lines[at + 1 :])})
            changes.append({name: b"\n".join([*lines[:at], lines[at], *lines[at:]])})
            if at:
                swapped = [*lines[: at - 1], lines[at], lines[at - 1], *lines[at + 1 :]]
                changes.append({name: b"\n".join(swapped)})
    for one in files:
        for other in files:
            if one < other and files[one] != files[other]:
                changes.append({one: files[other], other: files[one]})
    assert compare(page, handed, changes, handed.outside) > 250


def hostile_lines(files: dict[str, bytes], source: random.Random) -> Change:
    """One line of payloads said in another way: other spellings, types, fields."""
    name = "ledger/payload/000.p/7"
    lines = files[name].splitlines()
    at = source.randrange(len(lines))
    line = lines[at].decode()
    tricks = [
        line.replace('"seq":', '"seq": '),
        line.replace('"seq":1}', '"seq":true}'),
        line.replace('"seq":1}', '"seq":1.0}'),
        line.replace('"seq":1}', '"seq":"1"}'),
        line.replace('"seq":', '"seq":-'),
        line[:-1] + ',"x":null}',
        line[:-1] + ',"seq":1}',
        line[:-1] + ',"not_given":true}',
        "{" + '"not_given":true,' + line[line.index('"seq"') :],
        "{" + '"not_given":false,' + line[line.index('"seq"') :],
        "{" + line[line.index('"seq"') :],
        line.replace('"key":"', '"key":"A').replace("=", ""),
        line.replace('"nonce":"', '"nonce":"AAAA'),
        line.replace("{", '{"__proto__":{},', 1),
        "[" * 50 + "]" * 50,
        "\ufeff" + line,
        line + "\u2028",
        '"\\ud800"',
        "null",
        "9007199254740993",
        "",
    ]
    lines[at] = source.choice(tricks).encode()
    return {name: b"\n".join(lines) + b"\n"}


def test_both_say_the_same_of_hostile_exports(page: Page, handed: Handed) -> None:
    source, files, changes = random.Random(6962), handed.files(), []
    for _ in range(300):
        change: Change = {}
        for name in source.sample(sorted(files), source.randrange(1, 4)):
            data = bytearray(files[name])
            for _ in range(source.randrange(1, 6)):
                at = source.randrange(len(data) + 1)
                put = source.choice([source.randbytes(2), b"0", b'"', b"=", b"\n", b"\x00", b""])
                data[at : at + source.randrange(3)] = put
            change[name] = bytes(data)
        changes.append(change)
    changes += [hostile_lines(files, source) for _ in range(200)]
    assert compare(page, handed, changes, handed.outside) == 500


def test_both_see_that_an_erasure_is_claimed_and_was_not_recorded(
    page: Page, handed: Handed
) -> None:
    """What lies open of an erasure counts only as far as its entry vouches for it."""
    name = "ledger/payload/000.p/7"
    lines = handed.files()[name].decode().splitlines()
    gone = [*lines[:4], '{"seq":4}', *lines[5:6]]
    changes: list[Change] = []
    for seqs in ("[0,1,4]", "[4]", "[0,1]", "[]", "[true]", '["4"]', "4", "[0.5]"):
        payload = text(f'{{"legal_basis":"Art. 17 DSGVO","seqs":{seqs}}}'.encode())
        erasure = re.sub(r'"opened":"[^"]*"', f'"opened":"{payload}"', lines[6])
        changes += [{name: "\n".join([*some, erasure, ""]).encode()} for some in (gone, lines[:6])]
    bare = re.sub(r'"opened":"[^"]*",|"salt":"[^"]*",', "", lines[6])
    changes.append({name: "\n".join([*lines[:6], bare, ""]).encode()})
    assert compare(page, handed, changes, []) == 17
    said = in_python(handed, changes[0], [])[0]
    assert said[1] is False
    assert said[3] == {"OK": 3, "ERASED": 0, "MISSING": 3, "ALTERED": 1}


def test_both_say_erased_of_a_case_whose_key_was_lost(page: Page, tmp_path: Path) -> None:
    made = build(tmp_path / "data", erase=False)
    with closing(made.open()) as store:
        store.keys.destroy(str(store.keys.find("case:BG-1")))
        sealers = {log: made.sealer(log) for log in LogName}
        ledger = Ledger(store, sealers, {log: made.witness_of(log) for log in LogName}, RESOLVER)
        ((case_id,),) = made.attacker.find("SELECT case_id FROM case_entry WHERE seq = 2")
        later = NOON + timedelta(hours=1)
        erase_case_of_lost_key(ledger, case_id, "Art. 17 DSGVO", ("Anna", "Jan"), later)
    folder, keys = tmp_path / "export", made.case_keys()
    for name in LogName:
        export(made, folder, name, keys=keys)
    assert b'"key_lost":true' in base64.b64decode(
        re.findall(r'"opened":"([^"]*)"', (folder / "ledger/payload/000.p/7").read_text())[-1]
    )
    texts = [str(made.sealer(name).key) for name in LogName]
    handed = Handed(folder, [verify.read_key(one) for one in texts], texts, [])
    assert compare(page, handed, [{}], []) == 1
    ledger_said = in_python(handed, {}, [])[0]
    assert ledger_said[1:4] == [True, 7, {"OK": 5, "ERASED": 2, "MISSING": 0, "ALTERED": 0}]


def test_both_say_the_same_of_logs_of_many_sizes_cut_at_other_heads(
    page: Page, pristine: Installation, tmp_path: Path
) -> None:
    """Sizes around a full tile, and newest heads put back to older ones."""
    made = pristine.copy(tmp_path / "data")
    store = made.open()
    try:
        many = case(store, "BG-many")
        for at in range(252):
            with store.transaction(NOON) as tx:
                records.record_shown(tx, many, shown("BG-many", number=str(at)))
            if at >= 246:
                made.seal(store)
    finally:
        store.close()
    folder = tmp_path / "export"
    assert export(made, folder).size == 260  # the clock stepped back once: that is an entry too
    texts = [str(made.sealer(LogName.LEDGER).key)]
    whole = Handed(folder, [verify.read_key(texts[0])], texts, [])
    heads = [data for name, data in whole.files().items() if "/checkpoints/" in name]
    notes = [path.read_bytes() for path in sorted((made.witness / "ledger").glob("*.note"))]
    assert len(heads) > 8
    changes: list[Change] = [{}, *({"ledger/checkpoint": head} for head in heads)]
    changes += [{name: None} for name in whole.files()]
    assert compare(page, whole, changes, notes) == compare(page, whole, changes, [])


def test_both_say_the_same_of_every_changed_byte_of_a_receipt(page: Page) -> None:
    log, receipts = written(11)
    kept = receipt(log, receipts[6], 11)
    source = random.Random(9162)
    hostile = [kept, receipt(log, receipts[5], 11), receipt(log, receipts[6], 7)]
    hostile += [
        kept[:at] + bytes([kept[at] ^ mask]) + kept[at + 1 :]
        for at in range(len(kept))
        for mask in ((0x01, 0x20, 0x80)[at % 3],)
    ]
    for _ in range(300):
        data = bytearray(kept)
        for _ in range(source.randrange(1, 8)):
            at = source.randrange(len(data) + 1)
            data[at : at + source.randrange(5)] = source.choice([b"\n", b"index 6", b"A", b"="])
        hostile.append(bytes(data))
    page.evaluate(COMPARE)
    for told in (LETTER, LETTER[:-1], None):
        theirs = page.evaluate(
            """async ([receipts, key, told]) => {
              const keys = [warumVerify.readKey(key)], said = [];
              for (const data of receipts) {
                const found = await warumVerify.receipt(
                  { data: b64(data), keys, told: told === null ? null : b64(told) });
                said.push(found.holds ? [found.seq, found.type, found.size] : false);
              }
              return said;
            }""",
            [[text(one) for one in hostile], str(SIGNER.key), told and text(told)],
        )
        ours = [in_words(one, told) for one in hostile]
        assert theirs == ours
        assert ours[0] == ([6, "shown", 11] if told != LETTER[:-1] else False)
        assert sum(one is not False for one in ours) < len(ours) // 10


def in_words(data: bytes, told: bytes | None) -> Any:
    try:
        leaf, head = verify.verify_receipt(data, KEYS, told)
    except verify.Wrong:
        return False
    return [leaf["seq"], leaf["type"], head.size]


# -- its own arithmetic -------------------------------------------------------------------------


def test_its_hashes_are_the_standard_ones_at_every_length(page: Page) -> None:
    source = random.Random(180)
    data = [source.randbytes(size) for size in [*range(260), 1_000, 65_535]]
    said = page.evaluate(
        """(all) => all.map((text) => {
          const { sha256, sha512, hmac, hex } = warumArithmetic;
          const data = Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
          return [hex(sha256(data)), hex(sha512(data)), hex(hmac(data.subarray(0, 100), data))];
        })""",
        [text(one) for one in data],
    )
    assert said == [
        [
            hashlib.sha256(one).hexdigest(),
            hashlib.sha512(one).hexdigest(),
            hmac.digest(one[:100], one, "sha256").hex(),
        ]
        for one in data
    ]


RFC_8032 = [  # section 7.1: public key, message, signature
    (
        "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
        "",
        "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701c"
        "f9b46bd25bf5f0595bbe24655141438e7a100b",
    ),
    (
        "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
        "72",
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0"
        "f11d8c387b2eaeb4302aeeb00d291612bb0c00",
    ),
]


def test_signatures_hold_by_hand_and_by_the_browser_alike(page: Page) -> None:
    source = random.Random(8032)
    cases = [tuple(map(bytes.fromhex, case)) for case in RFC_8032]
    expected = [True] * len(cases)
    for number in range(12):
        private = Ed25519PrivateKey.from_private_bytes(source.randbytes(32))
        public, message = private.public_key().public_bytes_raw(), source.randbytes(number * 17)
        signature = private.sign(message)
        cases.append((public, message, signature))
        expected.append(True)
        at = source.randrange(64)
        bad = signature[:at] + bytes([signature[at] ^ 1 << number % 8]) + signature[at + 1 :]
        order = 2**252 + 27742317777372353535851937790883648493
        more = (int.from_bytes(signature[32:], "little") + order).to_bytes(32, "little")
        cases += [(public, message, bad), (public, message + b"x", signature)]
        cases += [(public, message, signature[:32] + more), (public, message, signature[:-1])]
        expected += [False] * 4
    said = page.evaluate(
        """async (cases) => {
          const data = (text) => Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
          const said = [];
          for (const one of cases) {
            const [key, message, signature] = one.map(data);
            said.push([await warumArithmetic.ed25519(key, message, signature),
              warumArithmetic.ed25519ByHand(key, message, signature)]);
          }
          return said;
        }""",
        [[text(part) for part in case] for case in cases],
    )
    assert said == [[one, one] for one in expected]


def test_roots_and_proofs_are_those_of_the_other_implementations(page: Page) -> None:
    leaves = [*PUBLISHED, *(number.to_bytes(2, "big") for number in range(248))]
    hashes = [tree.leaf_hash(leaf) for leaf in leaves]
    subtree = cache(tree.subtrees(hashes))
    roots = [tree.root(hashes[:size]) for size in range(len(hashes) + 1)]
    nodes: dict[bytes, int] = {}  # each hash is handed over once, and named by its place
    proofs = [
        [
            index,
            size,
            [
                nodes.setdefault(one, len(nodes))
                for one in tree.inclusion_proof(index, size, subtree)
            ],
        ]
        for size in range(1, 257)
        for index in range(size)
    ]
    said = page.evaluate(
        """([leaves, texts, proofs]) => {
          const data = (text) => Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
          const { Growing, leafHash, rootAbove } = warumVerify, { hex } = warumArithmetic;
          const growing = new Growing(), hashes = leaves.map((leaf) => leafHash(data(leaf)));
          const roots = [hex(growing.root())];
          for (const hash of hashes) { growing.add(hash); roots.push(hex(growing.root())); }
          const refused = (...probe) => {
            try { rootAbove(...probe); return 0; } catch { return 1; }
          };
          const nodes = texts.map(data), of = (places) => places.map((place) => nodes[place]);
          let others = 0;
          for (const [index, size, places] of proofs) {
            const proof = of(places), hash = hashes[index];
            others += refused(index, size, hash, [...proof, hash]);
            others += refused(size, size, hash, proof);
            if (size > 1) others += refused(index, size, hash, proof.slice(0, -1));
          }
          return [roots, proofs.map(([index, size, places]) =>
            hex(rootAbove(index, size, hashes[index], of(places)))), others];
        }""",
        [[text(leaf) for leaf in leaves], [text(node) for node in nodes], proofs],
    )
    assert said[0] == [root.hex() for root in roots]
    assert said[0][8] == "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328"
    assert said[1] == [roots[size].hex() for _, size, _ in proofs]
    assert len(proofs) == 32_896
    assert said[2] == 3 * 32_896 - 1  # too long, beyond the log, too short


# -- for people ---------------------------------------------------------------------------------


def ask(page: Page, handed: Handed, folder: Path) -> str:
    page.locator("#folder").set_input_files(folder)
    page.locator("#keys").fill("\n".join([*handed.texts, WITNESS]))
    page.locator("button[type=submit]").click()
    expect(page.locator("#said .verdict")).to_be_visible()
    expect(page.locator("#working")).to_be_hidden()
    return page.locator("#result").inner_text()


@pytest.fixture
def copied(handed: Handed, tmp_path: Path) -> Path:
    shutil.copytree(handed.folder, tmp_path / "export")
    shutil.copy(PAGE, tmp_path / "export" / "verify.html")
    return tmp_path / "export"


def test_a_person_learns_that_an_export_is_clean_in_german_and_english(
    page: Page, handed: Handed, copied: Path
) -> None:
    said = ask(page, handed, copied)
    assert "In Ordnung" in said
    assert "Entscheidungen und Erklärungen: 7 Einträge" in said
    assert "Die Einträge 0 bis 6 stehen unter einem Stand" in said
    page.get_by_role("button", name="English").click()
    said = page.locator("#result").inner_text()
    assert "Clean: nothing was found to be wrong." in said
    assert page.locator("html").get_attribute("lang") == "en"


def test_a_person_learns_which_entry_is_bad_first_and_why(
    page: Page, handed: Handed, copied: Path
) -> None:
    leaves = copied / "ledger" / "tile" / "entries" / "000.p" / "7"
    leaves.write_bytes(leaves.read_bytes().replace(b"decision", b"decisiom", 1))
    said = ask(page, handed, copied)
    assert "Nicht in Ordnung" in said
    assert "Erster Fehler, bei Eintrag 0:" in said or "Erster Fehler, bei Eintrag 1:" in said
    assert "Eintrag 1 wurde verändert." in said


def test_names_of_files_are_text_and_never_markup(page: Page, handed: Handed, copied: Path) -> None:
    (copied / "ledger" / "<img src=x onerror=alert(1)>").write_bytes(b"")
    said = ask(page, handed, copied)
    assert "<img src=x onerror=alert(1)>" in said
    assert page.locator("#result img").count() == 0


def test_signs_that_hide_or_turn_words_around_are_spelled_out(
    page: Page, handed: Handed, copied: Path
) -> None:
    (copied / "ledger" / "\u202egnundrO nI\u200b").write_bytes(b"")
    said = ask(page, handed, copied)
    assert r"\u{202e}gnundrO nI\u{200b}" in said
    assert "\u202e" not in said


def test_a_person_can_check_a_receipt_and_its_letter(page: Page, tmp_path: Path) -> None:
    log, receipts = written(6)
    (tmp_path / "mine.tlog-proof").write_bytes(receipt(log, receipts[2], 6))
    (tmp_path / "letter.html").write_bytes(LETTER)
    page.locator("#receipt").set_input_files(tmp_path / "mine.tlog-proof")
    page.locator("#told").set_input_files(tmp_path / "letter.html")
    page.locator("#keys").fill(str(SIGNER.key))
    page.locator("button[type=submit]").click()
    expect(page.locator("#said")).to_contain_text("Er steht für genau die Datei")
    (tmp_path / "letter.html").write_bytes(LETTER + b"\n")
    page.locator("#told").set_input_files(tmp_path / "letter.html")
    page.locator("button[type=submit]").click()
    expect(page.locator("#said")).to_contain_text("ist nicht die, für die der Eintrag steht")


@pytest.mark.parametrize(
    ("keys", "says"),
    [
        ("", "mindestens einen Prüfschlüssel"),
        ("nonsense", "kein Prüfschlüssel"),
        (str(SIGNER.key).replace("+", "+0", 1), "kein Prüfschlüssel"),
    ],
)
def test_what_cannot_be_checked_is_said(page: Page, handed: Handed, keys: str, says: str) -> None:
    page.locator("#folder").set_input_files(handed.folder)
    page.locator("#keys").fill(keys)
    page.locator("button[type=submit]").click()
    expect(page.locator("#said")).to_contain_text(says)


def test_every_word_is_there_in_both_languages(page: Page) -> None:
    source = PAGE.read_text("utf-8")
    german, english = source.split("\n    en: {")
    german = german.split("\n    de: {")[1]

    def keys(part: str) -> set[str]:
        return set(re.findall(r"(?:^|\s)([A-Za-z_]+): \"", part.split("\n    },")[0]))

    assert keys(german) == keys(english)
    assert len(keys(german)) > 100


GUISES = [("light", 1280), ("dark", 1280), ("dark", 320), ("light", 320)]


def test_the_page_is_for_everybody_in_every_guise(page: Page, handed: Handed, copied: Path) -> None:
    (copied / "ledger" / ("long" * 30)).write_bytes(b"")
    ask(page, handed, copied)
    assert page.evaluate("document.activeElement.id") == "result"
    faults = []
    for name in ("Deutsch", "English"):
        page.get_by_role("button", name=name).click()
        for scheme, width in GUISES:
            page.emulate_media(color_scheme=scheme)
            page.set_viewport_size({"width": width, "height": 900})
            found = Axe().run(page, options=OPTIONS).response["violations"]
            faults += [f"{name} {scheme} {width}: {one['id']}" for one in found]
            if page.evaluate(OVERFLOW):
                faults.append(f"{name} {scheme} {width}: wider than the window")
    assert faults == []


def test_the_page_is_worked_by_keyboard_alone(page: Page) -> None:
    reached = []
    for _ in range(12):
        page.keyboard.press("Tab")
        reached.append(page.evaluate("document.activeElement.id || document.activeElement.type"))
    for wanted in ("folder", "receipt", "told", "keys", "outside", "submit"):
        assert wanted in reached


def test_nothing_in_the_page_can_reach_the_network_or_write_markup() -> None:
    source = PAGE.read_text("utf-8")
    assert "default-src 'none'" in source
    for word in (
        "innerHTML",
        "outerHTML",
        "document.write",
        "fetch(",
        "XMLHttp",
        "import(",
        "eval(",
    ):
        assert word not in source.replace("this.fetch(", ""), word
    assert "http" not in source.replace("http-equiv", "")
