{{ airbyte_asana.relation(ref('all_tasks'), 'tags', 'task_gid', {'tag_gid': 'gid', 'tag_name': 'name'}) }}
