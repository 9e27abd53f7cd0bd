{{ airbyte_asana.relation(ref('current_goals'), 'likes', 'goal_gid', {'user_gid': 'user.gid', 'user_name': 'user.name'}) }}
