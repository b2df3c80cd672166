"""Column names of every table, each written once."""

from typing import Final

# interactions, and the raw side of the vocabularies
USER_ID: Final = "user_id"
ITEM_ID: Final = "item_id"
RATING: Final = "rating"
TIMESTAMP: Final = "timestamp"  # int64, seconds since 1970 UTC
PART: Final = "part"  # train | valid | test, when the source comes already split

# rejected rows
FILE: Final = "file"
LINE: Final = "line"
REASON: Final = "reason"
CONTENT: Final = "content"

# dataset: dense ids from 0
USER: Final = "user"
ITEM: Final = "item"
NUM_INTERACTIONS: Final = "num_interactions"  # in train, valid and test together
NUM_TRAIN: Final = "num_train"  # in train alone: what popularity means to a sampler

# trajectory, history
EPOCH: Final = "epoch"
TRAIN_LOSS: Final = "train_loss"
EMBEDDING: Final = "embedding"

# evaluation
METRIC: Final = "metric"
K: Final = "k"
VALUE: Final = "value"
NUM_USERS: Final = "num_users"
CHAMPION_VALUE: Final = "champion_value"
NUM_RELEVANT: Final = "num_relevant"
NUM_TAIL: Final = "num_tail"  # relevant items outside the popular head
NEW: Final = "new"  # unknown to the champion; null without one
SLICE: Final = "slice"
USERS: Final = "users"
MEASURE: Final = "measure"

PARTS: Final = ("train", "valid", "test")
