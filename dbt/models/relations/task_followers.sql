{{ airbyte_asana.relation(ref('all_tasks'), 'followers', 'task_gid', {'user_gid': 'gid', 'user_name': 'name'}) }}
