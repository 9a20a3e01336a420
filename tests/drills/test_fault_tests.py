"""Rows of the fault table from a JUnit report."""

from xml.etree import ElementTree

from drills.fault_tests import rows

REPORT = """<testsuite>
<testcase classname="tests.flows.test_run" name="one"><properties>
  <property name="fault" value="a kill"/><property name="outcome" value="it goes on"/>
  <property name="fault" value="a cancel"/><property name="outcome" value="it ends"/>
</properties></testcase>
<testcase classname="tests.tasks.test_make" name="two"><properties>
  <property name="fault" value="a kill"/><property name="outcome" value="it goes on"/>
</properties><failure/></testcase>
</testsuite>"""


def test_a_test_that_makes_two_faults_counts_for_both():
    cancelled, killed = rows(ElementTree.fromstring(REPORT))
    assert (cancelled.fault, cancelled.times, cancelled.outcome) == ("a cancel", "1", "it ends")
    assert cancelled.good and cancelled.made_by == "`tests/flows/test_run.py`"
    assert (killed.times, killed.outcome, killed.good) == ("2", "1 of 2 did not pass", False)
    assert killed.made_by == "`tests/flows/test_run.py`, `tests/tasks/test_make.py`"
