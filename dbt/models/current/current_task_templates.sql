{{ airbyte_asana.current_rows('task_templates') }}
