"""Studies of losses that are wrong."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from components.core.errors import InvalidInputError
from components.study.losses.schema import LossesStudy
from components.study.reading import read_study

DEEPFM = {"data": "tiny", "model": "DeepFM"}


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (
            {"methods": {"CE": {}, "Odd": {"loss": {"kind": "mse"}}}},
            r"methods.Odd.loss.kind: got 'mse', need",
        ),
        (
            {"methods": {"CE": {}, "Both": {"loss": {"kind": "kl"}, "search": {"kind": "bohb"}}}},
            r"methods.Both: loss: got 'kl', but the search decides on it",
        ),
        ({"models": {"MF": {"kind": "mf"}}}, r"models.MF.kind: got 'mf', need one of .*deepfm"),
        ({"ours": "SLF+"}, "ours: got 'SLF"),
        ({"ours": "AL-1"}, r"comparison.methods: got .*, need 'AL-1' \(ours\) among them"),
        ({"comparison": {"methods": ["CE", "AutoLoss", "CE"]}}, "comparison.methods: got .* at most once"),
        ({"comparison": {"methods": ["CE", "AutoLos"]}}, "comparison.methods: got 'AutoLos', need one of"),
        (
            {"comparison": {"methods": ["CE", "AutoLoss"], "models": ["FM"]}},
            r"comparison.models: got 'FM', need one of \['DeepFM', 'NFM'\]",
        ),
        ({"ablations": {"methods": ["AL-1", "AutoLoss"], "data": ["big"]}}, "ablations.data: got 'big'"),
        (
            {"transfers": [{"from": DEEPFM, "to": [DEEPFM], "methods": ["CE", "SLF"]}]},
            "transfers.0.to: got tiny, DeepFM, where the policy comes from",
        ),
        (
            {"transfers": [{"from": DEEPFM, "to": [{**DEEPFM, "model": "FM"}], "methods": ["CE", "SLF"]}]},
            "transfers.0.to.0.model: got 'FM'",
        ),
        (
            {"transfers": [{"from": DEEPFM, "to": [{**DEEPFM, "model": "NFM"}], "methods": ["CE", "AL-1"]}]},
            r"transfers.0.methods: got \['CE', 'AL-1'\], need one that searches",
        ),
        ({"updates": {"every": [7, 7]}}, r"updates.every: got \[7, 7\], need each at most once"),
        ({"updates": {"every": [0, 7]}}, "updates.every.0: got 0"),
        ({"settings": [{"methods": ["MeLU"], "training": {}}]}, "settings.0.methods: got 'MeLU'"),
        ({"samplers": {}}, "samplers: unknown key"),
    ],
)
def test_mistakes_are_told(
    document: dict[str, Any], tmp_path: Path, change: dict[str, Any], told: str
) -> None:
    place = tmp_path / "study.yaml"
    place.write_text(yaml.safe_dump(document | change))
    with pytest.raises(InvalidInputError, match=told):
        read_study(place)


def test_only_a_search_has_updates(document: dict[str, Any]) -> None:
    document["methods"]["AutoLoss"] = {"search": {"kind": "bohb"}}
    with pytest.raises(ValueError, match=r"updates: 'AutoLoss' .* has no search of kind 'autoloss'"):
        LossesStudy.model_validate(document)


def test_methods_are_grouped_as_in_the_paper(study: LossesStudy) -> None:
    assert study.grouped("fixed") == ["Focal", "CE"]
    assert study.grouped("shared") == ["BOHB", "DARTS"]
    assert study.grouped("per example") == ["SLF"]
    assert study.methods["AL-1"].group == "combined"
    assert study.cross_entropy == "CE"
