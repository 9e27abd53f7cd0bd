{{ airbyte_asana.current_rows('projects') }}
