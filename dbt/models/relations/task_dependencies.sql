{{ airbyte_asana.relation(ref('all_tasks'), 'dependencies', 'task_gid', {'depends_on_task_gid': 'gid'}) }}
