{{ airbyte_asana.relation(ref('current_users'), 'workspaces', 'user_gid', {'workspace_gid': 'gid', 'workspace_name': 'name'}) }}
