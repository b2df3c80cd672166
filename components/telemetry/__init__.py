"""What the world outside hears of stages: OpenLineage events, Prometheus metrics."""
