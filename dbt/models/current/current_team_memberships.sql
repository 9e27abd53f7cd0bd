{{ airbyte_asana.current_rows('team_memberships') }}
