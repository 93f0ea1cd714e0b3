"""A template is a system message and a user message with placeholders, read from text files.

The package brings `companions.v1` and `occasions.v1`; a user's own folder may hold more:

    NAME.user.txt      the user message with {kind} {category} {department}, or {rationale}; {{ is a brace
    NAME.system.txt    optional; without it the system message of the package
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from importlib import resources
from string import Formatter
from typing import TYPE_CHECKING

from pkgraph.errors import TemplateError

if TYPE_CHECKING:
    from importlib.resources.abc import Traversable
    from pathlib import Path

KIND_PLACEHOLDERS = ("kind", "category", "department")
PURPOSE_PLACEHOLDERS = ("rationale",)
_DEFAULT_SYSTEM = "companions.v1.system.txt"
# Texts of the package beside the templates: they ask about several kinds at once, or about statements.
_NO_TEMPLATES = ("_batch", "judge")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,79}")
# A template is sent with every prompt: 20 000 characters are some 5 000 tokens a call.
_MAX_TEMPLATE_CHARS = 20_000


@dataclass(frozen=True, slots=True)
class Template:
    """What is asked, but for the values.

    Attributes:
        name: Name and version: "companions.v1".
        system: The system message, used as it stands.
        user: The user message, a `str.format` text.
        placeholders: What `user` leaves open, in alphabetical order.
    """

    name: str
    system: str
    user: str
    placeholders: tuple[str, ...]

    @property
    def is_about_purposes(self) -> bool:
        return "rationale" in self.placeholders


def _package_folder() -> Traversable:
    return resources.files("pkgraph.prompts") / "templates"


def _read(folder: Traversable | Path, file: str) -> str | None:
    try:
        return (folder / file).read_text(encoding="utf-8-sig").strip()
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise TemplateError(f"The template file {file} cannot be read: {error}.") from error


def _open_fields(name: str, user: str) -> tuple[str, ...]:
    """The placeholders of a user message; anything but a plain name in braces is refused."""
    try:
        parsed = [part[1:] for part in Formatter().parse(user) if part[1] is not None]
    except ValueError as error:
        raise TemplateError(
            f"The template {name} has a stray brace: {error}.",
            remedy="Write a literal brace twice: {{ or }}.",
        ) from error
    allowed = (*KIND_PLACEHOLDERS, *PURPOSE_PLACEHOLDERS)
    # `{kind.__class__}`, `{kind!r}` and `{kind:>9}` reach into Python: only the bare names are allowed.
    wrong = [field or "" for field, spec, conversion in parsed if field not in allowed or spec or conversion]
    if wrong:
        raise TemplateError(
            f"The template {name} has unknown placeholders: {', '.join(f'{{{field}}}' for field in wrong)}.",
            remedy=f"Allowed are {', '.join(f'{{{field}}}' for field in allowed)}; write a brace twice.",
        )
    return tuple(sorted({str(field) for field, _, _ in parsed}))


def template_from(name: str, *, system: str, user: str) -> Template:
    """A template from its two texts.

    Raises:
        TemplateError: A placeholder is unknown, kinds and purposes are mixed, or nothing is left open.
    """
    placeholders = _open_fields(name, user)
    is_about_kinds = "kind" in placeholders
    if is_about_kinds == ("rationale" in placeholders) or (
        not is_about_kinds and set(placeholders) & set(KIND_PLACEHOLDERS)
    ):
        raise TemplateError(
            f"The template {name} asks about neither a kind nor a purpose, or about both.",
            remedy="It needs {kind} (with {category} and {department} if wanted), or {rationale} alone.",
        )
    if not system or len(system) + len(user) > _MAX_TEMPLATE_CHARS:
        raise TemplateError(
            f"The template {name} has an empty system message or more than {_MAX_TEMPLATE_CHARS} characters."
        )
    return Template(name, system, user, placeholders)


def load_template(name: str, folder: Path | None = None) -> Template:
    """The template of that name, from the user's folder where it has it, else from the package.

    Raises:
        TemplateError: There is no such template, or it breaks a rule of `template_from`.
    """
    if not _NAME.fullmatch(name):
        raise TemplateError(
            f"{name[:80]!r} is no template name.", remedy="Use letters, digits, dots, dashes and underscores."
        )
    package = _package_folder()
    places: list[Traversable | Path] = [package] if folder is None else [folder, package]
    for place in places:
        user = _read(place, f"{name}.user.txt")
        if user is not None:
            system = _read(place, f"{name}.system.txt") or _read(package, _DEFAULT_SYSTEM) or ""
            return template_from(name, system=system, user=user)
    names = (file.name for file in package.iterdir())
    known = sorted(
        name.removesuffix(".user.txt")
        for name in names
        if ".user." in name and not any(part in name for part in _NO_TEMPLATES)
    )
    where = f"{folder} or the package" if folder else "the package"
    raise TemplateError(
        f"There is no template {name} in {where}.",
        remedy=f"Add {name}.user.txt to your folder, or use one of {', '.join(known)}.",
    )


def template_text(file: str) -> str:
    """A text of the package that is no template of a kind or purpose by itself."""
    return _read(_package_folder(), file) or ""


def load_purposes() -> tuple[str, ...]:
    """The curated list of purposes that belong to no category, sorted."""
    return tuple((_package_folder() / "purposes.v1.txt").read_text(encoding="utf-8").splitlines())
