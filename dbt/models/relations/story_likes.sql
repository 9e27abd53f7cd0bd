{{ airbyte_asana.relation(ref('current_stories'), 'likes', 'story_gid', {'user_gid': 'user.gid', 'user_name': 'user.name'}) }}
