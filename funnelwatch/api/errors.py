"""Errors as RFC 9457 problem details."""

from typing import Any

from rest_framework import exceptions
from rest_framework.response import Response
from rest_framework.views import exception_handler


def problem_handler(error: Exception, context: dict[str, Any]) -> Response | None:
    """DRF's handler, its answer put into `{type, title, status, detail, errors?}` with the problem media type."""
    response = exception_handler(error, context)
    if response is None:
        return None
    problem: dict[str, Any] = {"type": "about:blank", "title": response.status_text, "status": response.status_code}
    if isinstance(error, exceptions.ValidationError):
        problem["detail"] = "Some fields are not valid; see errors."
        problem["errors"] = response.data
    else:
        problem["detail"] = str(response.data.get("detail", response.status_text)) if isinstance(response.data, dict) else str(response.data)
    response.data = problem
    response.content_type = "application/problem+json"
    return response
