{{ airbyte_asana.current_rows('goal_relationships') }}
