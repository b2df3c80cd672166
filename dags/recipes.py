"""The DAG file: an Airflow DAG for every good recipe. What is wrong with the others stands in
recipe_errors.py."""

from dags.factory import load, recipe_files

globals().update({dag.dag_id: dag for dag in load(recipe_files())[0]})
