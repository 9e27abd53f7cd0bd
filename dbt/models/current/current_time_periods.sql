{{ airbyte_asana.current_rows('time_periods') }}
