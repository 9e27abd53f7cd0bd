{{ airbyte_asana.relation(ref('current_tags'), 'followers', 'tag_gid', {'user_gid': 'gid', 'user_name': 'name'}) }}
