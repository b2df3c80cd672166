"""The core expectations of Great Expectations that a recipe may name, with what they are told.

A recipe is checked where Great Expectations, which takes seconds to import, need not be installed: so they
are listed here. A test holds the list against the installed release.
"""

import re
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from typing import Any, Final

_SOME: Final = ("row_condition", "condition_parser")  # looks at the rows that meet a condition
_MOSTLY: Final = ("mostly", *_SOME)
_RANGE: Final = ("min_value", "max_value", "strict_min", "strict_max")
_PAIR: Final = ("column_A", "column_B")
_MANY: Final = (*_MOSTLY, "ignore_row_if")

# Those that it needs, and those that it may have. Great Expectations leaves out of the former a few without
# which nothing is asked, such as `regex`: here they must be given.
Arguments = tuple[tuple[str, ...], tuple[str, ...]]

CORE: Final[Mapping[str, Arguments]] = {
    "expect_column_distinct_values_to_be_in_set": (("column", "value_set"), _SOME),
    "expect_column_distinct_values_to_contain_set": (("column", "value_set"), _SOME),
    "expect_column_distinct_values_to_equal_set": (("column", "value_set"), _SOME),
    "expect_column_kl_divergence_to_be_less_than": (
        ("column", "partition_object", "threshold"),
        (
            *("internal_weight_holdout", "tail_weight_holdout", "bucketize_data", "min_value", "max_value"),
            *_SOME,
        ),
    ),
    "expect_column_max_to_be_between": (("column",), (*_RANGE, *_SOME)),
    "expect_column_mean_to_be_between": (("column",), (*_RANGE, *_SOME)),
    "expect_column_median_to_be_between": (("column",), (*_RANGE, *_SOME)),
    "expect_column_min_to_be_between": (("column",), (*_RANGE, *_SOME)),
    "expect_column_most_common_value_to_be_in_set": (("column", "value_set"), ("ties_okay", *_SOME)),
    "expect_column_pair_values_a_to_be_greater_than_b": (_PAIR, ("or_equal", *_MANY)),
    "expect_column_pair_values_to_be_equal": (_PAIR, _MANY),
    "expect_column_pair_values_to_be_in_set": ((*_PAIR, "value_pairs_set"), _MANY),
    "expect_column_proportion_of_non_null_values_to_be_between": (("column",), (*_RANGE, *_SOME)),
    "expect_column_proportion_of_unique_values_to_be_between": (("column",), (*_RANGE, *_SOME)),
    "expect_column_quantile_values_to_be_between": (
        ("column", "quantile_ranges"),
        ("allow_relative_error", *_SOME),
    ),
    "expect_column_stdev_to_be_between": (("column",), (*_RANGE, *_SOME)),
    "expect_column_sum_to_be_between": (("column",), (*_RANGE, *_SOME)),
    "expect_column_to_exist": (("column",), ("column_index",)),
    "expect_column_type_to_be": (("column", "type_"), ()),
    "expect_column_unique_value_count_to_be_between": (("column",), (*_RANGE, *_SOME)),
    "expect_column_value_lengths_to_be_between": (("column",), (*_RANGE, *_MOSTLY)),
    "expect_column_value_lengths_to_equal": (("column", "value"), _MOSTLY),
    "expect_column_value_z_scores_to_be_less_than": (("column", "threshold", "double_sided"), _MOSTLY),
    "expect_column_values_to_be_between": (("column",), (*_RANGE, *_MOSTLY)),
    "expect_column_values_to_be_dateutil_parseable": (("column",), _MOSTLY),
    "expect_column_values_to_be_decreasing": (("column",), ("strictly", *_MOSTLY)),
    "expect_column_values_to_be_in_set": (("column", "value_set"), _MOSTLY),
    "expect_column_values_to_be_in_type_list": (("column", "type_list"), _MOSTLY),
    "expect_column_values_to_be_increasing": (("column",), ("strictly", *_MOSTLY)),
    "expect_column_values_to_be_json_parseable": (("column",), _MOSTLY),
    "expect_column_values_to_be_null": (("column",), _MOSTLY),
    "expect_column_values_to_be_of_type": (("column", "type_"), _MOSTLY),
    "expect_column_values_to_be_unique": (("column",), _MOSTLY),
    "expect_column_values_to_match_json_schema": (("column", "json_schema"), _MOSTLY),
    "expect_column_values_to_match_regex": (("column", "regex"), _MOSTLY),
    "expect_column_values_to_match_regex_list": (("column", "regex_list"), ("match_on", *_MOSTLY)),
    "expect_column_values_to_match_strftime_format": (("column", "strftime_format"), _MOSTLY),
    "expect_column_values_to_not_be_in_set": (("column", "value_set"), _MOSTLY),
    "expect_column_values_to_not_be_null": (("column",), _MOSTLY),
    "expect_column_values_to_not_be_outliers": (("column",), ("method", "multiplier", *_MOSTLY)),
    "expect_column_values_to_not_match_regex": (("column", "regex"), _MOSTLY),
    "expect_column_values_to_not_match_regex_list": (("column", "regex_list"), _MOSTLY),
    "expect_compound_columns_to_be_unique": (("column_list",), _MANY),
    "expect_multicolumn_sum_to_equal": (("column_list", "sum_total"), _MANY),
    "expect_multicolumn_values_to_be_equal": (("column_list",), _MANY),
    "expect_select_column_values_to_be_unique_within_record": (("column_list",), _MANY),
    "expect_table_column_count_to_be_between": ((), ("min_value", "max_value")),
    "expect_table_column_count_to_equal": (("value",), ()),
    "expect_table_columns_to_match_ordered_list": (("column_list",), ()),
    "expect_table_columns_to_match_set": (("column_set",), ("exact_match",)),
    "expect_table_row_count_to_be_between": ((), (*_RANGE, *_SOME)),
    "expect_table_row_count_to_equal": (("value",), _SOME),
}

_IN_SQL: Final = "works on SQL alone, and tables are checked in memory"
REFUSED: Final[Mapping[str, str]] = {
    "expect_column_values_to_match_like_pattern": f"{_IN_SQL}; use expect_column_values_to_match_regex",
    "expect_column_values_to_match_like_pattern_list": (
        f"{_IN_SQL}; use expect_column_values_to_match_regex_list"
    ),
    "expect_column_values_to_not_match_like_pattern": (
        f"{_IN_SQL}; use expect_column_values_to_not_match_regex"
    ),
    "expect_column_values_to_not_match_like_pattern_list": (
        f"{_IN_SQL}; use expect_column_values_to_not_match_regex_list"
    ),
    "expect_multicolumn_values_to_be_unique": (
        "is gone; use expect_select_column_values_to_be_unique_within_record"
    ),
    "expect_query_results_to_match_comparison": _IN_SQL,
    "expect_table_row_count_to_equal_other_table": _IN_SQL,
}


def known_name(name: str) -> str:
    """The name itself, if a recipe may give it.

    Raises:
        ValueError: it may not; says why, or which name is close.
    """
    if name in CORE:
        return name
    if name in REFUSED:
        raise ValueError(f"got {name!r}, which {REFUSED[name]}")
    close = get_close_matches(name, CORE, n=1, cutoff=0.5)
    hint = f"; did you mean {close[0]!r}?" if close else ""
    raise ValueError(
        f"got {name!r}, need one of the {len(CORE)} core expectations of Great Expectations that work "
        f"on tables in memory{hint}"
    )


def wrong_arguments(name: str, arguments: Mapping[str, Any]) -> Iterator[str]:
    """What is wrong with the arguments of an expectation, as far as can be told from the recipe alone."""
    required, optional = CORE[name]
    allowed = (*required, *optional)
    for argument in required:
        if argument not in arguments:
            yield f"arguments.{argument}: missing; {name} needs {', '.join(required)}"
    for argument, value in arguments.items():
        if argument not in allowed:
            close = get_close_matches(argument, allowed, n=1)
            hint = f"; did you mean {close[0]!r}?" if close else ""
            yield f"arguments.{argument}: unknown to {name}{hint} (allowed: {', '.join(allowed)})"
        elif argument in {"regex", "regex_list"}:
            yield from _wrong_patterns(argument, value)


def _wrong_patterns(argument: str, value: Any) -> Iterator[str]:
    for pattern in value if isinstance(value, list) else [value]:
        try:
            re.compile(pattern)
        except (re.error, TypeError) as error:
            yield f"arguments.{argument}: got {pattern!r}, need a regular expression: {error}"
