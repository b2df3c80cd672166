"""What stands in the card's sections, whatever the task: sentences, pairs and tables."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, final

from components.core.gates import Gate
from components.core.recipe.card import Card as Words
from components.core.recipe.judgement import Task
from components.register.card import classification, ranking, stream
from components.register.card.facts import Facts
from components.register.card.markdown import code, inline, public
from components.register.card.method import candidates, carried, made_with, searched
from components.register.card.parts import Pair, Subject, Table

_SUBJECTS: Final[Mapping[Task, Callable[[Facts], Subject]]] = {
    "ranking": ranking.subject,
    "classification": classification.subject,
    "stream": stream.subject,
}


@final
@dataclass(frozen=True, kw_only=True)
class Content:
    """The template's content. What is text from elsewhere is escaped already, but for `words`."""

    title: str
    verdict: str
    about: Sequence[Pair]
    words: Words
    sources: Sequence[Pair]
    method: Sequence[Pair]
    candidates: Table | None
    carried: Table | None
    gates: Table
    gates_note: str
    limits: Sequence[str]
    subject: Subject


def build_card(facts: Facts) -> Content:
    """Facts turned into words and numbers."""
    subject = _SUBJECTS[facts.verdict.task](facts)
    decided = "It passed" if facts.verdict.promote else "It did not pass"
    return Content(
        title=f"{facts.params.model}, version {facts.version}",
        verdict=f"{decided} the recipe's rule of promotion: {inline(facts.verdict.reason)}.",
        about=list(_about(facts, subject)),
        words=facts.card,
        sources=list(_sources(facts)),
        method=[searched(facts), *subject.method, *made_with(facts)],
        candidates=candidates(facts.policy.decision),
        carried=carried(facts.training),
        gates=_gates(facts),
        gates_note=_gates_note(facts),
        limits=[*subject.limits, *_spoken(facts)],
        subject=subject,
    )


def _about(facts: Facts, subject: Subject) -> Iterator[Pair]:
    evaluation, model = facts.manifests["evaluation"], facts.manifests["model"]
    kind = facts.training["training"]["model"]["kind"]
    yield "recipe", code(facts.params.experiment)
    yield "task", f"{subject.task}; {code(kind)}"
    yield "evaluated", f"{evaluation.ended:%Y-%m-%d %H:%M} UTC"
    yield "model artifact", code(f"sha256 {model.sha256}")


def _sources(facts: Facts) -> Iterator[Pair]:
    """Where the data came from, with the hash of what was there."""
    entries = facts.manifests["interactions"].inputs
    if not entries.keys() - {"previous", "champion"}:
        yield "made by the recipe itself", code(facts.manifests["interactions"].params["source"]["kind"])
    for name, entry in sorted(entries.items()):
        if name not in {"previous", "champion"}:
            yield code(public(entry.uri)), code(f"sha256 {entry.sha256}")


def _is_judged(gate: Gate) -> bool:
    return gate.low is not None or gate.high is not None or gate.value is None or not gate.passed


def _gates(facts: Facts) -> Table:
    """What was judged; what was only measured is counted in the note."""
    rows = [
        (what, f"{inline(gate.subject)}: {inline(gate.name)}", _outcome(gate), inline(gate.told))
        for what, gate in facts.gates()
        if _is_judged(gate)
    ]
    return Table(header=("over", "gate", "outcome", "what was found"), rows=rows, numbers=False)


def _outcome(gate: Gate) -> str:
    return gate.outcome if gate.passed else f"**{gate.outcome}**"


def _gates_note(facts: Facts) -> str:
    gates = [gate for _, gate in facts.gates()]
    warned = sum(gate.outcome in ("warned", "held") for gate in gates)
    measured = sum(not _is_judged(gate) for gate in gates)
    contracts = sum(int(manifest.validation.get("total", 0)) for manifest in facts.manifests.values())
    told = f"{len(gates) - measured} gates, of which {warned or 'none'} warned or held back"
    if measured:
        told += f"; {measured} more measures without a bound are in the manifests"
    if contracts:
        told += f". All {contracts:,} expectations of the data contracts were met"
    return f"{told}."


def _spoken(facts: Facts) -> Iterator[str]:
    """The gates that let the run go on although they found something."""
    for what, gate in facts.gates():
        if gate.outcome in ("warned", "held"):
            yield f"{what.capitalize()}: {inline(gate.told or gate.name)} ({gate.outcome})."
