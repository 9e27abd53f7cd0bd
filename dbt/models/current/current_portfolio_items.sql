{{ airbyte_asana.current_rows('portfolio_items') }}
