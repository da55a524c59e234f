"""Imported once, by the process that Airflow's workers are forked from (and by no other).

It ends with the scheduler, workers end with it, and tasks with their worker: a killed scheduler
leaves nobody behind.
"""

import os

from ops.mortality import end_with_parent

end_with_parent()
os.register_at_fork(after_in_child=end_with_parent)
