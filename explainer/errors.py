"""Every error Warum raises on purpose: what happened, where, and how to mend it.

Each leaf has a stable `code` and named facts. The sentences here are for the people who run
Warum and prepare packages: they are read in a terminal, often before any catalog could be
loaded (the catalog itself may be what is broken). What a person sees on a page is worded in
`locales/` by code; see `service/web/problems.py`. No fact may hold a value of a case: errors
are logged.
"""

# One list, a little long: whoever asks what can go wrong, or which codes are taken, reads it here.

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar


class ExplainerError(Exception):
    """Root of all errors raised on purpose; carries what, where and how to mend it.

    Attributes
    ----------
    code : stable name, a contract with logs, API clients and catalogs
    what : what happened
    where : the file, field or record it happened in
    mend : what to do next
    """

    code: ClassVar[str] = "error"

    def __init__(self, what: str, where: str, mend: str) -> None:
        super().__init__(what, where, mend)
        self.what = what
        self.where = where
        self.mend = mend

    def __str__(self) -> str:
        return f"{self.where}: {self.what} {self.mend}".strip()


# -- packages: at start-up, for the operator --------------------------------------------------


class PackageError(ExplainerError):
    """Something is wrong with a model package; it is not admitted."""


class ManifestInvalid(PackageError):
    """The manifest or the feature catalogue cannot be read or contradicts itself."""

    code = "package.manifest_invalid"


class ArtefactRefused(PackageError):
    """The model file is of a kind, or holds something, that Warum does not load."""

    code = "package.artefact_refused"


class ArtefactChanged(PackageError):
    """A file's bytes are not the ones the manifest names."""

    code = "package.artefact_changed"


class WordingIncomplete(PackageError):
    """A label or sentence is missing, fuzzy or malformed in a language the package offers."""

    code = "package.wording_incomplete"


class NotPlain(PackageError):
    """A text of the package breaks a rule of plain language, or holds words that mislead."""

    code = "package.not_plain"


class BackgroundInvalid(PackageError):
    """The comparison group does not fit the catalogue or the model."""

    code = "package.background_invalid"


class GoldenCaseDiffers(PackageError):
    """The model or the explanation gives other numbers than were recorded in training."""

    code = "package.golden_case_differs"


class PackageNotFound(PackageError):
    """No package is where one was named."""

    code = "package.not_found"


class PackageFaulty(PackageError):
    """All faults a check has found, at once; never raised with an empty list."""

    code = "package.faulty"

    def __init__(self, where: str, faults: Iterable[PackageError]) -> None:
        self.faults = tuple(faults)
        number = "1 fault" if len(self.faults) == 1 else f"{len(self.faults)} faults"
        super().__init__(f"The package has {number}.", where, "See each fault for how to mend it.")


# -- cases: for the caller --------------------------------------------------------------------


class CaseError(ExplainerError):
    """A case cannot be taken as it is; names the feature, never its value."""


class CaseMalformed(CaseError):
    """The case is not a JSON object of the documented form."""

    code = "case.malformed"


class FeatureMissing(CaseError):
    """A feature the package needs is not there, or is empty without being optional."""

    code = "case.value_missing"


class FeatureUnknown(CaseError):
    """The case names a feature the package does not have."""

    code = "case.feature_unknown"


class ValueOutOfRange(CaseError):
    """A number is outside the hard range, or a choice is not in the list."""

    code = "case.value_out_of_range"


class ValueOfWrongKind(CaseError):
    """A value is of another kind than the catalogue says (text for a number, NaN …)."""

    code = "case.value_of_wrong_kind"


class CaseFaulty(CaseError):
    """All faults of one case, at once."""

    code = "case.faulty"

    def __init__(self, where: str, faults: Iterable[CaseError]) -> None:
        self.faults = tuple(faults)
        number = "1 fault" if len(self.faults) == 1 else f"{len(self.faults)} faults"
        super().__init__(f"The case has {number}.", where, "Mend each fault and submit it again.")


class CaseNotFound(CaseError):
    """There is no such case, or this person may not see it: the answer is the same."""

    code = "case.not_found"


class CaseExists(CaseError):
    """A case of this number was submitted before."""

    code = "case.exists"


class NotYetDecided(CaseError):
    """The applicant is told what a person decided; before that there is nothing to tell."""

    code = "case.not_decided"


# -- explanations that are withheld -----------------------------------------------------------


class NotExplainable(ExplainerError):
    """The explanation is withheld; the case itself stays decidable.

    `model_output` and `total` are the model's own margin and base plus contributions, where the
    check came that far: for the form auditors read. They stand in no sentence.
    """

    def __init__(
        self,
        what: str,
        where: str,
        mend: str,
        *,
        model_output: float | None = None,
        total: float | None = None,
    ) -> None:
        super().__init__(what, where, mend)
        self.model_output = model_output
        self.total = total


class DoesNotAddUp(NotExplainable):
    """Base value and contributions do not reach the model's own output."""

    code = "explanation.does_not_add_up"


class ScoreDiffers(NotExplainable):
    """The running system reported another score than the package's model gives."""

    code = "explanation.score_differs"


class NotPrecise(NotExplainable):
    """The contributions had to be estimated, and stayed less certain than may be told."""

    code = "explanation.not_precise"


class ModelFailed(NotExplainable):
    """The model gave no usable answer for this case."""

    code = "explanation.model_failed"


class PackageReplaced(NotExplainable):
    """The package this case belongs to is not in force; no newer one speaks in its place."""

    code = "explanation.package_replaced"


class OutsideExperience(NotExplainable):
    """Too many values lie outside what the model was trained on; no suggestion is delivered."""

    code = "explanation.outside_experience"


class TextDisagrees(NotExplainable):
    """The rendered text, read back, does not say what the numbers say."""

    code = "explanation.text_disagrees"


# -- languages --------------------------------------------------------------------------------


class LanguageError(ExplainerError):
    """Something is wrong with a language."""


class LanguageNotOffered(LanguageError):
    """This language is not complete in product and package, or is switched off."""

    code = "language.not_offered"


class LanguageTableUnfit(LanguageError):
    """What a command was to write into the table of languages does not fit."""

    code = "language.table_unfit"


class MessageMissing(LanguageError):
    """A catalog lacks a message, or it is fuzzy or empty."""

    code = "language.message_missing"


# -- people -----------------------------------------------------------------------------------


class NotAllowed(ExplainerError):
    """This person may not do this."""

    code = "access.not_allowed"


class DecisionError(ExplainerError):
    """A decision cannot be taken as it was sent."""


class GroundsMissing(DecisionError):
    """A decision needs one to three reason codes (and a note where the code asks for one)."""

    code = "decision.grounds_missing"


class DecisionContradicts(DecisionError):
    """Outcome and stated relation to the suggestion do not fit together."""

    code = "decision.contradicts"


class DecisionIncomplete(DecisionError):
    """A field of the decision is missing or not one of its choices."""

    code = "decision.incomplete"


class ReferenceInvalid(DecisionError):
    """A reference into the file is too long, one of too many, or not plain text in one line."""

    code = "decision.reference_invalid"


class DayImpossible(DecisionError):
    """A case cannot have been decided on paper on this day, or nothing happened to it then."""

    code = "decision.day_impossible"


class NotePersonal(DecisionError):
    """The note may hold what belongs in the file: health, or what tells who somebody is. Only a
    warning: whoever confirms it has it recorded."""

    code = "decision.note_personal"


class AssessmentMissing(DecisionError):
    """The suggestion of this case is shown only after a person has assessed the case."""

    code = "decision.assessment_missing"


class SuggestionOutdated(DecisionError):
    """The case was decided, or its package changed, since the page was opened."""

    code = "decision.suggestion_outdated"


class DecisionFaulty(DecisionError):
    """All faults of one decision, at once; `fields` names the form field of each."""

    code = "decision.faulty"

    def __init__(self, where: str, faults: Iterable[tuple[str, DecisionError]]) -> None:
        self.faults = tuple(faults)
        super().__init__(
            " ".join(fault.what for _, fault in self.faults), where, "Correct the fields named."
        )


# -- ledger -----------------------------------------------------------------------------------


class LedgerError(ExplainerError):
    """Something is wrong with the records."""


class EntryMalformed(LedgerError):
    """Bytes or values are not a well-formed entry."""

    code = "ledger.entry_malformed"


class ProofInvalid(LedgerError):
    """A proof, checkpoint or signature does not hold."""

    code = "ledger.proof_invalid"


class ExportFailed(LedgerError):
    """A log cannot be written as a folder for others to check."""

    code = "ledger.export_failed"


class LogForked(LedgerError):
    """The log no longer continues what was sealed before."""

    code = "ledger.forked"


class LogBehindWitness(LedgerError):
    """The log is shorter than a checkpoint held outside it says: its tail was cut."""

    code = "ledger.behind_witness"


class WitnessFailed(LedgerError):
    """A witness or time-stamping authority gives no answer that can be used; it is asked again."""

    code = "ledger.witness_failed"


class RecordsDisagree(LedgerError):
    """What stands in the tables is not what was sealed in the ledger."""

    code = "ledger.records_disagree"


class KeyMissing(LedgerError):
    """A sealed payload is there, its key is not, and no erasure accounts for that."""

    code = "ledger.key_missing"


class IdempotencyConflict(LedgerError):
    """The same idempotency key came with another body."""

    code = "ledger.idempotency_conflict"


class BackupRefused(LedgerError):
    """A backup cannot be made or put back: changed, incomplete, expired, or in the wrong place."""

    code = "ledger.backup_refused"


class ErasureRefused(LedgerError):
    """A case may not be erased: it is on legal hold, or the approval is not whole."""

    code = "ledger.erasure_refused"


class OpeningRefused(LedgerError):
    """What is sealed is not opened: it is not said by whom and what for, or nothing is there."""

    code = "ledger.opening_refused"


class StorageFailed(LedgerError):
    """The database could not be read or written (full disk, locked, not reachable)."""

    code = "storage.failed"


# -- running the program ----------------------------------------------------------------------


class SettingsInvalid(ExplainerError):
    """A setting is missing or wrong; says which and what would be right."""

    code = "settings.invalid"


class InstallationBroken(ExplainerError):
    """The program's own files are missing or belong to somebody else."""

    code = "installation.broken"
