"""Lists, tables and watches as they come, chunk by chunk. Pure.

A list is cut at the bytes that begin each item. Unescaped quotes cannot stand inside a JSON string, so those bytes are
never part of one; and in none of the kinds but StatefulSet do elements of an inner array begin so. Chunks
without our annotation go on as they are; of others, only the items that have it are taken apart. What does not look
as expected (indented JSON) is kept until its end and rewritten as a whole.
"""

from __future__ import annotations

from typing import Protocol

from podnet_api.proxy import shown
from podnet_api.proxy.carriers import MARK, Carrier


class Rewriter(Protocol):
    """Takes an answer in chunks and gives it back as clients see it."""

    def feed(self, chunk: bytes) -> bytes:
        """What can go on after ``chunk`` has come."""
        ...

    def end(self) -> bytes:
        """What is left."""
        ...


class Whole:
    """An answer that is kept until its end."""

    def __init__(self, carrier: Carrier) -> None:
        self._carrier = carrier
        self._chunks: list[bytes] = []

    def feed(self, chunk: bytes) -> bytes:
        """Nothing goes on before the end."""
        self._chunks.append(chunk)
        return b""

    def end(self) -> bytes:
        """The answer."""
        return shown.whole(b"".join(self._chunks), self._carrier)


class Watch:
    """A watch: one event a line. Bookmarks and errors have nothing of ours in them."""

    def __init__(self, carrier: Carrier) -> None:
        self._carrier = carrier
        self._rest = b""

    def feed(self, chunk: bytes) -> bytes:
        """The lines that are complete."""
        end = chunk.rfind(b"\n") + 1
        if not end:
            self._rest += chunk
            return b""
        lines, self._rest = self._rest + chunk[:end], chunk[end:]
        if MARK not in lines:
            return lines
        return b"\n".join(self._line(line) for line in lines.split(b"\n"))

    def end(self) -> bytes:
        """A line without an end is an event that was cut off: it goes on as it is."""
        return self._rest

    def _line(self, line: bytes) -> bytes:
        return shown.event(line, self._carrier) if MARK in line else line


class Items:
    """A list, or a Table whose rows have objects."""

    def __init__(self, carrier: Carrier, *, table: bool = False) -> None:
        self._carrier = carrier
        self._show = shown.row if table else shown.one
        self._first = b'"rows":[{"cells":[' if table else b'"items":[{"metadata":{'
        self._between = b'},{"cells":[' if table else b'},{"metadata":{'
        self._lead = self._first.index(b"{")
        self._begun = False
        self._rest = b""
        self._indented: Whole | None = None

    def feed(self, chunk: bytes) -> bytes:
        """The items that are complete."""
        if self._indented or (not self._begun and (self._rest + chunk[:2]).startswith(b"{\n")):
            return self._kept(chunk)
        seen = max(len(self._rest) - len(self._first), 0)
        self._rest += chunk
        head = b""
        if not self._begun:
            at = self._rest.find(self._first, seen)
            if at < 0:
                return b""
            self._begun, seen = True, 0
            head, self._rest = self._rest[: at + self._lead], self._rest[at + self._lead :]
        last = self._rest.rfind(self._between, seen)
        if last < 0:
            return head
        complete, self._rest = self._rest[: last + 2], self._rest[last + 2 :]
        return head + (complete if MARK not in complete else self._rewritten(complete))

    def _kept(self, chunk: bytes) -> bytes:
        if self._indented is None:
            self._indented, chunk, self._rest = Whole(self._carrier), self._rest + chunk, b""
        return self._indented.feed(chunk)

    def _rewritten(self, items: bytes) -> bytes:
        """``items``, each followed by a comma, with those shown that have our annotation."""
        out, done = [], 0
        while (mark := items.find(MARK, done)) >= 0:
            before = items.rfind(self._between, max(done - 1, 0), mark)
            start = done if before < 0 else before + 2
            after = items.find(self._between, mark)
            end = len(items) - 1 if after < 0 else after + 1
            out += [items[done:start], self._show(items[start:end], self._carrier)]
            done = end
        return b"".join([*out, items[done:]])

    def end(self) -> bytes:
        """The last item and what closes the list."""
        if self._indented:
            return self._indented.end()
        rest, self._rest = self._rest, b""
        if MARK not in rest:
            return rest
        if not self._begun:
            return shown.whole(rest, self._carrier)
        end = rest.rstrip().removesuffix(b"]}")
        return self._show(end, self._carrier) + rest[len(end) :]


def rewriter(carrier: Carrier, *, watch: bool, collection: bool, table: bool) -> Rewriter:
    """The one for an answer."""
    if watch:
        return Watch(carrier)
    if not collection or carrier.in_one_piece:
        return Whole(carrier)
    return Items(carrier, table=table)
