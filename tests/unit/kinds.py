"""Two packages that suggest something else than one of two outcomes: one of three, and an amount.

Both are small, really trained, and worded in German, English and Arabic."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xgboost
from babel.messages.catalog import Catalog
from babel.messages.pofile import write_po

from explainer.packages.scaffold import seal

NUMBERS = {"age": "years", "wage": "eur", "months": "months"}
TENANCIES = ("own", "rent")
NAMES = (*NUMBERS, "tenancy")
OUTCOMES = ("grant", "talk", "check")
GOLDEN = 30


def rows(count: int = 400) -> pd.DataFrame:
    """Applications that nobody made: the same each time. Of some, the months are missing."""
    draw = np.random.default_rng(11)
    months = draw.integers(0, 120, count).astype(float)
    months[draw.random(count) < 0.1] = np.nan
    return pd.DataFrame(
        {
            "age": draw.integers(18, 66, count).astype(float),
            "wage": np.round(draw.uniform(800, 4200, count)),
            "months": months,
            "tenancy": draw.choice(TENANCIES, count),
        }
    )


def worth(table: pd.DataFrame) -> np.ndarray:
    """What there is to learn: older, lower paid and renting people get more."""
    noise = np.random.default_rng(12).normal(0, 0.4, len(table))
    return (
        (table["age"].to_numpy() - 40) / 15
        - (table["wage"].to_numpy() - 2500) / 1000
        + np.nan_to_num(table["months"].to_numpy(), nan=40) / 90
        + (table["tenancy"].to_numpy() == "rent") * 0.7
        + noise
    )


def matrix(table: pd.DataFrame, label: np.ndarray | None = None) -> xgboost.DMatrix:
    known = table.assign(tenancy=pd.Categorical(table["tenancy"], categories=list(TENANCIES)))
    return xgboost.DMatrix(known, label, enable_categorical=True, nthread=1)


@dataclass(frozen=True)
class Kind:
    """A kind of package: how its model is trained, and what its manifest and its words say."""

    name: str
    settings: Mapping[str, Any]
    model: str
    suggestion: str
    towards: Mapping[str, Mapping[str, str]]
    """By language: what a reason speaks for, by outcome, inside of a sentence."""
    texts: Mapping[str, Mapping[str, str]]
    """By language: outcomes or the amount, by key."""


THREE = Kind(
    "three_outcomes",
    {"objective": "multi:softprob", "num_class": 3},
    'kind = "multiclass"\nspace = "log-odds"\nclasses = ["grant", "talk", "check"]\n',
    'outcomes = { grant = "grant", talk = "talk", check = "check" }\n'
    'favourable = ["grant", "talk", "check"]\n'
    'interim = ["talk", "check"]\n',
    {
        "de": {
            "grant": "eine Bewilligung",
            "talk": "ein Gespräch",
            "check": "eine genauere Prüfung",
        },
        "en": {"grant": "granting it", "talk": "a conversation", "check": "a closer check"},
        "ar": {"grant": "الموافقة", "talk": "إجراء محادثة", "check": "فحص أدق"},
    },
    {
        "de": {
            "outcome|grant|label": "Bewilligung",
            "outcome|grant|suggested": "Das Programm hat vorgeschlagen, Ihren Antrag zu "
            "bewilligen.",
            "outcome|grant|suggested_staff": "Das Programm hat vorgeschlagen, den Antrag zu "
            "bewilligen.",
            "outcome|grant|decided": "Wir haben Ihren Antrag bewilligt.",
            "outcome|grant|decide": "Antrag bewilligen",
            "outcome|talk|label": "Gespräch",
            "outcome|talk|suggested": "Das Programm hat vorgeschlagen, mit Ihnen zu sprechen.",
            "outcome|talk|suggested_staff": "Das Programm hat ein Gespräch vorgeschlagen.",
            "outcome|talk|decided": "Wir möchten mit Ihnen sprechen.",
            "outcome|talk|decide": "Zum Gespräch einladen",
            "outcome|check|label": "Genauere Prüfung",
            "outcome|check|suggested": "Das Programm hat vorgeschlagen, Ihren Antrag genauer zu "
            "prüfen.",
            "outcome|check|suggested_staff": "Das Programm hat vorgeschlagen, den Antrag genauer "
            "zu prüfen.",
            "outcome|check|decided": "Wir prüfen Ihren Antrag genauer.",
            "outcome|check|decide": "Antrag genauer prüfen",
        },
        "en": {
            "outcome|grant|label": "Granting",
            "outcome|grant|suggested": "The program suggested granting your application.",
            "outcome|grant|suggested_staff": "The program suggested granting the application.",
            "outcome|grant|decided": "We have granted your application.",
            "outcome|grant|decide": "Grant the application",
            "outcome|talk|label": "Conversation",
            "outcome|talk|suggested": "The program suggested talking to you.",
            "outcome|talk|suggested_staff": "The program suggested a conversation.",
            "outcome|talk|decided": "We would like to talk to you.",
            "outcome|talk|decide": "Invite to a conversation",
            "outcome|check|label": "Closer check",
            "outcome|check|suggested": "The program suggested a closer check of your application.",
            "outcome|check|suggested_staff": "The program suggested a closer check.",
            "outcome|check|decided": "We are checking your application more closely.",
            "outcome|check|decide": "Check the application more closely",
        },
        "ar": {
            "outcome|grant|label": "الموافقة",
            "outcome|grant|suggested": "اقترح البرنامج الموافقة على طلبك.",
            "outcome|grant|suggested_staff": "اقترح البرنامج الموافقة على الطلب.",
            "outcome|grant|decided": "وافقنا على طلبك.",
            "outcome|grant|decide": "الموافقة على الطلب",
            "outcome|talk|label": "محادثة",
            "outcome|talk|suggested": "اقترح البرنامج التحدث معك.",
            "outcome|talk|suggested_staff": "اقترح البرنامج إجراء محادثة.",
            "outcome|talk|decided": "نود التحدث معك.",
            "outcome|talk|decide": "دعوة إلى محادثة",
            "outcome|check|label": "فحص أدق",
            "outcome|check|suggested": "اقترح البرنامج إجراء فحص أدق لطلبك.",
            "outcome|check|suggested_staff": "اقترح البرنامج إجراء فحص أدق.",
            "outcome|check|decided": "نفحص طلبك بدقة أكبر.",
            "outcome|check|decide": "فحص الطلب بدقة أكبر",
        },
    },
)

AMOUNT = Kind(
    "an_amount",
    {"objective": "reg:squarederror"},
    'kind = "amount"\nspace = "amount"\n',
    'unit = "EUR"\ndecimals = 2\nfavours_applicant = "higher"\n',
    {
        "de": {"higher": "eine höhere Beihilfe", "lower": "eine niedrigere Beihilfe"},
        "en": {"higher": "a higher grant", "lower": "a lower grant"},
        "ar": {"higher": "إعانة أعلى", "lower": "إعانة أقل"},
    },
    {
        "de": {
            "amount|suggested": "Das Programm hat als Beihilfe für Sie vorgeschlagen: {value}.",
            "amount|suggested_staff": "Das Programm hat als Beihilfe vorgeschlagen: {value}.",
            "amount|decided": "Ihre Beihilfe beträgt: {value}.",
            "amount|decide": "Beihilfe im Monat in Euro",
        },
        "en": {
            "amount|suggested": "As a grant for you, the program suggested: {value}.",
            "amount|suggested_staff": "As a grant, the program suggested: {value}.",
            "amount|decided": "Your grant is: {value}.",
            "amount|decide": "Grant a month in euros",
        },
        "ar": {
            "amount|suggested": "اقترح البرنامج إعانة لك بمبلغ: {value}.",
            "amount|suggested_staff": "اقترح البرنامج إعانة بمبلغ: {value}.",
            "amount|decided": "مبلغ إعانتك: {value}.",
            "amount|decide": "الإعانة الشهرية باليورو",
        },
    },
)

LABELS = {
    "de": {"age": "Alter", "wage": "Lohn", "months": "Dauer", "tenancy": "Wohnen"},
    "en": {"age": "Age", "wage": "Pay", "months": "Duration", "tenancy": "Housing"},
    "ar": {"age": "العمر", "wage": "الأجر", "months": "المدة", "tenancy": "السكن"},
}
SPOKE = {
    "de": (
        "{label}: Diese Angabe sprach aus Sicht des Programms für {towards}. Angegeben ist: "
        "{value}.",
        "{label}: Diese Angabe fehlte. Das sprach aus Sicht des Programms für {towards}.",
    ),
    "en": (
        "{label}: For the program, this pointed towards {towards}. You stated: {value}.",
        "{label}: This was missing. For the program, that pointed towards {towards}.",
    ),
    "ar": (
        "{label}: أشارت هذه المعلومة من وجهة نظر البرنامج إلى {towards}. القيمة: {value}.",
        "{label}: هذه المعلومة ناقصة. أشار ذلك من وجهة نظر البرنامج إلى {towards}.",
    ),
}
CHOICES = {
    "de": {"own": "Eigentum", "rent": "Miete"},
    "en": {"own": "Owned", "rent": "Rented"},
    "ar": {"own": "ملك", "rent": "إيجار"},
}
OTHERS = {
    "de": ("Kleines Paket", "Leistung", "Verglichen wurde mit einer Gruppe: 370 Anträge."),
    "en": ("Small package", "Benefit", "Compared with a group: 370 applications."),
    "ar": ("حزمة صغيرة", "إعانة", "تمت المقارنة بمجموعة: 370 طلبا."),
}


def words(kind: Kind, tag: str) -> dict[str, str]:
    """Every text of the package in one language, by key."""
    title, benefit, compared = OTHERS[tag]
    texts = {"package|title": title, "package|benefit": benefit}
    texts |= {"comparison|applicant": compared, "comparison|staff": compared}
    for line in ("office", "function", "phone", "hours"):
        texts[f"contact|{line}"] = f"Musteramt {line}"
    texts["contact|address"] = "Musterstraße 1\n12345 Musterstadt"
    for name in NAMES:
        label = LABELS[tag][name]
        texts[f"feature|{name}|label"] = label
        for outcome, towards in kind.towards[tag].items():
            for at, suffix in ((0, ""), (1, "|missing"))[: 2 if name == "months" else 1]:
                said = SPOKE[tag][at].replace("{label}", label).replace("{towards}", towards)
                texts[f"feature|{name}|reason|{outcome}{suffix}"] = said
    for choice, label in CHOICES[tag].items():
        texts[f"feature|tenancy|choice|{choice}"] = label
    return texts | kind.texts[tag]


def _text(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)


def _features(kind: Kind, texts: Mapping[str, str]) -> str:
    parts = []
    for name in NAMES:
        at = f"feature|{name}"
        lines = ["[[feature]]", f"name = {_text(name)}", f"label = {_text(texts[f'{at}|label'])}"]
        if name == "tenancy":
            lines += ['kind = "choice"', f"choices = {_text(list(TENANCIES))}"]
        else:
            lines += ['kind = "number"', f"unit = {_text(NUMBERS[name])}"]
            lines += ["range = [0, 9000]", "trained = [0, 9000]"]
        lines += [f"optional = {str(name == 'months').lower()}"]
        lines += ['class = "neutral"', 'sensitivity = "normal"']
        lines += ['concerns = "applicant"', 'mend = "none"']
        if name == "tenancy":
            lines.append("[feature.choice_labels]")
            lines += [f"{c} = {_text(texts[f'{at}|choice|{c}'])}" for c in TENANCIES]
        for table, suffix in (("reason", ""), ("reason_missing", "|missing")):
            told = {o: texts.get(f"{at}|reason|{o}{suffix}") for o in kind.towards["de"]}
            if any(told.values()):
                lines.append(f"[feature.{table}]")
                lines += [f"{outcome} = {_text(said)}" for outcome, said in told.items()]
        parts.append("\n".join(lines) + "\n")
    return "\n".join(parts)


def _wording(texts: Mapping[str, str]) -> str:
    tables: dict[str, list[str]] = {}
    for key, text in texts.items():
        if not key.startswith("feature|"):
            *path, last = key.split("|")
            tables.setdefault(".".join(path), []).append(f"{last} = {_text(text)}")
    return "\n".join(f"[{path}]\n" + "\n".join(lines) + "\n" for path, lines in tables.items())


def _po(kind: Kind, tag: str) -> bytes:
    po = Catalog(locale=tag, fuzzy=False)
    german, translated = words(kind, "de"), words(kind, tag)
    for key, text in german.items():
        po.add(text, translated[key], context=key)
    data = io.BytesIO()
    write_po(data, po)
    return data.getvalue()


def write_kind(folder: Path, kind: Kind, **changes: str) -> Path:
    """Train the model and write its whole package. `changes` are texts of the manifest by what
    they take the place of."""
    table = rows()
    goal = worth(table)
    label = np.digitize(-goal, [-1.2, 0.2]) if kind is THREE else 300 + 60 * goal
    settings = {"max_depth": 3, "nthread": 1, "eta": 0.3, **kind.settings}
    booster = xgboost.train(settings, matrix(table, label), 12)
    margins = booster.predict(matrix(table), output_margin=True).astype(float)
    margins = margins.reshape(len(table), -1)
    low, high = np.quantile(margins[GOLDEN:], [0.1, 0.9], axis=0)
    texts = words(kind, "de")
    text = _manifest(kind, margins[GOLDEN:].mean(axis=0), high - low, len(table) - GOLDEN)
    for old, new in changes.items():
        text = text.replace(old, new)
    content = {
        "manifest.toml": text.encode(),
        "features.toml": _features(kind, texts).encode(),
        "wording.toml": _wording(texts).encode(),
        "model.ubj": bytes(booster.save_raw("ubj")),
        "background.csv": table[GOLDEN:].to_csv(index=False, lineterminator="\n").encode(),
        "golden/cases.jsonl": _golden(kind, table[:GOLDEN], margins[:GOLDEN]),
        "locales/en/wording.po": _po(kind, "en"),
        "locales/ar/wording.po": _po(kind, "ar"),
        "CARD.md": b"# Small\n",
    }
    for name, data in content.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    seal(folder)
    return folder


def _golden(kind: Kind, table: pd.DataFrame, margins: np.ndarray) -> bytes:
    lines = []
    for at, row in enumerate(table.to_dict("records")):
        values = {n: {"missing": "not_given"} if v != v else v for n, v in row.items()}
        line: dict[str, Any] = {"case": {"ref": f"K-{at:02}", "values": values}}
        line["margin"] = margins[at].tolist() if kind is THREE else float(margins[at, 0])
        if kind is THREE:
            parts = np.exp(margins[at] - margins[at].max())
            line["probability"] = (parts / parts.sum()).tolist()
            line["predicted"] = OUTCOMES[int(np.argmax(margins[at]))]
        lines.append(json.dumps(line))
    return ("\n".join(lines) + "\n").encode()


def _manifest(kind: Kind, base: np.ndarray, scale: np.ndarray, count: int) -> str:
    several = kind is THREE
    return f"""\
protocol = 1
id = "{kind.name}"
version = "1.0.0"
owner = "Musteramt"
created = 2026-03-01
licence = "EUPL-1.2"
purpose = "Ein kleines Paket für Tests."
benefit_type = "{kind.name}"
unit = "demo_office"
artificial_intelligence = true

[model]
format = "xgboost-ubj"
file = "model.ubj"
{kind.model}trained_with = {{ python = "3.11" }}

[suggestion]
{kind.suggestion}decision_type = "bound"

[background]
file = "background.csv"
rows = {count}
note = "Alle Zeilen."
base = {base.tolist() if several else float(base[0])}
margin_scale = {scale.tolist() if several else float(scale[0])}

[reasons]
[limits]

[languages]
source = "de"
offered = ["de", "en", "ar"]
default = "de"

[review]
status = "not_approved"
note = "Nur für Tests."

[retention]
class = "case_file"
"""
