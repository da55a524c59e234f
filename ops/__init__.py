"""Running Statewide on one machine: its environment, its Airflow, the Makefile's commands."""
