{{ airbyte_asana.current_rows('goals') }}
