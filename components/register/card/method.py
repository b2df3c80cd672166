"""How a model came about: what cards of all tasks say of search and training."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from components.register.card.facts import Facts
from components.register.card.markdown import code, inline
from components.register.card.parts import Pair, Table

SHORT: Final = 12  # digits of a hash
_SHARES: Final = {"alpha": "probability α", "weights": "weight"}
_STARTS: Final = {"champion": "the champion's", "search": "the search's", "none": "random"}


def searched(facts: Facts) -> Pair:
    """What the search decided."""
    policy = facts.policy
    if not policy.patch:
        return "search", "none: the recipe decides"
    decided = "; ".join(f"{inline(key)} = {_value(value)}" for key, value in policy.patch.items())
    taken = policy.decision.get("taken_from")
    who = f"{code(taken)}, of another run," if taken else code(policy.kind)
    passed = policy.decision.get("interactions")
    how_long = f"while {passed:,} interactions went by" if passed else f"in {policy.epochs} epochs"
    return "search", f"{who} decided{'' if taken else f' {how_long}'}: {decided}"


def trained(facts: Facts, *, loss: str, unit: str) -> Iterator[Pair]:
    """The training, and what it began with.

    Args:
        loss: what was minimised.
        unit: what a batch holds.
    """
    document = facts.training
    training = document["training"]
    yield (
        "training",
        f"{loss} loss, Adam, learning rate {training['learning_rate']:g}, l2 {training['l2']:g}, "
        f"{training['batch_size']:,} {unit} a step; {document['epochs']} epochs, of which epoch "
        f"{document['best_epoch']} was the best on validation ({training['metric']})",
    )
    warm = document["warm_start"]
    told = _STARTS[warm["from"]]
    if warm["from"] == "champion":
        scaled = f" × {training['warm_scale']:g}" if training["warm_scale"] != 1 else ""
        of = code(warm["champion_sha256"][:SHORT])
        told += f" (model {of}){scaled}; new rows: {training['new_rows']}"
    yield "first weights", told
    check = document["warm_check"]
    if check:
        yield (
            "cold start",
            f"from random weights the same training reaches {check['cold']['value']:.4f} on validation in "
            f"{check['cold']['epochs']} epochs; from these {check['warm']['value']:.4f} in "
            f"{check['warm']['epochs']}",
        )


def made_with(facts: Facts) -> Iterator[Pair]:
    """Seed, code, packages and machine."""
    model = facts.manifests["model"]
    yield "seed", str(model.seed)
    yield "code", _code(model.code_version, model.git_sha, model.image_digest)
    yield "packages", ", ".join(f"{name} {version}" for name, version in sorted(model.packages.items()))
    yield "device", inline(model.device)


def settings(section: Mapping[str, Any]) -> str:
    """A section with its kind in front."""
    others = _told({name: value for name, value in section.items() if name != "kind"})
    return f"{code(section['kind'])}{f' ({others})' if others else ''}"


def candidates(decision: Mapping[str, Any]) -> Table | None:
    """The search's candidates with the probability, or the weight, that it ended with."""
    name, found = next(((name, decision[name]) for name in _SHARES if decision.get(name)), ("", {}))
    if not found:
        return None
    ordered = sorted(found.items(), key=lambda entry: -float(entry[1]))
    return Table(
        header=("candidate", _SHARES[name]), rows=[(code(kind), f"{share:.3f}") for kind, share in ordered]
    )


def carried(training: Mapping[str, Any]) -> Table | None:
    """What became of the champion's weights, tensor by tensor; a stream's state goes on as a whole."""
    tensors = sorted(training.get("warm_start", {}).get("tensors", {}).items())
    if not tensors:
        return None
    header = ["tensor", "carried over", "fresh", "lost"]
    rows = [
        [code(name), *(f"{became[key]:,}" for key in ("carried", "fresh", "lost"))]
        for name, became in tensors
    ]
    if any(became["reason"] for _, became in tensors):
        header.append("why not")
        for row, (_, became) in zip(rows, tensors, strict=True):
            row.append(inline(became["reason"]))
    return Table(header=header, rows=rows)


def _told(section: Mapping[str, Any]) -> str:
    """Without what is not set."""
    return ", ".join(
        f"{inline(name)} {_value(value)}" for name, value in section.items() if value is not None
    )


def _value(value: Any) -> str:
    """A setting: sections within sections, and lists of them, as they would be written by hand."""
    if isinstance(value, Mapping):
        if "kind" in value:
            return settings(value)
        return f"({_told(value)})"
    if isinstance(value, list | tuple):
        return ", ".join(f"({_value(one)})" if isinstance(one, list) else _value(one) for one in value)
    return inline(str(value))


def _code(version: str, git_sha: str | None, image_digest: str | None) -> str:
    told = [code(version[:SHORT])]
    if git_sha:
        told.append(f"commit {code(git_sha[:SHORT])}")
    if image_digest:
        told.append(f"image {code(image_digest)}")
    return ", ".join(told)
