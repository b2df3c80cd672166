"""What a model card says that no run can find out."""

from pydantic import Field

from components.core.strategy import Config


class Card(Config):
    """The recipe's `card` section: Markdown, put into every version's model card."""

    intended_use: str = Field(default="", description="what the model is for, and what it is not for")
    licence: str = Field(default="", description="of the data and of the model")
    limits: str = Field(default="", description="known weaknesses, beyond those that the run measures")
    contact: str = Field(default="", description="whom to ask")
