{#- The chosen custom fields as columns; without a choice, each task with no column. -#}
{{ airbyte_asana.custom_field_columns('task', var('task_fields')) }}
