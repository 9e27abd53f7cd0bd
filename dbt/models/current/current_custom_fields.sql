{{ airbyte_asana.current_rows('custom_fields') }}
