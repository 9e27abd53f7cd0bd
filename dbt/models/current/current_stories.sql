{{ airbyte_asana.current_rows('stories') }}
