"""Statewide: from a publisher's files to a release. Nothing in this package imports Airflow."""
