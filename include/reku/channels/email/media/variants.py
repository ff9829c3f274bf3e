"""Variants of a campaign's mail made ready: one medium with several subjects, or several media."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from reku.catalogue import institutes, media
from reku.catalogue.campaign import Campaign, SendBlock
from reku.catalogue.institute import Institute
from reku.catalogue.medium import Medium
from reku.catalogue.variant import Variant
from reku.channels.email.media.compile import CompiledMedium, compile_medium
from reku.foundation.errors import ConfigError
from reku.foundation.settings import settings
from reku.foundation.yaml_source import line_of


def compiled_variants(
    institute: Institute, campaign: Campaign, known: Mapping[str, Medium]
) -> dict[str, CompiledMedium]:
    """Each variant of the campaign by its name. Raises ConfigError, for its own subject with file and line of it."""
    return {variant.name: _compiled(institute, campaign, variant, known) for variant in campaign.variants}


def variant_faults() -> Iterator[ConfigError]:
    """What is wrong with a subject of any campaign's variants (`reku check`); faults of media are told elsewhere."""
    known = media().whole
    for institute in institutes().whole.values():
        for campaign in institute.campaigns:
            for variant in campaign.variants:
                try:
                    if variant.subject and campaign.send_media[0] in known:
                        _compiled(institute, campaign, variant, known)
                except ConfigError as error:
                    if error.file.parent.name == "institutes":
                        yield error


def _compiled(
    institute: Institute, campaign: Campaign, variant: Variant, known: Mapping[str, Medium]
) -> CompiledMedium:
    medium = known[variant.medium or campaign.send_media[0]]
    if not variant.subject:
        return compile_medium(medium, institute)
    compile_medium(medium, institute)  # so that what follows can only be the subject's fault
    try:
        return compile_medium(medium.model_copy(update={"subject": variant.subject}), institute)
    except ConfigError as error:
        file = settings().config_dir / "institutes" / f"{institute.blz}.yaml"
        number = institute.campaigns.index(campaign)
        block = next(at for at, one in enumerate(campaign.blocks) if isinstance(one, SendBlock))
        place = ("campaigns", number, "blocks", block, "variants", campaign.variants.index(variant), "subject")
        raise ConfigError(
            f"campaign {campaign.name!r}, variant {variant.name}: {error.problem}",
            file=file,
            line=line_of(file, place),
            value=error.value,
            valid=error.valid,
        ) from None
