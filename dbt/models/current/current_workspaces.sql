{{ airbyte_asana.current_rows('workspaces') }}
