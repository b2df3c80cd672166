"""The model registry, MLflow. Nothing here imports it before it is asked something."""
