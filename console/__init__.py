"""What operators see and hear of Statewide inside Airflow: its page, its alerts, its question.

The only code beside `dags/` and `plugins/` that knows Airflow; the facts come from `include/`.
"""
