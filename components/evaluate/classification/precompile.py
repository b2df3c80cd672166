"""Compiles the kernels of this evaluation for this machine:
`python -m components.evaluate.classification.precompile`.
"""

import numpy as np

from components.metrics.example_comparison import compare


def main() -> None:
    probability_NC, label_N = np.array([[0.75, 0.25], [0.5, 0.5], [0.25, 0.75]]), np.array([0, 1, 1])
    compare(probability_NC, {"prior": probability_NC}, label_N, confidence=0.95, resamples=2, seed=0)


if __name__ == "__main__":
    main()
