import hashlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.core.hashing import cache_key, canonical_json, code_version, derive_seed, sha256_file

TEXT = st.text(st.characters(exclude_categories=["Cs"]))
SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXT
JSON = st.recursive(SCALARS, lambda below: st.lists(below) | st.dictionaries(TEXT, below), max_leaves=12)


@given(JSON)
def test_canonical_json_says_the_same_and_is_its_own_fixpoint(value):
    text = canonical_json(value)
    assert json.loads(text) == value
    assert canonical_json(json.loads(text)) == text


@given(st.dictionaries(TEXT, SCALARS))
def test_canonical_json_does_not_depend_on_the_order_of_keys(value):
    assert canonical_json(dict(reversed(value.items()))) == canonical_json(value)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_canonical_json_refuses_what_json_cannot_say(value):
    with pytest.raises(ValueError, match="not JSON compliant"):
        canonical_json({"value": value})


def test_sha256_of_a_file_longer_than_a_chunk(tmp_path):
    content = b"recloop" * 300_000
    (tmp_path / "file").write_bytes(content)
    assert sha256_file(tmp_path / "file") == hashlib.sha256(content).hexdigest()


def test_derived_seeds_have_known_values_and_do_not_meet():
    expected = int(hashlib.sha256(b"1:search/init").hexdigest()[:16], 16) >> 1
    assert derive_seed(1, "search", "init") == expected
    seeds = {derive_seed(seed, stage, use) for seed in range(20) for stage in "ab" for use in "xyz"}
    assert len(seeds) == 120
    assert all(0 <= seed < 2**63 for seed in seeds)


def test_the_cache_key_sees_everything_and_no_order():
    key = cache_key("prepare", {"core": 10, "seed": 1}, "code", {"a": "1", "b": "2"})
    assert key == cache_key("prepare", {"seed": 1, "core": 10}, "code", {"b": "2", "a": "1"})
    others = [
        cache_key("ingest", {"core": 10, "seed": 1}, "code", {"a": "1", "b": "2"}),
        cache_key("prepare", {"core": 11, "seed": 1}, "code", {"a": "1", "b": "2"}),
        cache_key("prepare", {"core": 10, "seed": 1}, "edoc", {"a": "1", "b": "2"}),
        cache_key("prepare", {"core": 10, "seed": 1}, "code", {"a": "2", "b": "1"}),
    ]
    assert len({key, *others}) == 5


def test_the_code_version_is_a_hash():
    assert len(code_version()) == 64
    assert code_version() == code_version()
