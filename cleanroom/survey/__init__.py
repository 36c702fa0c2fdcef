"""Many Dockerfiles, one answer: who leaves what behind, as tables and as a report.

``examine`` is the work (one pure call over a table), ``sources`` says where Dockerfiles come from, ``store`` keeps the
results, ``run`` brings them together on one machine or a cluster, ``report`` reads the results.
"""
