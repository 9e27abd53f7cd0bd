{{ airbyte_asana.current_rows('subtasks') }}
