"""Probabilities from the champion of a model that classifies."""

from collections.abc import Callable, Mapping, Sequence, Set
from functools import partial
from typing import TYPE_CHECKING, Any

from components.core.errors import InvalidInputError
from components.registry.loading import load_champion

if TYPE_CHECKING:
    import pandas as pd

SEPARATOR = "|"  # between the values of a multi-valued field that are given as text


def predict(model: str, tracking_uri: str, examples: Sequence[Mapping[str, Any]]) -> "pd.DataFrame":
    """The probability of every class for each example, by the champion of a registered model.

    Args:
        examples: field → value; what is missing is None, or is not there. More than the model's fields is
            ignored. A multi-valued field has a list, or text with `|` between its values; so has a history,
            in the order of time.

    Returns:
        class, the most probable; and probability_<class> for each class.

    Raises:
        InvalidInputError: there is no champion that classifies, a field is in no example, a value is none of
            its field's, or an example's histories differ in length.
        InfrastructureError: MLflow cannot be reached.
    """
    champion = load_champion(model, tracking_uri, "classification")

    import pandas as pd

    scorer = champion.unwrap_python_model().scorer
    missing_values: Set[str] = scorer.missing
    fields = _readers(champion, missing_values)
    given = {name for example in examples for name in example}
    missing = [name for name in fields if name not in given]
    if missing:
        raise InvalidInputError(f"examples: got no {', '.join(missing)}; need the fields {', '.join(fields)}")
    columns = {
        name: [
            _value(read, example.get(name), f"example {place}: {name}", missing_values)
            for place, example in enumerate(examples, start=1)
        ]
        for name, read in fields.items()
    }
    histories = {field.name: columns[field.name] for field in scorer.fields if field.kind == "history"}
    _fill_up(histories, missing_values)
    _require_behaviours(histories)
    answer: pd.DataFrame = champion.predict(pd.DataFrame(columns))
    return answer


def _fill_up(histories: Mapping[str, list[Any]], missing: Set[str]) -> None:
    """A single behaviour of which a value is missing looks like no history."""
    for place, values in enumerate(zip(*histories.values(), strict=True)):
        if missing and max(map(len, filter(None, values)), default=0) == 1:
            for name, value in zip(histories, values, strict=True):
                histories[name][place] = value or [_none(missing)]


def _none(missing: Set[str]) -> str:
    """A text that stands for no value: within a list, nothing else can."""
    if not missing:
        raise ValueError
    return min(missing)


def _require_behaviours(histories: Mapping[str, Sequence[Sequence[str] | None]]) -> None:
    """Every behaviour has a value of each field, if only a missing one."""
    for place, values in enumerate(zip(*histories.values(), strict=True), start=1):
        counts = [len(value or ()) for value in values]
        if len(set(counts)) > 1:
            told = ", ".join(f"{count} in {name}" for name, count in zip(histories, counts, strict=True))
            raise InvalidInputError(
                f"example {place}: its histories differ in length: got {told}; need a value of each for each "
                "behaviour"
            )


def _readers(champion: Any, missing: Set[str]) -> dict[str, Callable[[Any], Any]]:
    """Field → what turns a given value into one of its own."""
    from mlflow.types import DataType
    from mlflow.types.schema import Array

    readers: dict[str, Callable[[Any], Any]] = {}
    for column in champion.metadata.get_input_schema().inputs:
        if isinstance(column.type, Array):
            readers[column.name] = partial(_texts, missing=missing)
        else:
            readers[column.name] = float if column.type == DataType.double else _text
    return readers


def _value(read: Callable[[Any], Any], given: Any, place: str, missing: Set[str]) -> Any:
    if given is None or given == "" or given != given or (isinstance(given, str) and given in missing):  # NaN
        return None
    try:
        return read(given)
    except (TypeError, ValueError):
        allowed = {float: "a number", _text: "a text or a number"}.get(read, "a list of texts, none missing")
        raise InvalidInputError(f"{place}: got {given!r}, need {allowed}") from None


def _text(given: Any) -> str:
    """As ingest has it: whole numbers without a point, booleans in lower case."""
    if isinstance(given, bool):
        return str(given).lower()
    if not isinstance(given, str | int | float):
        raise TypeError
    return str(int(given)) if isinstance(given, float) and given.is_integer() else str(given)


def _texts(given: Any, *, missing: Set[str]) -> list[str]:
    values = given.split(SEPARATOR) if isinstance(given, str) else given
    return [_none(missing) if value is None or value != value else _text(value) for value in values]
