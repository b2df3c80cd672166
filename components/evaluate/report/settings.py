"""The configuration, section by section."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from components.evaluate.report.document import Table, flat
from components.evaluate.report.findings import AnyFindings

_SEARCHED: Final = "searched"


def settings(findings: AnyFindings) -> Iterator[Table]:
    """The configuration, section by section; the third column marks what the search decided."""
    patched = tuple(findings.policy.patch)
    sections: dict[str, Mapping[str, Any]] = {
        "training": findings.training["training"],
        "search": findings.search_params,
        "evaluation": findings.params.evaluation.model_dump(mode="json"),
        "promotion": findings.params.promotion.model_dump(mode="json"),
    }
    for name, section in sections.items():
        rows = []
        for key, value in flat(section):
            searched = name == "training" and any(f"{key}.".startswith(f"{path}.") for path in patched)
            rows.append((key, value, _SEARCHED if searched else ""))
        yield Table(caption=name, header=(), rows=rows)
