"""Column names of every table, each written once."""

from collections.abc import Collection
from typing import Final

# interactions, and the raw side of the vocabularies
USER_ID: Final = "user_id"
ITEM_ID: Final = "item_id"
RATING: Final = "rating"
TIMESTAMP: Final = "timestamp"  # int64, seconds since 1970 UTC
POSITION: Final = "position"  # int64, a row's number in a source that stands in the order of time
PART: Final = "part"  # train | valid | test, when the source comes already split

# examples: a column for each field beside these
LABEL: Final = "label"  # int32, the place of its class
ROW: Final = "row"  # int64, the place of an example in the interactions

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

# vocabularies of fields
FIELD: Final = "field"
KIND: Final = "kind"
ENCODING: Final = "encoding"  # values, hashed, quantile or log2
SIZE: Final = "size"  # rows of its table
CODE: Final = "code"  # a row of a field's table: 0 is out of vocabulary, 1 is missing
COUNT: Final = "count"  # examples in train
LOW: Final = "low"  # first number of a bucket
POOLING: Final = "pooling"
OF: Final = "of"  # the field whose values a history has
LENGTH: Final = "length"  # of a history, at most

# trajectory, history
EPOCH: Final = "epoch"
INTERACTIONS: Final = "interactions"  # of a stream that were followed
MEAN_SIZE: Final = "mean_size_"  # of the embeddings; the side follows
SEEN: Final = "seen"  # how often an id was
EMBEDDING_SIZE: Final = "size"  # numbers in an id's embedding
BYTES: Final = "bytes_"  # that they take; the side follows
TRAIN_LOSS: Final = "train_loss"
TEMPERATURE: Final = "temperature"
TRIAL: Final = "trial"
# a candidate's kind follows
ALPHA: Final = "alpha_"
PROBABILITY: Final = "probability_"
LOSS: Final = "loss_"
WEIGHT: Final = "weight_"
EMBEDDING: Final = "embedding"

# the network of a stream's model
TENSOR: Final = "tensor"
SHAPE: Final = "shape"
VALUES: Final = "values"

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
NUM_EXAMPLES: Final = "num_examples"
PRIOR_VALUE: Final = "prior_value"
PROBABILITIES: Final = "probability"  # of every class
CHAMPION_PROBABILITIES: Final = "champion_probability"
EXAMPLES: Final = "examples"
MODEL: Final = "model"
CLASS: Final = "class"
BIN: Final = "bin"
MEAN_PROBABILITY: Final = "mean_probability"
OBSERVED: Final = "observed"  # share

PARTS: Final = ("train", "valid", "test")


def axis_of(names: Collection[str]) -> str:
    """The column along which a history or a trajectory goes."""
    return INTERACTIONS if INTERACTIONS in names else EPOCH
