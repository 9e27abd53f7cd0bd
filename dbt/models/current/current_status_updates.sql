{{ airbyte_asana.current_rows('status_updates') }}
