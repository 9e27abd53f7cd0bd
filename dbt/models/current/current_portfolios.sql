{{ airbyte_asana.current_rows('portfolios') }}
