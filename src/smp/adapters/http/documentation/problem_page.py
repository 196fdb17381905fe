"""The page of a problem, for people."""

from __future__ import annotations

from html import escape

from smp.adapters.http.problems.problem import Problem


def page(problem: Problem) -> bytes:
    """The page that explains a problem to a person."""
    title = escape(problem.title)
    return (
        "<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content='width=device-width'>"
        f"<title>{title}</title><h1>{title}</h1>"
        f"<p><code>{escape(problem.slug)}</code>, HTTP status {problem.status}</p>"
        f"<p>{escape(problem.explanation)}</p><h2>What to do</h2><p>{escape(problem.remedy)}</p></html>"
    ).encode()
