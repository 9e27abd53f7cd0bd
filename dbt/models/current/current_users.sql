{{ airbyte_asana.current_rows('users') }}
