{{ airbyte_asana.relation(ref('all_tasks'), 'dependents', 'task_gid', {'dependent_task_gid': 'gid'}) }}
