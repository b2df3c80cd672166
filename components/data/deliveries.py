"""The deliveries that a recipe has accepted: its finished interactions artifacts."""

from components.core.manifest import MANIFEST, read_manifest
from components.core.recipe import IngestParams
from components.core.store import open_store


def find_previous(params: IngestParams) -> str | None:
    """URI of the delivery that was accepted last, or None. A delivery that a gate stopped is none."""
    if not params.deliveries:
        return None
    places = [
        place.removesuffix(f"/{MANIFEST}")
        for place in open_store(params.deliveries).list_files(params.deliveries)
        if place.endswith(f"/{MANIFEST}")
    ]
    return max(places, key=lambda place: read_manifest(place).ended, default=None)
