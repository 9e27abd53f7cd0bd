{{ airbyte_asana.current_rows('audit_log_events') }}
