{{ airbyte_asana.current_rows('teams') }}
