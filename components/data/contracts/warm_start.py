"""Gates over how a model's training began."""

from collections.abc import Iterator, Mapping
from typing import Any

from components.core.gates import Gate
from components.core.recipe import EpochTraining
from components.metrics.direction import lead

SUBJECT = "warm start"


def warm_start_gates(document: Mapping[str, Any], training: EpochTraining) -> Iterator[Gate]:
    """What is to be said of `training.json`.

    Args:
        training: its section `training`.

    Raises:
        KeyError: something is missing.
    """
    warm, compared = document["warm_start"], document["warm_check"]
    if warm["champion_sha256"] is not None:
        yield _carried(warm)
    if compared is not None and training.warm_check is not None:
        yield _not_worse(compared, training)


def _carried(warm: Mapping[str, Any]) -> Gate:
    """Warns where a recipe wants the champion's weights and nothing of them fits."""
    rows = [became for became in warm["tensors"].values() if became["rows"] is not None]
    carried = sum(became["carried"] for became in rows)
    total = carried + sum(became["fresh"] for became in rows)
    used = warm["from"] == "champion"
    reasons = "; ".join(sorted({became["reason"] for became in warm["tensors"].values() if became["reason"]}))
    told = "nothing of the champion's weights fits"
    if used:
        told = f"{carried:,} of {total:,} rows are the champion's"
    return Gate(
        name="carried over",
        subject=SUBJECT,
        value=carried / total if total else None,
        severity="warn",
        passed=used,
        told=f"{told} ({reasons})" if reasons else told,
    )


def _not_worse(compared: Mapping[str, Any], training: EpochTraining) -> Gate:
    check, warm, cold = training.warm_check, compared["warm"], compared["cold"]
    assert check is not None
    difference = lead(training.metric, warm["value"], cold["value"])
    return Gate(
        name=f"{training.metric} on validation, lead of warm over cold",
        subject=SUBJECT,
        value=difference,
        low=-check.margin,
        severity=check.severity,
        passed=difference >= -check.margin,
        told=f"{training.metric} on validation {warm['value']:.4f} in {warm['epochs']} epochs, from random "
        f"weights {cold['value']:.4f} in {cold['epochs']}: a lead of {difference:+.4f}, need at least "
        f"{-check.margin:+.4f}",
    )
