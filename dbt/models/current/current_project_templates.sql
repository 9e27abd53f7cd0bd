{{ airbyte_asana.current_rows('project_templates') }}
