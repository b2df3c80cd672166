"""A DAG file without DAGs: it fails with what is wrong with the recipes, so that Airflow shows it as an
import error. A file of its own, since an import error takes every DAG of its file out of service."""

from components.core.errors import InvalidInputError
from dags.factory import load, recipe_files

problems = load(recipe_files())[1]
if problems:
    raise InvalidInputError("\n".join(problems))
