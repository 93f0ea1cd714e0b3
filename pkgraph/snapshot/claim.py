"""What a snapshot promises, as a sentence: for people, beside the certificate's record for programs."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pkgraph.snapshot.manifest import Manifest


def claim_of(manifest: Manifest) -> str:
    """The certificate in words, without capital and full stop.

    "at most 4.76% of the published relations are wrong, statement or mapping, with confidence 95% (977 random
    pairs judged, 43 wrong and kept out)"
    """
    certificate = manifest.certificate
    if manifest.override is not None:
        return f"nothing is promised; published all the same, because: {manifest.override}"
    if not certificate:
        return "nothing is promised; published uncertified"
    try:
        said = (
            f"at most {certificate['bound']:.2%} of the published relations are wrong, statement or mapping, "
            f"with confidence {1 - certificate['delta']:.0%} ({certificate['n']} random pairs judged, "
            f"{certificate['errors']} wrong and kept out)"
        )
    except (KeyError, TypeError, ValueError):  # made by another version, or by hand
        return "its certificate is not one that this version can read; its record is all there is"
    beyond = certificate.get("n_beyond", 0)
    return f"{said}; {beyond} newer ones under drift test and audits" if beyond else said
