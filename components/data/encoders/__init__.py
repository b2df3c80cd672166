"""From the values of a field to its codes, one module an encoding.

An encoder is fitted on train and then encodes any part. Codes are those of `components.data.fields`.
Nothing here needs more than PyArrow and NumPy, so whatever judges or serves a model can encode as prepare
did.
"""
