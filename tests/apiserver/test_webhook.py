"""Every example before a real API server with podnet-webhook beside it."""

from __future__ import annotations

from typing import Any


def test_accepted(webhook: Any, valid: Any) -> None:
    answer = valid.submit(webhook)
    assert answer.code == 201, answer.message


def test_refused(webhook: Any, invalid: Any) -> None:
    answer = invalid.submit(webhook)
    assert answer.code in {400, 422}, answer
    if invalid.needs_webhook:
        field, message = invalid.marks["field"], invalid.marks["message"]
        assert answer.body["reason"] == "Invalid"
        assert any(f == field and message in m for f, m in answer.causes), answer.causes
