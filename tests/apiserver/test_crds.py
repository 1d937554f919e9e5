"""The CRDs alone, before a real API server: every example that they can judge, and what they print."""

from __future__ import annotations

from typing import Any


def test_accepted(apiserver: Any, valid: Any) -> None:
    answer = valid.submit(apiserver)
    assert answer.code == 201, answer.message


def test_refused_or_left_to_the_webhook(apiserver: Any, invalid: Any) -> None:
    answer = invalid.submit(apiserver)
    if invalid.needs_webhook:
        assert answer.code < 300, f"the CRD refuses it, no need for the webhook: {answer.message}"
        return
    field, message = invalid.marks["field"], invalid.marks["message"]
    assert answer.code in {400, 422}, answer
    if answer.causes:
        assert any(f == field and message in m for f, m in answer.causes), answer.causes
    else:
        assert field in answer.message
        assert message in answer.message
