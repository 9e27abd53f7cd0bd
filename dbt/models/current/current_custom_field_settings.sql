{{ airbyte_asana.current_rows('custom_field_settings') }}
