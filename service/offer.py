"""Which languages this installation speaks, and what keeps it from speaking others."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from explainer.errors import LanguageError, SettingsInvalid
from explainer.packages.package import ModelPackage
from explainer.text.catalogs import catalog
from explainer.text.editions import catalog_version, template_version
from explainer.text.languages import Language, Status, languages
from service.settings import Settings


@dataclass(frozen=True, slots=True)
class Offer:
    """The languages of the site.

    `spoken` are those whole in the product, `stopped` those that are not, and why.
    """

    spoken: tuple[Language, ...]
    stopped: Mapping[str, LanguageError]
    settings: Settings

    def of(self, package: ModelPackage | None, *, staff: bool) -> list[Language]:
        """The languages of a page: whole in product and package, and either read by somebody, as
        a whole, or switched on."""
        return [
            spoken
            for spoken in self.spoken
            if (spoken.staff or not staff)
            and (package is None or spoken.tag in package.wordings)
            and (_read(spoken, package) or self.settings.switches_on(spoken.tag))
        ]

    @property
    def lapsed(self) -> list[Language]:
        """Those that were reviewed, and have changed since."""
        return [spoken for spoken in self.spoken if spoken.lapsed]


def _read(spoken: Language, package: ModelPackage | None) -> bool:
    if spoken.is_source:
        return True
    words = package is None or package.wordings[spoken.tag].reviewed
    return spoken.status is Status.REVIEWED and words


def make_offer(settings: Settings) -> Offer:
    """Load every catalog once, so that what is wrong with one is known at the start; and take the
    versions that are recorded with what is shown, before an upgrade can lay others over them.

    Raises SettingsInvalid where German itself has a fault.
    """
    spoken, stopped = [], {}
    for row in languages().values():
        try:
            catalog(row, staff=row.staff)
        except LanguageError as fault:
            if row.is_source:
                raise SettingsInvalid(fault.what, fault.where, fault.mend) from None
            stopped[row.tag] = fault
        else:
            spoken.append(row)
            catalog_version(row)
    template_version()
    return Offer(tuple(spoken), stopped, settings)
