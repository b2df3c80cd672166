"""Compiles the kernels of this evaluation for this machine:
`python -m components.evaluate.ranking.precompile`.

Rankings by a model are compiled with the models.
"""

import pyarrow as pa
import torch

from components.evaluate.ranking.baselines import answer_by_item_knn
from components.evaluate.ranking.scoring import Exam
from components.rec.csr import Csr


def main() -> None:
    ids = torch.arange(3)
    own, names = Csr.from_pairs(ids, ids, 3), pa.array(ids.numpy())
    exam = Exam(
        users=ids,
        relevant=own,
        seen=own,
        train=own,
        user_ids=names,
        item_ids=names,
        popularity_I=torch.ones_like(ids),
    )
    answer_by_item_knn(exam, 2)


if __name__ == "__main__":
    main()
