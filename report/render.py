"""Renders a run's report."""

from typing import NamedTuple

from contracts.run_record import RunRecord
from report import provenance, results
from report.blocks import Document
from report.curated import curation
from report.curves import training_curves
from report.evidence import Evidence
from report.lengths import lengths
from report.paper import beside_paper
from report.samples import sample_answers
from report.write_html import html_page
from report.write_markdown import markdown_page


class Report(NamedTuple):
    """The same report in two formats."""

    html: str
    markdown: str


def render(run: RunRecord, evidence: Evidence) -> Report:
    """Renders the report of a run, finished or not; what is missing is said in it.

    Args:
        run: The run's record.
        evidence: What its stages left.
    """
    created = run.created.isoformat(sep=" ", timespec="seconds")
    document = Document(
        title=f"Run {run.name}",
        subtitle=f"Seed {run.seed}, started {created}, code version {run.code_version}.",
        sections=(
            results.headline(evidence),
            provenance.pipeline(run),
            results.accuracy(evidence),
            results.breakdown(evidence),
            beside_paper(results.scores_by_policy(evidence)),
            lengths(evidence),
            *training_curves(run, evidence),
            sample_answers(run, evidence),
            curation(evidence),
            provenance.gates(run),
            provenance.provenance(run),
            provenance.recipe(run),
            provenance.missing(evidence),
        ),
    )
    return Report(html=html_page(document), markdown=markdown_page(document))
