{{ airbyte_asana.current_rows('tags') }}
