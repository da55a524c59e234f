"""Tests of the pipeline, with real parts: a web server, an object store, Airflow."""
