{{ airbyte_asana.current_rows('tasks') }}
