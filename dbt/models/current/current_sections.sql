{{ airbyte_asana.current_rows('sections') }}
