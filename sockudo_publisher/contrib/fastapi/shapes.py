"""The endpoints in the OpenAPI document: what is posted, and the models of the answers."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, Field

__all__ = ["CHANNEL_FORM", "RESPONSES", "SIGN_IN_FORM", "WEBHOOK_BODY", "AuthorizedChannel", "BatchItem", "SignedUser"]


class AuthorizedChannel(BaseModel):
    """What a browser needs to subscribe."""

    auth: str = Field(description="key:signature")
    channel_data: str | None = Field(default=None, description="the member that was signed along, as JSON text")
    shared_secret: str | None = Field(default=None, description="of an encrypted channel, base64")


class BatchItem(BaseModel):
    """The answer for one channel of several."""

    status: int = Field(description="200, 400 malformed, 403 not allowed")
    data: AuthorizedChannel | None = None


class SignedUser(BaseModel):
    """What a browser needs to sign in."""

    auth: str = Field(description="key:signature")
    user_data: str = Field(description="the user that was signed, as JSON text")


class RefusalDetail(BaseModel):
    """Why not."""

    detail: str


#: The answers beside 200; 422 is FastAPI's own.
RESPONSES: dict[int | str, dict[str, Any]] = {
    401: {"model": RefusalDetail, "description": "No user"},
    403: {"model": RefusalDetail, "description": "Not allowed"},
    413: {"model": RefusalDetail, "description": "Too large"},
    422: {"description": "Malformed form"},
}

_SOCKET_ID = {"type": "string", "pattern": r"^[0-9]{1,20}\.[0-9]{1,20}$", "examples": ["123.456"]}
_FORM = "application/x-www-form-urlencoded"


def _form(properties: dict[str, Any], required: list[str]) -> dict[str, Any]:
    schema = {"type": "object", "properties": properties, "required": required}
    return {"requestBody": {"required": True, "content": {_FORM: {"schema": schema}}}}


CHANNEL_FORM = _form(
    {
        "socket_id": _SOCKET_ID,
        "channel_name": {"type": "string", "maxLength": 200, "examples": ["private-orders.5"]},
        "channel_name[0]": {"type": "string", "maxLength": 200, "description": "several channels: [0], [1], …"},
    },
    ["socket_id"],
)
SIGN_IN_FORM = _form({"socket_id": _SOCKET_ID}, ["socket_id"])
WEBHOOK_BODY: dict[str, Any] = {
    "requestBody": {"required": True, "content": {"application/json": {"schema": {"type": "object"}}}},
    "parameters": [
        {"in": "header", "name": name, "required": True, "schema": {"type": "string"}}
        for name in ("X-Pusher-Key", "X-Pusher-Signature")
    ],
}
