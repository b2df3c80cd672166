"""What a classifier's card says."""

from typing import Any

from components.core.recipe import RegisterParams
from components.register.card import Facts, render_card

from .classifier_loop import make, verdict
from .test_card import section


def card_of(loop: Any, *, champion: bool = False) -> str:
    inputs = make(loop, verdict(champion=champion))
    params = RegisterParams(
        task="classification",
        model="clicks",
        tracking_uri="http://mlflow",
        experiment="clicks",
        ledger="s3://l",
        recipe={"name": "clicks"},
    )
    return render_card(Facts.read(params, "7", inputs, loop.manifests))


def test_what_a_first_classifier_says(loop: Any) -> None:
    card = card_of(loop)
    assert card.startswith("# clicks, version 7\n")
    assert "classification: raw values of fields in, the probability of every class out; `deepfm`" in card
    data = section(card, "Data")
    assert "9 rows, of which 3 were unusable: 6 examples, of which 1 repeat another" in data
    assert "`no` 50.0 %, `yes` 50.0 %" in data
    assert "`random`: 4 train, 1 valid, 4 test" in data
    assert "| `genres` | multi-valued | `hashed` | 3 | 4 | 50.0 % | 0.0 % |" in data
    metrics = section(card, "Metrics")
    assert "Over 4 test examples" in metrics
    assert "auc decides" in metrics
    assert "| **auc** | 0.8000 | +0.2000 [+0.1000, +0.3000] |" in metrics
    assert "| logloss | 0.4000 | −0.3000 [−0.4000, −0.2000] |" in metrics
    assert r"| item: a\|b | 150 | 0.7000 | – |" in metrics
    assert "| item: c" not in metrics  # of another metric
    assert "| calibration | 1.2500 | – | 1.0000 |" in metrics
    limits = section(card, "Limits")
    assert "25.0 % of the test examples have such a value in `item`" in limits
    assert "in the hashed fields: `genres`." in limits
    assert "1 test examples (25.0 %) have the same values in all fields as one of train" in limits
    assert "1 of 3 slices have fewer than 100 examples" in limits
    assert "Model: ece (held)." in limits
    feedback = section(card, "Feedback loops")
    assert "predicts 1.250 times as many examples of class `yes` as there are." in feedback
    assert "least of item: c, with a log loss of 0.9000, against 0.4000 over all" in feedback
    method = section(card, "Method")
    assert "`autoloss` decided in 3 epochs: loss = `weighted` (losses `focal` (gamma 2.0), `hinge`)" in method
    assert "| `hinge` | 0.750 |" in method
    assert "mlp (batch_norm True, dropout 0.2, hidden 128, 128)" in method
    assert "`cross_entropy` loss, Adam" in method
    assert "2,000 examples a step" in method


def test_what_a_challenger_says_beside(loop: Any) -> None:
    card = card_of(loop, champion=True)
    metrics = section(card, "Metrics")
    assert "| metric | this model | − champion (version 6) | − prior |" in metrics
    assert r"| item: a\|b | 150 | 0.7000 | +0.2000 [+0.1000, +0.3000] |" in metrics
    assert "| calibration | 1.2500 | 0.9000 | 1.0000 |" in metrics
    assert "as there are; the champion 0.900 times as many." in section(card, "Feedback loops")
