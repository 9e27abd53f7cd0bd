{{ airbyte_asana.custom_field_values(ref('all_tasks'), 'task_gid') }}
