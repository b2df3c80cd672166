"""Kubeflow Pipelines: one pipeline per recipe, made from the stage catalogue.

`compiling` and `run` need kfp; `plan`, `component` and `conclude` run in the stage images, without it. The
recipes themselves lie in `recipes/`.
"""

from typing import Final

# The run's id reaches a task by its environment: as a parameter it would be part of KFP's cache key, and
# no two runs would share anything.
RUN_ID: Final = "RECLOOP_RUN_ID"
