{{ airbyte_asana.current_rows('workspace_memberships') }}
