{{ airbyte_asana.current_rows('webhooks') }}
