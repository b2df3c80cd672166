"""Who is told what a run came to. Sent by the orchestrator; secrets stay in its connections."""

from typing import Annotated, Literal

from pydantic import Field

from components.core.strategy import Config

# done: registered without becoming champion, or done before. The key is not `on`, which YAML takes for true.
Occasion = Literal["failed", "gate_stopped", "gate_warned", "approval_asked", "promoted", "done"]
Occasions = Annotated[tuple[Occasion, ...], Field(min_length=1)]
_DEFAULT: tuple[Occasion, ...] = ("failed", "gate_stopped", "gate_warned", "approval_asked", "promoted")


class SlackNotification(Config):
    """A message to a webhook in Slack's format (Mattermost and others take it too)."""

    kind: Literal["slack"] = "slack"
    connection: str = Field(
        default="slack_default", description="the Airflow connection that holds the webhook's URL"
    )
    when: Occasions = Field(default=_DEFAULT, description="occasions to write on")


class EmailNotification(Config):
    """A mail."""

    kind: Literal["email"] = "email"
    to: Annotated[tuple[str, ...], Field(min_length=1)] = Field(description="addresses")
    connection: str = Field(
        default="smtp_default", description="the Airflow connection of the mail server, with the sender"
    )
    when: Occasions = Field(default=_DEFAULT, description="occasions to write on")


Notification = Annotated[SlackNotification | EmailNotification, Field(discriminator="kind")]
