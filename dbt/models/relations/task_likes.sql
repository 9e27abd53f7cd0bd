{{ airbyte_asana.relation(ref('all_tasks'), 'likes', 'task_gid', {'user_gid': 'user.gid', 'user_name': 'user.name'}) }}
