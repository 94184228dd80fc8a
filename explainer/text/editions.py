"""Which words were in force: digests of the product's catalogs and of its document templates.

They are recorded with whatever is shown, and made of the very bytes that were parsed. An agency's
own words are under the digest of its package.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path

from explainer.text.languages import Language, locales_dir, read_once
from explainer.text.render import TEMPLATES


@lru_cache(maxsize=32)
def catalog_version(language: Language) -> str:
    """SHA-256 of the product's words in this language, German included, in hexadecimal."""
    folder = locales_dir()
    translations = sorted((folder / language.folder).rglob("*.po")) if language.folder else []
    return _digest(folder, [folder / "sentences.toml", *translations])


@lru_cache(maxsize=1)
def template_version() -> str:
    """SHA-256 of the templates of all documents people are shown, in hexadecimal."""
    return _digest(TEMPLATES, sorted(TEMPLATES.rglob("*.html")))


def _digest(folder: Path, files: Iterable[Path]) -> str:
    digest = hashlib.sha256()
    for path in files:
        data = read_once(path)
        digest.update(f"{path.relative_to(folder).as_posix()} {len(data)}\n".encode())
        digest.update(data)
    return digest.hexdigest()
