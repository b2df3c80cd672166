"""What every artifact must be: Arrow schemas and Great Expectations suites, one module an artifact.

A contract is `validate(output, params, inputs, docs) -> Validation`; the stage harness asks it
before it publishes.
"""
