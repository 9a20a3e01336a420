"""The report of a run: one self-contained HTML page and its Markdown twin."""

from training.report.render import Report, render

__all__ = ["Report", "render"]
