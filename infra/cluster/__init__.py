"""A stage on the nodes of a Ray cluster: asked by references, watched, ended as a whole.

executor.py   what the task calls: starts the driver, under the supervisor
driver.py     follows the nodes; knows no Ray
on_ray.py     finds and holds the nodes; the one module that imports Ray
node.py       what happens on each of them
reach.py      whether all of them share the run's store
records.py    what driver and nodes say to one another
"""
