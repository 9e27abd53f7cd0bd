{{ airbyte_asana.custom_field_values(ref('current_projects'), 'project_gid') }}
