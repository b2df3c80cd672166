"""Great Expectations without the packages that only others need: none is missed where it is used."""

import json
import subprocess
import sys

_HEAD = """\
import json, sys
import pandas as pd
"""
_CHECK = """\
from components.data.contracts.checker import Checker
from components.data.contracts.expectations import between

frame = pd.DataFrame({"letter": ["a", "a", "b", "b"], "document": ["1", "2", "3", "4"]})
first = Checker("first").check("first", frame.assign(number=1), [between("number", 0, 2)])[0].success
"""
_LATER = ("altair", "jsonschema", "scipy.stats")
_NEVER = ("boto3", "google.oauth2", "sqlalchemy")


def answer(code: str) -> list[object]:
    """What a fresh Python prints as JSON."""
    ran = subprocess.run([sys.executable, "-c", _HEAD + code], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    result: list[object] = json.loads(ran.stdout.splitlines()[-1])
    return result


def test_a_check_imports_none_of_them():
    names = [*_LATER, *_NEVER]
    code = f"{_CHECK}print(json.dumps([first, [name for name in {names} if name in sys.modules]]))"
    assert answer(code) == [True, []]


def test_they_come_where_an_expectation_uses_them():
    code = f"""{_CHECK}
from components.data.contracts.findings import prose
from components.data.contracts.gx import expectations as gx

half = {{"values": ["a", "b"], "weights": [0.5, 0.5]}}
asked = [
    gx.ExpectColumnKLDivergenceToBeLessThan(column="letter", partition_object=half, threshold=0.1),
    gx.ExpectColumnValuesToMatchJsonSchema(column="document", json_schema={{"type": "integer"}}),
    gx.ExpectColumnValuesToMatchJsonSchema(column="document", json_schema={{"maximum": 2}}),
]
found = Checker("second").check("second", frame, asked)
words = [prose(one) for one in found]
there = [name in sys.modules for name in {list(_LATER)}]
print(json.dumps([[one.success for one in found], found[0].result["observed_value"], all(words), there]))
"""
    assert answer(code) == [[True, True, False], 0.0, True, [True] * len(_LATER)]


def test_others_get_the_real_ones_before_and_after():
    code = f"""
import altair, sqlalchemy
before = [altair, sqlalchemy]
{_CHECK}
import boto3, jsonschema, scipy.stats
same = [sys.modules["altair"] is altair, sys.modules["sqlalchemy"] is sqlalchemy]
real = [callable(jsonschema.validate), callable(boto3.client)]
print(json.dumps([*same, float(scipy.stats.norm.cdf(0)), *real]))
"""
    assert answer(code) == [True, True, 0.5, True, True]
