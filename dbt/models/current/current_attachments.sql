{{ airbyte_asana.current_rows('attachments') }}
