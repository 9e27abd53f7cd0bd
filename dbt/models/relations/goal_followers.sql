{{ airbyte_asana.relation(ref('current_goals'), 'followers', 'goal_gid', {'user_gid': 'gid', 'user_name': 'name'}) }}
