"""Every error of the library, classed by what the caller does next.

PkgraphError
├── InputError             the user corrects a file, a setting or an argument    exit 2
│   ├── SettingsError
│   ├── CatalogError
│   └── TemplateError
├── GateRefused            the data stays where it is; look at the reasons        exit 3
│   └── PublishConflict    another publisher was first; publish again
├── BudgetExceeded         raise the budget or wait                               exit 4
├── ProviderError          the language model's side; run again later             exit 5
│   ├── ProviderGone       no further call can succeed: stop at once
│   └── CallFailed         one request brought no answer; the next may
├── LedgerError            the store of answers is out of reach; nothing is asked exit 7
├── MachineError           the disk is full or read-only, a file must not be read  exit 8
└── SnapshotError          nothing readable at this place                         exit 6
    ├── SnapshotMissing
    └── SnapshotDamaged
"""

from __future__ import annotations


class PkgraphError(Exception):
    """What went wrong, why, and what to do about it.

    Attributes:
        what: One sentence that names the culprit.
        remedy: One sentence that says what to do next; shown on a line of its own.
        exit_code: What the command line returns.
    """

    exit_code = 1

    def __init__(self, what: str, *, remedy: str = "") -> None:
        self.what = what
        self.remedy = remedy
        super().__init__(f"{what} {remedy}".strip())


class InputError(PkgraphError):
    exit_code = 2


class SettingsError(InputError):
    pass


class CatalogError(InputError):
    pass


class TemplateError(InputError):
    pass


class GateRefused(PkgraphError):
    """The gate did not open. Nothing was published.

    Attributes:
        broken: Rule name to the number of offenders.
    """

    exit_code = 3

    def __init__(self, what: str, *, broken: dict[str, int] | None = None, remedy: str = "") -> None:
        self.broken = broken or {}
        super().__init__(what, remedy=remedy)


class PublishConflict(GateRefused):
    pass


class BudgetExceeded(PkgraphError):
    exit_code = 4


class ProviderError(PkgraphError):
    exit_code = 5


class ProviderGone(ProviderError):
    pass


class CallFailed(ProviderError):
    """One request that brought no answer; its text is fit to be shown.

    Attributes:
        is_transient: Another attempt at this prompt may succeed.
        slows_down: The provider is overloaded: every caller is to send less.
        may_be_billed: The provider may have worked on it, so that its worst case counts as spent.
        retry_after_s: How long the provider asks to wait; None where it does not say.
    """

    def __init__(
        self,
        what: str,
        *,
        is_transient: bool = False,
        slows_down: bool = False,
        may_be_billed: bool = False,
        retry_after_s: float | None = None,
    ) -> None:
        self.is_transient = is_transient
        self.slows_down = slows_down
        self.may_be_billed = may_be_billed
        self.retry_after_s = retry_after_s
        super().__init__(what)


class LedgerError(PkgraphError):
    exit_code = 7


class MachineError(PkgraphError):
    exit_code = 8


class SnapshotError(PkgraphError):
    exit_code = 6


class SnapshotMissing(SnapshotError):
    pass


class SnapshotDamaged(SnapshotError):
    @property
    def may_pass(self) -> bool:
        """The file is there and could not be read just now: too many open files, a disk that failed once."""
        return isinstance(self.__cause__, OSError) and not isinstance(self.__cause__, FileNotFoundError)
