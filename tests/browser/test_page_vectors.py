"""Published vectors and probes through the page that verifies: its arithmetic is its own."""

from __future__ import annotations

import base64
import re
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

from explainer.ledger import verify

sys.path.append(str(Path(__file__).parents[1] / "ledger"))
import probes
import vectors

pytestmark = pytest.mark.browser

PAGE = Path(verify.__file__).with_suffix(".html")
UNPACK = "const b64 = (text) => Uint8Array.from(atob(text), (c) => c.charCodeAt(0));"


@pytest.fixture(scope="module")
def page(browser: Browser) -> Iterator[Page]:
    context = browser.new_context()
    opened = context.new_page()
    opened.goto(PAGE.as_uri())
    yield opened
    context.close()


def text(data: bytes) -> str:
    return base64.b64encode(data).decode()


def test_every_vector_for_ed25519_ends_as_published_by_hand_and_by_the_browser(page: Page) -> None:
    """29 may be taken or not; both take them, as verify.py does."""
    given = [(text(v.public), text(v.message), text(v.signature)) for v in vectors.signed()]
    said = page.evaluate(
        f"""async (given) => {{ {UNPACK}
          const said = [];
          for (const one of given) {{
            const parts = one.map(b64);
            const by = [];
            for (const how of [warumArithmetic.ed25519, warumArithmetic.ed25519ByHand])
              by.push(await how(...parts));
            said.push(by);
          }}
          return said;
        }}""",
        given,
    )
    expected = [[vector.result != "invalid"] * 2 for vector in vectors.signed()]
    wrong = [one for one in zip(vectors.signed(), said, expected, strict=True) if one[1] != one[2]]
    assert wrong == []
    assert len(said) == 210


def test_its_hmac_gives_every_published_derived_key(page: Page) -> None:
    """HKDF (RFC 5869) is nothing but HMAC."""
    derived = vectors.derived()
    given = [[text(part) for part in (v.salt, v.ikm, v.info)] + [len(v.okm)] for v in derived]
    said = page.evaluate(
        f"""(given) => {{ {UNPACK}
          const {{ hmac, hex, joined }} = warumArithmetic;
          return given.map(([salt, ikm, info, length]) => {{
            const secret = hmac(b64(salt), b64(ikm));
            let made = new Uint8Array(0), block = made;
            for (let number = 1; made.length < length; number++) {{
              block = hmac(secret, joined(block, b64(info), Uint8Array.of(number)));
              made = joined(made, block);
            }}
            return hex(made.subarray(0, length));
          }});
        }}""",
        given,
    )
    assert said == [vector.okm.hex() for vector in derived]
    assert len(said) == 83


def test_its_sha_512_gives_every_published_digest(page: Page) -> None:
    found = re.findall(
        r"Len = (\d+)\s+Msg = ([0-9a-f]+)\s+MD = ([0-9a-f]{128})", vectors.text_of(vectors.SHA_512)
    )
    given = [text(bytes.fromhex(message)[: int(bits) // 8]) for bits, message, _ in found]
    said = page.evaluate(
        f"(given) => {{ {UNPACK} return given.map((one) => "
        "warumArithmetic.hex(warumArithmetic.sha512(b64(one)))); }",
        given,
    )
    assert said == [digest for *_, digest in found]
    assert len(said) == 129


def test_the_cipher_of_payloads_opens_what_it_should_and_nothing_else(page: Page) -> None:
    """AES-256-GCM as the page asks the browser for it."""
    asked = [
        (test, [text(bytes.fromhex(test[name])) for name in ("key", "iv", "aad")], test["result"])
        for group, test in vectors.tests_of(vectors.CIPHERS)
        if (group["keySize"], group["ivSize"], group["tagSize"]) == (256, 96, 128)
    ]
    given = [[*parts, text(bytes.fromhex(test["ct"] + test["tag"]))] for test, parts, _ in asked]
    said = page.evaluate(
        f"""async (given) => {{ {UNPACK}
          const said = [];
          for (const [key, iv, additionalData, sealed] of given.map((one) => one.map(b64))) {{
            const ours = await crypto.subtle.importKey("raw", key, "AES-GCM", false, ["decrypt"]);
            const how = {{ name: "AES-GCM", iv, additionalData }};
            said.push(await crypto.subtle.decrypt(how, ours, sealed).then(
              (plain) => warumArithmetic.hex(new Uint8Array(plain)), () => null));
          }}
          return said;
        }}""",
        given,
    )
    assert said == [test["msg"] if result == "valid" else None for test, _, result in asked]
    assert Counter(result for *_, result in asked) == {"valid": 39, "invalid": 27}


def test_every_published_inclusion_probe_ends_as_published(page: Page) -> None:
    """The page hashes the leaf itself, as verify.py does: 19 probes hand in another hash."""
    asked = [probe for probe in probes.inclusion() if probe.data is not None]
    given = [
        [probe.index, probe.size, text(probe.data or b""), [*map(text, probe.proof)]]
        for probe in asked
    ]
    said = page.evaluate(
        f"""(given) => {{ {UNPACK}
          const {{ rootAbove, leafHash, Wrong }} = warumVerify;
          return given.map(([index, size, data, proof]) => {{
            try {{
              const found = rootAbove(index, size, leafHash(b64(data)), proof.map(b64));
              return warumArithmetic.hex(found);
            }} catch (fault) {{
              if (!(fault instanceof Wrong)) throw fault;
              return null;
            }}
          }});
        }}""",
        given,
    )
    holds = [found == probe.root.hex() for found, probe in zip(said, asked, strict=True)]
    assert holds == [probe.holds for probe in asked]
    assert (len(holds), sum(holds)) == (79, 6)
