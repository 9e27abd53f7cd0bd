{{ airbyte_asana.relation(ref('current_projects'), 'followers', 'project_gid', {'user_gid': 'gid', 'user_name': 'name'}) }}
