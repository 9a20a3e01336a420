"""The report of a run: one self-contained HTML page and its Markdown twin."""

from report.render import Report, render

__all__ = ["Report", "render"]
