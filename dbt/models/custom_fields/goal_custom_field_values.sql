{{ airbyte_asana.custom_field_values(ref('current_goals'), 'goal_gid') }}
